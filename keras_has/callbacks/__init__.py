"""Callbacks that evaluate a model after each epoch, or control what is hidden."""

from keras_has.callbacks.adaptive_hiding import AdaptiveHiding as AdaptiveHiding
from keras_has.callbacks.cam_localization import CAMLocalization as CAMLocalization
from keras_has.callbacks.evaluation_callback import EvaluationCallback as EvaluationCallback
from keras_has.callbacks.hiding_schedule import HidingSchedule as HidingSchedule
from keras_has.callbacks.regimes import Regimes as Regimes
from keras_has.callbacks.temporal_localization import TemporalLocalization as TemporalLocalization
from keras_has.evaluation.localized_image import LocalizedImage as LocalizedImage
from keras_has.evaluation.localized_video import LocalizedVideo as LocalizedVideo
