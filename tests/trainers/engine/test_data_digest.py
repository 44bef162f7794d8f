"""What a run was trained on: recorded, compared, and refused or accepted when it changed."""

import json
import shutil

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from keras_has.data import Dataset  # noqa: E402
from trainers.engine.data_digest import changes, digest  # noqa: E402
from trainers.engine.run_error import RunError  # noqa: E402
from trainers.engine.training import train_recipe  # noqa: E402


def dataset(labels, names=("cat", "dog"), ids=None):
    labels = np.array(labels)
    ids = [str(number) for number in range(len(labels))] if ids is None else ids
    return Dataset("made/train", ids, {"label": labels}, class_names=list(names))


def changed(train, before=(0, 1, 1), **fields):
    recorded = json.loads(json.dumps(digest(dataset(before, **fields), dataset([0, 1]))))
    return changes(recorded, digest(train, dataset([0, 1], train.class_names)), "run")


def test_the_digest_counts_the_examples_of_each_class():
    content = digest(dataset([0, 1, 1]), dataset([1]))
    assert content["class_names"] == ["cat", "dog"]
    assert content["train"]["examples"] == 3
    assert content["train"]["examples_per_class"] == [1, 2]
    assert content["val"]["examples_per_class"] == [0, 1]


def test_equal_data_have_no_changes():
    assert changed(dataset([0, 1, 1])) == []


@pytest.mark.parametrize(
    ("train", "stated"),
    [
        (dataset([0, 1, 1, 1]), ["4 examples instead of 3", "dog 3 instead of 2"]),
        (dataset([1, 0, 1]), ["3 examples as before", "other ids or labels"]),
        (dataset([0, 1, 1], ids=["0", "1", "3"]), ["3 examples as before"]),
        # Without lengths, "1", "12" and "11", "2" would have the same checksum.
        (dataset([0, 1], ids=["11", "2"]), ["2 examples instead of 3"]),
    ],
)
def test_changed_examples_are_described_with_their_counts(train, stated):
    (sentence,) = changed(train)
    assert sentence.startswith("train: ")
    for part in stated:
        assert part in sentence


def test_ids_that_are_equal_when_joined_are_told_apart():
    (sentence,) = changed(dataset([0, 1], ids=["11", "2"]), before=(0, 1), ids=["1", "12"])
    assert "other ids" in sentence


def test_labels_of_several_classes_are_counted_by_class():
    labels = np.array([[True, True], [False, True]])
    several = Dataset("made/train", ["a", "b"], {"labels": labels}, class_names=["cat", "dog"])
    assert digest(several, several)["train"]["examples_per_class"] == [1, 2]


def test_the_evaluated_classes_may_be_others():
    people = dataset([0, 1, 2], ("3", "4", "5"))
    before = digest(dataset([0, 1]), people)
    assert before["class_names"] == ["cat", "dog"]
    assert before["val"]["class_names"] == ["3", "4", "5"]
    assert changes(before, before, "run") == []
    (change,) = changes(before, digest(dataset([0, 1]), dataset([0, 1, 1], ("3", "4", "5"))), "run")
    assert "4 2 instead of 1" in change
    (change,) = changes(before, digest(dataset([0, 1]), dataset([0, 1], ("3", "4"))), "run")
    assert "2 classes instead of 3" in change


@pytest.mark.parametrize(
    ("names", "stated"),
    [
        (("dog", "cat"), "another order"),
        (("ant", "cat", "dog"), "3 classes instead of 2: 1 added, such as 'ant'"),
        (("cat", "cow"), "1 added, such as 'cow' and 1 removed, such as 'dog'"),
    ],
)
def test_other_classes_are_an_error_that_says_which(names, stated):
    with pytest.raises(RunError) as error:
        changed(dataset([0, 1, 1], names))
    assert stated in str(error.value)


