"""Maps of where a network sees a class: several methods behind one interface.

A method is created from a model and called as `maps, probabilities = method(images,
class_index=None)`; `TemporalCAM` takes sequences instead of images. All run on Keras' TensorFlow
backend, eagerly, in a `tf.function` and in `strategy.run`.
"""

from keras_has.cams.backprop import Backprop as Backprop
from keras_has.cams.cam import CAM as CAM
from keras_has.cams.ensemble import Ensemble as Ensemble
from keras_has.cams.grad_cam import GradCAM as GradCAM
from keras_has.cams.map_method import MapMethod as MapMethod
from keras_has.cams.temporal_cam import TemporalCAM as TemporalCAM
from keras_has.cams.ten_crop import TenCrop as TenCrop
