"""Layers that hide or drop inputs while training, and pooling over time."""

from keras_has.layers.hide_and_seek import HideAndSeek as HideAndSeek
from keras_has.layers.input_dropout import InputDropout as InputDropout
from keras_has.layers.replica_seed_generator import ReplicaSeedGenerator as ReplicaSeedGenerator
from keras_has.layers.temporal_hide_and_seek import TemporalHideAndSeek as TemporalHideAndSeek
from keras_has.layers.temporal_pooling import TemporalPooling as TemporalPooling