@pytest.mark.parametrize(
    "content",
    [
        [],
        None,
        "text",
        {},
        {"class_names": 3, "train": {}, "val": {}},
        {"class_names": ["cat"], "train": [], "val": {}},
        {
            "class_names": ["cat"],
            "train": {"examples_per_class": [1, 2], "sha256": ""},
            "val": {"examples_per_class": [1], "sha256": ""},
        },
    ],
)
def test_a_damaged_digest_is_named(content):
    current = digest(dataset([0]), dataset([0]))
    with pytest.raises(RunError, match=r"run/data\.json is damaged"):
        changes(content, current, "run")


@pytest.fixture
def cut_run(own_recipe, folder, tmp_path):
    """A run of two epochs on `folder` that was killed after the first, and its recipe."""
    train_recipe(own_recipe().override(epochs=1), tmp_path / "run", folder)
    (tmp_path / "run" / "results.json").unlink()
    recipe = tmp_path / "run" / "recipe.json"
    fields = json.loads(recipe.read_text())
    recipe.write_text(json.dumps({**fields, "epochs": 2}))
    return tmp_path / "run", own_recipe()


def epochs_of(run_dir):
    return len(json.loads((run_dir / "checkpoint.json").read_text())["history"])


def test_a_run_resumes_on_more_images_only_if_that_is_accepted(cut_run, folder, capsys):
    run_dir, recipe = cut_run
    shutil.copy(folder / "train" / "red" / "0.png", folder / "train" / "red" / "new.png")
    with pytest.raises(RunError, match=r"25 examples instead of 24 \(red 13 instead of 12\)"):
        train_recipe(recipe, run_dir, folder)
    assert epochs_of(run_dir) == 1
    train_recipe(recipe, run_dir, folder, accept_changed_data=True)
    assert "25 examples instead of 24" in capsys.readouterr().out
    assert epochs_of(run_dir) == 2
    content = json.loads((run_dir / "data.json").read_text())
    assert content["train"]["examples_per_class"] == [12, 13]


def test_a_run_never_resumes_on_classes_in_another_order(cut_run, folder):
    run_dir, recipe = cut_run
    (folder / "boxes.csv").unlink()
    for split in ("train", "val"):  # blue, red becomes red, violet.
        (folder / split / "blue").rename(folder / split / "violet")
    with pytest.raises(RunError, match=r"'violet'.*'blue'"):
        train_recipe(recipe, run_dir, folder, accept_changed_data=True)
    assert epochs_of(run_dir) == 1


def test_one_more_class_is_not_called_a_damaged_checkpoint(cut_run, folder):
    run_dir, recipe = cut_run
    for split in ("train", "val"):
        shutil.copytree(folder / split / "red", folder / split / "violet")
    with pytest.raises(RunError, match="3 classes instead of 2: 1 added") as error:
        train_recipe(recipe, run_dir, folder)
    assert "damaged" not in str(error.value)
    (run_dir / "data.json").unlink()  # As an older version left it.
    with pytest.raises(RunError, match="do not fit the network.*is intact"):
        train_recipe(recipe, run_dir, folder)


def test_a_run_without_a_digest_is_accepted_once(cut_run, folder, capsys):
    run_dir, recipe = cut_run
    recorded = json.loads((run_dir / "data.json").read_text())
    (run_dir / "data.json").unlink()
    train_recipe(recipe, run_dir, folder)
    assert "does not record what it was trained on" in capsys.readouterr().out
    assert json.loads((run_dir / "data.json").read_text()) == recorded
    assert epochs_of(run_dir) == 2


def test_other_boxes_are_a_change_unless_the_run_did_not_record_them():
    def boxed(corner):
        columns = {"label": [0, 1], "boxes": [[[0, 0, 5, corner]], []]}
        return Dataset("made/val", ["0", "1"], columns, class_names=["cat", "dog"])

    recorded = digest(dataset([0, 1]), boxed(5))
    assert changes(recorded, digest(dataset([0, 1]), boxed(5)), "run") == []
    assert changes(recorded, digest(dataset([0, 1]), boxed(6)), "run") == [
        "val: other boxes or segments"
    ]
    del recorded["val"]["sha256_of_truth"]
    assert changes(recorded, digest(dataset([0, 1]), boxed(6)), "run") == []
