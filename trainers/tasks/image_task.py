"""What all tasks on images have in common: files, networks, batches, bad images."""

from __future__ import annotations

import os
from typing import Any, ClassVar

import keras
import tensorflow as tf

from keras_has import data, drawing
from keras_has.data import Dataset
from keras_has.json_files import is_of_type
from keras_has.models import refresh_batch_norm
from keras_has.models.batch_norm import check_refreshable
from trainers.engine.console import progress
from trainers.engine.run_directory import RunDirectory
from trainers.engine.run_error import RunError
from trainers.tasks.networks import build_network, pixel_layer, preprocessing_layers
from trainers.tasks.splits import images_in_memory, tuning_split
from trainers.tasks.task import Task
from trainers.tasks.training_images import TrainingImages, training_images

_PANEL_IMAGES = 16


class ImageTask(Task):
    """Trains a classifier on images; a subclass evaluates it.

    Args:
        recipe: A recipe with `ImageFields`.
        data_dir: The folder of the dataset; `None` for generated datasets.
        on_bad_image: "error" to stop at a file that cannot be decoded and name it, "skip" to search
            for such files first, leave them out, and list them at the end.
    """

    examples: ClassVar[str] = "images"
    # The split that the trained network is evaluated on; "" for the validation split.
    test_split_name: ClassVar[str] = ""

    def __init__(
        self,
        recipe: Any,
        data_dir: str | os.PathLike[str] | None = None,
        on_bad_image: str = "error",
    ) -> None:
        super().__init__(recipe, data_dir)
        self.on_bad_image = on_bad_image
        self.bad_images: list[dict[str, str]] = []
        self.test_split: Dataset | None = None

    def load(self, directory: RunDirectory | None = None) -> None:
        """Reads all splits; with `on_bad_image="skip"` searches for bad files first."""
        recipe = self.recipe
        is_skipping = self.on_bad_image == "skip" and not self.readers[recipe.dataset].is_generated
        known = directory.read_json("bad_images.json") if is_skipping and directory else None
        is_list = is_of_type(known or [], list[dict])
        if not is_list or not all(isinstance(bad.get("image_id"), str) for bad in known or []):
            place = f"{directory.path}/bad_images.json" if directory else ""
            raise RunError(
                f"{place} should list images. Received: "
                f"{known!r:.50}. Delete it, and the images are checked again."
            )
        self.bad_images = list(known or [])
        names = [name for name in (*self.split_names, self.test_split_name) if name]
        train, val, *test = (
            self._without_bad_images(self.read_split(split), split, is_skipping, known is not None)
            for split in names
        )
        if is_skipping and known is None and directory is not None:
            directory.write_json("bad_images.json", self.bad_images)
        if recipe.tuning_share:
            train, val = tuning_split(train, recipe.tuning_share)
        self.set_splits(train, val)
        self.train_split, self.val_split = (
            images_in_memory(dataset, recipe.image_size, split)
            for dataset, split in ((self.train_split, "train"), (self.val_split, "val"))
        )
        self.test_split = test[0] if test else None
        if self.test_split is not None and len(self.test_split) == 0:
            raise RunError(f"{self.test_split.name} has no {self.examples}.")

    @property
    def splits(self) -> tuple[Dataset, ...]:
        """All splits."""
        return (*super().splits, *([] if self.test_split is None else [self.test_split]))

    @property
    def evaluated_split(self) -> Dataset:
        """The split that the trained network is evaluated on."""
        return self.val_split if self.test_split is None else self.test_split

    def adopt_splits(self, other: ImageTask) -> None:
        """Takes over the splits of another task on the same data."""
        super().adopt_splits(other)
        self.test_split = other.test_split

    def _without_bad_images(
        self, dataset: Dataset, split: str, is_skipping: bool, is_known: bool
    ) -> Dataset:
        """Returns a split without the files that cannot be decoded, if they are to be skipped."""
        if not is_skipping:
            return dataset
        if is_known:
            bad_ids = {bad["image_id"] for bad in self.bad_images}
            return dataset.select([name not in bad_ids for name in dataset.ids])
        dataset, found = data.skip_bad_images(dataset, progress(f"checking {split}", "image"))
        self.bad_images.extend(
            {"image_id": bad.image_id, "path": str(bad.path), "reason": str(bad.reason)}
            for bad in found
        )
        return dataset

    def build_model(self) -> keras.Model:
        """Returns the network, with normalization and hiding inside."""
        recipe = self.recipe
        scaling = self.scaling()
        num_classes = len(self.train_split.class_names)
        model = build_network(recipe, num_classes, scaling, self.augmentation())
        if recipe.batch_norm_refresh:
            try:
                check_refreshable(model)
            except ValueError as error:
                raise RunError(f"{error}. Omit --batch_norm_refresh.") from error
        return model

    def scaling(self) -> keras.Layer:
        """Returns the layer that scales pixels."""
        return pixel_layer(self.recipe, self.train_split)

    def augmentation(self) -> list[keras.Layer]:
        """Returns layers between the scaling of pixels and hiding; by default none."""
        return []

    def compile_arguments(self) -> dict[str, Any]:
        """Returns cross-entropy, and the accuracy on what the network sees, hidden or not."""
        return {
            "loss": keras.losses.SparseCategoricalCrossentropy(),
            "metrics": [keras.metrics.SparseCategoricalAccuracy(name="top1_clas")],
        }

    def batches(self, first_step: int) -> tf.data.Dataset:
        """Returns training batches: uint8 images, cropped and flipped."""
        recipe = self.recipe
        return data.training_batches(
            self.train_split,
            recipe.batch_size,
            recipe.image_size,
            recipe.resize_size,
            recipe.horizontal_flip,
            recipe.class_balanced,
            seed=recipe.seed,
            first_step=first_step,
        )

    def training_images(self, count: int) -> TrainingImages:
        """Returns images of the first training batch as the network sees them.

        Args:
            count: Largest number of images.
        """
        names = self.train_split.class_names
        return training_images(self.batches(0), self.input_layers(), names, count)

    def input_layers(self) -> list[keras.Layer]:
        """Returns new layers like those in front of the network, scaling first and hiding last."""
        scaling = self.scaling()
        return preprocessing_layers(self.recipe, scaling, self.augmentation())

    def training_panel(self) -> drawing.Picture:
        """Returns training images as the network sees them."""
        return self.training_images(_PANEL_IMAGES).draw()

    @property
    def evaluated_examples(self) -> str:
        """What the validation split consists of, in words."""
        return "tuning images" if self.recipe.tuning_share else "validation images"

    def prepare_for_evaluation(self, model: keras.Model) -> None:
        """Re-estimates the statistics of batch normalization if the recipe says so."""
        if self.recipe.batch_norm_refresh:
            refresh_batch_norm(model, self.batches(0).take(self.recipe.batch_norm_refresh))

    def results_headline(self, results: dict[str, Any]) -> str:
        """Returns how many images were evaluated."""
        return f"{results['images']} {self.evaluated_examples}, percent"

    def closing_notes(self) -> list[str]:
        """Returns the list of files that could not be decoded."""
        if not self.bad_images:
            return []
        return [
            f"\n{len(self.bad_images)} files could not be decoded and were left out:",
            *(f"  {bad['path']}: {bad['reason']}" for bad in self.bad_images),
        ]

    def name_bad_input(self, error: Exception) -> str | None:
        """Returns the file that could not be decoded."""
        for split in self.splits:
            message = data.name_bad_image(split, error)
            if message is not None:
                return str(message)
        return None
