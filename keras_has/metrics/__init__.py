"""Metrics for localization and classification, and curves over the thresholds of the CAM.

All of them accumulate over batches in integer counters, merge by addition, and count every image of
a padded batch exactly once.
"""

from keras_has.metrics.gt_known_localization import GTKnownLocalization
from keras_has.metrics.hiding_accuracy import HidingAccuracy
from keras_has.metrics.localization_curve import LocalizationCurve
from keras_has.metrics.max_box_accuracy import MaxBoxAccuracy
from keras_has.metrics.max_box_accuracy_v2 import MaxBoxAccuracyV2
from keras_has.metrics.pixel_average_precision import PixelAveragePrecision
from keras_has.metrics.temporal_mean_average_precision import TemporalMeanAveragePrecision
from keras_has.metrics.top1_classification import Top1Classification
from keras_has.metrics.top1_localization import Top1Localization
from keras_has.metrics.top5_localization import Top5Localization

__all__ = [
    "GTKnownLocalization",
    "HidingAccuracy",
    "LocalizationCurve",
    "MaxBoxAccuracy",
    "MaxBoxAccuracyV2",
    "PixelAveragePrecision",
    "TemporalMeanAveragePrecision",
    "Top1Classification",
    "Top1Localization",
    "Top5Localization",
]
