"""Evaluators: what to compute from a model's outputs, example by example, and what to draw.

An evaluator defines `forward`, `reset`, `process` and `result`. `Inference` is the one loop that
feeds them; `keras_has.callbacks.EvaluationCallback` runs one after each epoch.
"""

from keras_has.evaluation.age import AgeEvaluator as AgeEvaluator
from keras_has.evaluation.batch import Batch as Batch
from keras_has.evaluation.classification import ClassificationEvaluator as ClassificationEvaluator
from keras_has.evaluation.evaluator import Evaluator as Evaluator
from keras_has.evaluation.image_localization import (
    ImageLocalizationEvaluator as ImageLocalizationEvaluator,
)
from keras_has.evaluation.inference import Inference as Inference
from keras_has.evaluation.localized_image import LocalizedImage as LocalizedImage
from keras_has.evaluation.localized_video import LocalizedVideo as LocalizedVideo
from keras_has.evaluation.panel import Panel as Panel
from keras_has.evaluation.reidentification import (
    ReidentificationEvaluator as ReidentificationEvaluator,
)
from keras_has.evaluation.segmentation import SegmentationEvaluator as SegmentationEvaluator
from keras_has.evaluation.segmentation_baselines import (
    segmentation_baselines as segmentation_baselines,
)
from keras_has.evaluation.temporal_localization import (
    TemporalLocalizationEvaluator as TemporalLocalizationEvaluator,
)
