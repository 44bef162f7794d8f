"""The pass of `CAMLocalization` against a plain `model.evaluate` on the same data.

python -m benchmarks.evaluation
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

from benchmarks.results import print_machine, record
from benchmarks.timing import interleaved
from keras_has.callbacks import CAMLocalization
from keras_has.data import ArrayImages, Dataset, evaluation_batches, generated_parts
from keras_has.models import GAPClassifier, SmallGAP


def compare(
    title: str,
    model: keras.Model,
    dataset: Dataset,
    side: int,
    repeats: int,
    aim: float,
) -> None:
    """Times both on one model."""
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    batches = evaluation_batches(dataset, 64 if side < 100 else 16, side)
    pairs = batches.map(lambda batch: (batch["image"], batch["label"])).prefetch(2)
    callback = CAMLocalization(batches)
    callback.set_model(model)
    seconds = interleaved(
        {
            "model.evaluate": lambda number: model.evaluate(pairs, verbose=0),
            "CAMLocalization": lambda number: callback.evaluate(),
            "CAMLocalization, drawing the panel": lambda number: callback.evaluate(draw=True),
        },
        repeats=repeats,
        warm_up=2,
    )
    record(
        "evaluation",
        f"{title}: {len(dataset)} images of {side} px",
        seconds,
        base="model.evaluate",
        aims={"CAMLocalization": aim},
        items=len(dataset),
    )


def main() -> None:
    """Runs all comparisons."""
    print_machine()
    compare("SmallGAP, 16 x 16 map", SmallGAP(10), generated_parts("val"), 64, 9, 1.25)
    compare(
        "SmallGAP of the parts recipes",
        SmallGAP(10, widths=(32, 64, 96)),
        generated_parts("val"),
        64,
        9,
        1.25,
    )
    few = generated_parts("val", num_images=96)
    images = np.asarray(tf.image.resize(few.source.pixels, (224, 224))).astype("uint8")
    large = Dataset(
        name="large",
        ids=few.ids,
        columns={"label": few["label"], "boxes": [3.5 * b for b in few["boxes"]]},
        source=ArrayImages(images),
        class_names=few.class_names,
    )
    compare(
        "ResNet-50, 14 x 14 map",
        GAPClassifier("ResNet50", 10, last_stage_stride=1),
        large,
        224,
        3,
        1.1,
    )


if __name__ == "__main__":
    main()
