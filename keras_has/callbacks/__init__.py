"""Callbacks: what happens each epoch."""

from keras_has.callbacks.cam_localization import CAMLocalization as CAMLocalization
from keras_has.callbacks.localized_image import LocalizedImage as LocalizedImage
from keras_has.callbacks.localized_video import LocalizedVideo as LocalizedVideo
from keras_has.callbacks.regimes import Regimes as Regimes
from keras_has.callbacks.temporal_localization import TemporalLocalization as TemporalLocalization
