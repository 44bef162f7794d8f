"""Splits: from files, from records, and held out for tuning."""

import dataclasses

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

import keras_has.data  # noqa: E402
from trainers.engine.run_error import RunError  # noqa: E402
from trainers.engine.training import train_recipe  # noqa: E402
from trainers.tasks.image_localization import ImageLocalization  # noqa: E402
from trainers.tasks.registry import find_recipe  # noqa: E402
from trainers.tasks.temporal_localization import TemporalLocalization  # noqa: E402


def test_a_tuning_split_is_of_training_images_alike_in_each_class(few_parts, tiny_recipe, tmp_path):
    task = ImageLocalization(tiny_recipe(tuning_share=0.25))
    task.load()
    train, tuning = task.train_split, task.val_split
    assert not set(train.ids) & set(tuning.ids)
    whole = ImageLocalization(tiny_recipe())
    whole.load()
    assert set(train.ids) | set(tuning.ids) == set(whole.train_split.ids)
    counts = np.bincount(whole.train_split["label"])
    np.testing.assert_array_equal(np.bincount(tuning["label"]), np.ceil(counts / 4))
    again = ImageLocalization(tiny_recipe(tuning_share=0.25, seed=5))
    again.load()
    assert list(again.val_split.ids) == list(tuning.ids)
    results = train_recipe(tiny_recipe(epochs=1, tuning_share=0.25), tmp_path / "run")
    assert results["images"] == len(tuning)


def test_records_are_read_where_the_folder_holds_them(own_recipe, folder, tmp_path):
    from keras_has import data

    own = own_recipe().override(epochs=1)
    files = train_recipe(own, tmp_path / "files", folder)
    records = tmp_path / "records"
    splits = {split: data.image_folder(folder, split) for split in ("train", "val")}
    data.write_tfrecords(splits, records)
    assert train_recipe(own, tmp_path / "run", records) == files


def test_records_of_another_dataset_are_refused(tiny_recipe, tmp_path):
    from keras_has import data

    splits = {split: data.generated_parts(split, num_images=8) for split in ("train", "val")}
    data.write_tfrecords(splits, tmp_path / "records")
    with pytest.raises(RunError, match=r"records of parts, but --dataset=cub"):
        ImageLocalization(tiny_recipe(dataset="cub"), tmp_path / "records").read_split("train")
    split = ImageLocalization(tiny_recipe(), tmp_path / "records").read_split("val")
    assert isinstance(split.source, data.RecordImages)
    with pytest.raises(RunError, match="parts is generated"):
        ImageLocalization(tiny_recipe(), tmp_path).read_split("val")


def test_a_tuning_split_of_ilsvrc_has_boxes_where_there_are_any(monkeypatch, tiny_recipe):
    asked = {}
    monkeypatch.setattr(
        keras_has.data, "imagenet", lambda *args, **kwargs: asked.update(kwargs=kwargs)
    )
    ImageLocalization(tiny_recipe(dataset="imagenet"), "nowhere").read_split("train")
    assert asked["kwargs"] == {}
    recipe = tiny_recipe(dataset="imagenet", tuning_share=0.2)
    ImageLocalization(recipe, "nowhere").read_split("train")
    assert asked["kwargs"] == {"read_boxes": True}


def test_records_of_another_dataset_are_refused_for_sequences_too(tmp_path):
    """Of another dataset of sequences, and of a dataset of images."""
    phases = {
        split: keras_has.data.generated_phases(split, num_videos=8) for split in ("train", "test")
    }
    keras_has.data.write_sequence_records(phases, tmp_path / "phases")
    parts = {
        split: keras_has.data.generated_parts(split, num_images=8) for split in ("train", "val")
    }
    keras_has.data.write_tfrecords(parts, tmp_path / "parts")
    recipe = find_recipe("watch_has")
    for name in ("phases", "parts"):
        task = TemporalLocalization(recipe, tmp_path / name)
        with pytest.raises(RunError, match=rf"records of {name}.*watch_untrimmed"):
            task.read_split("train")


def test_records_of_another_kind_are_refused_whatever_the_name_of_their_dataset(
    tiny_recipe, tmp_path
):
    images = dataclasses.replace(
        keras_has.data.generated_parts("val", num_images=8), name="mine/train"
    )
    videos = dataclasses.replace(
        keras_has.data.generated_phases("val", num_videos=3), name="mine/train"
    )
    keras_has.data.write_tfrecords({"train": images}, tmp_path / "images")
    keras_has.data.write_sequence_records({"train": videos}, tmp_path / "videos")
    with pytest.raises(RunError, match=r"records of mine.*'segments'.*watch_untrimmed"):
        TemporalLocalization(find_recipe("watch_has"), tmp_path / "images").read_split("train")
    with pytest.raises(RunError, match=r"records of mine.*'label'.*parts"):
        ImageLocalization(tiny_recipe(), tmp_path / "videos").read_split("train")
    recipe = find_recipe("watch_has")
    assert len(TemporalLocalization(recipe, tmp_path / "videos").read_split("train")) == 3
