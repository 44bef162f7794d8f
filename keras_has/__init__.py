"""Hide-and-Seek (Singh and Lee, ICCV 2017) for Keras 3.

Submodules are imported when first used, so that `import keras_has` costs next to nothing and the
layers, models and ops need Keras alone: TensorFlow and OpenCV are loaded where they do the work.
"""

import importlib
from types import ModuleType
from typing import TYPE_CHECKING

from keras_has.version import __version__ as __version__

if TYPE_CHECKING:
    from keras_has import (
        callbacks,
        cams,
        data,
        drawing,
        evaluation,
        export,
        layers,
        metrics,
        models,
        ops,
        optimizers,
        timelines,
    )

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
