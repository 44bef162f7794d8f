"""Layers that hide or drop inputs while training, pool over time, and make up networks."""

from keras_has.layers.bilinear_upsampling import BilinearUpsampling as BilinearUpsampling
from keras_has.layers.greyscale import Greyscale as Greyscale
from keras_has.layers.hide_and_seek import HideAndSeek as HideAndSeek
from keras_has.layers.input_dropout import InputDropout as InputDropout
from keras_has.layers.local_contrast_normalization import (
    LocalContrastNormalization as LocalContrastNormalization,
)
from keras_has.layers.local_response_normalization import (
    LocalResponseNormalization as LocalResponseNormalization,
)
from keras_has.layers.pad_to_multiple import PadToMultiple as PadToMultiple
from keras_has.layers.replica_seed_generator import ReplicaSeedGenerator as ReplicaSeedGenerator
from keras_has.layers.temporal_hide_and_seek import TemporalHideAndSeek as TemporalHideAndSeek
from keras_has.layers.temporal_pooling import TemporalPooling as TemporalPooling
