"""Networks for localization: flat Functional models that end in a map, pooling and a softmax.

All use the same three layer names: `"cam_features"`, the last feature map after its activation;
`"pooling"`; and `"predictions"`, the dense layer whose kernel weights the features in class
activation maps. `C3D` is an exception: it extracts the features of video clips. `FCN` turns any of
them into a network for semantic segmentation, and `IdentityClassifier` into one for
re-identification.
"""

from keras_has.models.alexnet import AlexNet as AlexNet
from keras_has.models.alexnet_gap import AlexNetGAP as AlexNetGAP
from keras_has.models.batch_norm import refresh_batch_norm as refresh_batch_norm
from keras_has.models.c3d import C3D as C3D
from keras_has.models.cifar_resnet import CifarResNet as CifarResNet
from keras_has.models.efficientnet_lite0 import EfficientNetLite0 as EfficientNetLite0
from keras_has.models.fcn import FCN as FCN
from keras_has.models.gap_classifier import GAPClassifier as GAPClassifier
from keras_has.models.googlenet_gap import GoogLeNetGAP as GoogLeNetGAP
from keras_has.models.identity_classifier import IdentityClassifier as IdentityClassifier
from keras_has.models.khorrami_cnn import KhorramiCNN as KhorramiCNN
from keras_has.models.levi_hassner_cnn import LeviHassnerCNN as LeviHassnerCNN
from keras_has.models.pixel_scaling import pixel_scaling as pixel_scaling
from keras_has.models.small_gap import SmallGAP as SmallGAP
from keras_has.models.temporal_gap import TemporalGAP as TemporalGAP
