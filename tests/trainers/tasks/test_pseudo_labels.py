import json
import shutil

import numpy as np
import pytest
from PIL import Image

tf = pytest.importorskip("tensorflow")

from keras_has import data  # noqa: E402
from trainers.engine.run_error import RunError  # noqa: E402
from trainers.engine.training import train_recipe  # noqa: E402
from trainers.recipes.pets import RECIPES  # noqa: E402
from trainers.tasks.pseudo_labels import results_table, seed_mask, write_pseudo_labels  # noqa: E402


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Red and blue rectangles on grey noise, with a head: the upper half of the rectangle."""
    root = tmp_path_factory.mktemp("pets")
    for name in ("images", "trimaps", "head_boxes"):
        (root / name).mkdir()
    random = np.random.default_rng(0)
    for image_list, count in (("trainval", 40), ("test", 6)):
        lines = []
        for n in range(count):
            name, breed = f"{image_list}_{n}", ("red", "blue")[n % 2]
            lines.append(f"{name} {breed}")
            trimap = np.full((40, 48), 2, "uint8")
            top, left = random.integers(0, 20), random.integers(0, 28)
            trimap[top : top + 20, left : left + 20] = 1
            pixels = random.integers(60, 120, (40, 48, 3))
            pixels[trimap == 1] = (255, 0, 0) if breed == "red" else (0, 0, 255)
            trimap[-1] = 3
            Image.fromarray(pixels.astype("uint8")).save(root / "images" / f"{name}.jpg")
            Image.fromarray(trimap).save(root / "trimaps" / f"{name}.png")
            box = f"{left} {top} {left + 19} {top + 9}\n"
            (root / "head_boxes" / f"{name}.txt").write_text(box)
        (root / f"{image_list}.txt").write_text("\n".join(lines) + "\n")
    return root


@pytest.fixture(scope="module")
def run(folder):
    recipe = RECIPES[0].override(
        model="small_gap",
        map_stride=4,
        widths=(8, 8, 8),
        image_size=32,
        resize_size=36,
        epochs=6,
        batch_size=8,
        evaluate_every=6,
        learning_rate=0.05,
        tuning_share=0.2,
    )
    train_recipe(recipe, folder.parent / "run", folder)
    return folder.parent / "run"


def test_seeds_are_written_beside_the_true_masks_of_the_test_images(folder, run, tmp_path):
    results = write_pseudo_labels(run, tmp_path / "seeds")
    assert results == json.loads((tmp_path / "seeds" / "pseudo_labels.json").read_text())
    train, test = (data.pascal_voc(tmp_path / "seeds", split) for split in ("train", "test"))
    assert train.class_names == ("background", "blue", "red")
    assert sorted(train.ids) == sorted(data.pets(folder).ids)
    truth = {True: [], False: []}
    breeds = {
        name: 1 + ("red" in breed)
        for name, breed in map(str.split, (folder / "trainval.txt").read_text().splitlines())
    }
    for name, path in zip(train.ids, train["mask"], strict=True):
        seed = data.read_mask(path)
        assert set(np.unique(seed)) <= {0, breeds[name]}
        assert seed.shape == (40, 48)
        truth[bool((seed > 0).any())].append(name)
    assert len(truth[True]) == 40
    for name, path in zip(test.ids, test["mask"], strict=True):
        trimap = np.asarray(Image.open(folder / "trimaps" / f"{name}.png"))
        mask = data.read_mask(path)
        np.testing.assert_array_equal(mask == 255, trimap == 3)
        np.testing.assert_array_equal((mask > 0) & (mask < 255), trimap == 1)
    copied = (tmp_path / "seeds" / "JPEGImages" / "test_0.jpg").read_bytes()
    assert copied == (folder / "images" / "test_0.jpg").read_bytes()


def test_the_threshold_is_the_best_on_the_images_trained_on(run, tmp_path):
    results = write_pseudo_labels(run, tmp_path / "seeds")
    curve = results["mean_iou_by_threshold"]
    assert results["threshold"] == results["thresholds"][int(np.argmax(curve))]
    assert results["seed_mean_iou_trained"] == max(curve)
    assert results["seed_mean_iou_held_out"] > results["whole_image_mean_iou_held_out"]
    assert results["head_images"] == 8
    # The head is half of the animal: covering both alike is what the whole rectangle would give.
    assert 0 < results["head_covered"] <= 1
    assert 0 < results["rest_covered"] <= 1
    assert results["seed_on_head"] + results["seed_on_rest"] <= 1
    assert any("Share of the head" in line for line in results_table(results))


def test_an_existing_folder_and_other_data_are_refused(run, tmp_path):
    with pytest.raises(RunError, match=str(tmp_path)):
        write_pseudo_labels(run, tmp_path)
    other = shutil.copytree(run, tmp_path / "other")
    recipe = json.loads((other / "recipe.json").read_text())
    (other / "recipe.json").write_text(json.dumps({**recipe, "dataset": "cub"}))
    with pytest.raises(RunError, match="dataset=pets.*cub"):
        write_pseudo_labels(other, tmp_path / "seeds")


def test_a_map_without_a_positive_value_is_background():
    assert not seed_mask(np.zeros((2, 2)), (4, 4), 3, 0.5).any()
    assert not seed_mask(-np.ones((2, 2)), (4, 4), 3, 0.5).any()
    assert (seed_mask(np.ones((2, 2)), (4, 4), 3, 0.5) == 3).all()
