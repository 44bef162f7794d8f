"""Hide-and-Seek (Singh and Lee, ICCV 2017) for Keras 3.

`import keras_has` registers every layer, metric and optimizer, so that `keras.models.load_model`
finds them. The other submodules are imported on first use: they load TensorFlow, OpenCV and
Matplotlib only where these are needed.
"""

import importlib
from types import ModuleType
from typing import TYPE_CHECKING

from keras_has import layers as layers
from keras_has import metrics as metrics
from keras_has import models as models
from keras_has import optimizers as optimizers
from keras_has.version import __version__ as __version__

if TYPE_CHECKING:
    from keras_has import callbacks, cams, data, drawing, evaluation, export, ops, timelines

__all__ = [
    "callbacks",
    "cams",
    "data",
    "drawing",
    "evaluation",
    "export",
    "layers",
    "metrics",
    "models",
    "ops",
    "optimizers",
    "timelines",
]


def __getattr__(name: str) -> ModuleType:
    if name in __all__:
        return importlib.import_module(f"keras_has.{name}")
    raise AttributeError(f"module 'keras_has' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
