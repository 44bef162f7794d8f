import dataclasses
import json

import keras
import numpy as np
import pytest
from PIL import Image

tf = pytest.importorskip("tensorflow")

from keras_has import data  # noqa: E402
from keras_has.drawing import label_map_overlay  # noqa: E402
from keras_has.export import load_segmenter  # noqa: E402
from keras_has.ops.segmentation import confusion_matrix, segmentation_scores  # noqa: E402
from trainers.engine.run_directory import RunDirectory  # noqa: E402
from trainers.engine.run_error import RunError  # noqa: E402
from trainers.engine.training import load_network, train_recipe  # noqa: E402
from trainers.recipes.segmentation import RECIPES  # noqa: E402
from trainers.tasks.segmentation import Segmentation  # noqa: E402

BY_NAME = {recipe.name: recipe for recipe in RECIPES}
CLASSES = ("dark", "bright")


@pytest.fixture
def folder(tmp_path):
    return write_rectangles(tmp_path)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of the data, and that of a run on them."""
    root = tmp_path_factory.mktemp("finished")
    train_recipe(tiny(epochs=16, evaluate_every=16), root / "run", write_rectangles(root))
    return root / "rectangles", root / "run"


def write_rectangles(folder):
    """16 training and 5 validation images of two sizes: a bright rectangle on dark noise."""
    root = folder / "rectangles"
    for name in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (root / name).mkdir(parents=True)
    random = np.random.default_rng(0)
    for split, count in (("train", 16), ("val", 5)):
        names = [f"{split}_{n}" for n in range(count)]
        for n, name in enumerate(names):
            height, width = (40, 56) if n % 2 else (48, 33)
            mask = np.zeros((height, width), "uint8")
            top, left = random.integers(0, height - 20), random.integers(0, width - 20)
            mask[top : top + 20, left : left + 20] = 1
            pixels = random.integers(0, 120, (height, width, 3)) + 120 * mask[..., None]
            mask[0] = 255
            data.write_mask(root / "SegmentationClass" / f"{name}.png", mask)
            Image.fromarray(pixels.astype("uint8")).save(root / "JPEGImages" / f"{name}.png")
        (root / "ImageSets" / "Segmentation" / f"{split}.txt").write_text("\n".join(names))
    (root / "classes.txt").write_text("\n".join(CLASSES))
    return root


def tiny(**fields):
    settings = {
        "model": "small_gap",
        "map_stride": 4,
        "widths": (8, 8, 8),
        "image_size": 44,
        "patch_size": (0, 11),
        "epochs": 2,
        "batch_size": 8,
        "evaluate_every": 1,
        "batch_norm_momentum": None,
        "learning_rate": 0.1,
        **fields,
    }
    return BY_NAME["voc_folder_has"].override(
        **{name: value for name, value in settings.items() if value is not None}
    )


def loaded(folder, **fields):
    task = Segmentation(tiny(**fields), folder)
    task.load()
    return task


def test_a_finished_run_leaves_results_pictures_and_a_model(finished, capsys):
    folder, run = finished
    results = train_recipe(tiny(epochs=16, evaluate_every=16), run, folder)
    assert results == json.loads((run / "results.json").read_text())
    assert results["images"] == 5
    assert set(results["class_iou"]) == {"dark", "bright"}
    assert results["mean_iou"] == pytest.approx(np.mean(list(results["class_iou"].values())))
    assert results["mean_iou"] > results["most_frequent_class_per_pixel"]
    text = capsys.readouterr().out
    assert "finished" in text
    assert f"Mean IoU{100 * results['mean_iou']:44.1f}" in text
    assert "IoU of bright" in text
    assert (run / "panel.png").is_file()

    model = tf.saved_model.load(str(run / "saved_model"))
    confusion = np.zeros((2, 2), int)
    for example in data.pascal_voc(folder, "val").examples(columns=["mask"]):
        found = model.signatures["serving_default"](images=example["image"][None])["label_map"]
        confusion += confusion_matrix(example["mask"], found[0], 2)
    assert segmentation_scores(confusion)["mean_iou"] == pytest.approx(results["mean_iou"])


def test_a_resumed_run_has_the_weights_of_an_uninterrupted_one(folder, tmp_path, monkeypatch):
    recipe = tiny(epochs=2)
    train_recipe(recipe, tmp_path / "whole", folder)
    fit = keras.Model.fit

    def fit_one_epoch(model, *args, epochs, **kwargs):
        fit(model, *args, epochs=1, **kwargs)
        raise KeyboardInterrupt

    monkeypatch.setattr(keras.Model, "fit", fit_one_epoch)
    with pytest.raises(RunError, match="epoch 1 of 2"):
        train_recipe(recipe, tmp_path / "run", folder)
    monkeypatch.undo()
    train_recipe(recipe, tmp_path / "run", folder)
    task = loaded(folder)
    whole, resumed = (
        load_network(task, RunDirectory(tmp_path / name)).get_weights() for name in ("whole", "run")
    )
    for expected, found in zip(whole, resumed, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_photos_of_any_size_get_label_maps_of_their_size(finished):
    folder, run = finished
    model, metadata = load_segmenter(run / "saved_model")
    assert metadata.class_names == CLASSES
    assert metadata.longest_side == 56
    for shape in ((30, 20), (56, 40), (200, 70)):
        images = np.zeros((2, *shape, 3), "uint8")
        label_maps = model.signatures["serving_default"](images=tf.constant(images))["label_map"]
        assert label_maps.shape == (2, *shape)
        assert label_maps.dtype == tf.uint8
    path = folder / "JPEGImages" / "val_0.png"
    of_file = model.signatures["encoded"](encoded=tf.constant(path.read_bytes()))["label_map"]
    pixels = np.asarray(Image.open(path))[None]
    of_pixels = model.signatures["serving_default"](images=tf.constant(pixels))["label_map"]
    np.testing.assert_array_equal(of_file, of_pixels[0])
    empty = model.signatures["serving_default"](images=tf.zeros((0, 8, 9, 3), tf.uint8))
    assert empty["label_map"].shape == (0, 8, 9)


def test_crops_and_masks_come_from_the_same_place_of_the_image(folder):
    task = loaded(folder, patch_size=(0,))
    images, masks = next(iter(task.batches(0)))
    assert images.shape == (8, 44, 44, 3)
    assert masks.shape == (8, 44, 44)
    images, masks = images.numpy(), masks.numpy()
    assert images[masks == 1].min() >= 120
    assert images[masks == 0].max() < 120
    # What was added to images that are smaller has the mean color and no label.
    is_added = (images == 127.5).all(-1)
    assert is_added.any()
    assert (masks[is_added] == 255).all()


@pytest.mark.parametrize("mode", ["keep", "ignore"])
def test_hidden_pixels_have_the_mean_color_and_keep_or_lose_their_labels(folder, mode):
    settings = {"patch_size": (11,), "batch_size": 16}
    whole_images, whole_masks = next(iter(loaded(folder, **settings)._batches(0, is_hiding=False)))
    task = loaded(folder, hidden_pixels=mode, **settings)
    images, masks = (part.numpy() for part in next(iter(task.batches(0))))
    is_hidden = (images != whole_images.numpy()).any(-1)
    color = 127.5 * (1 + np.array(task.recipe.fill_value))
    np.testing.assert_allclose(images[is_hidden], np.tile(color, (is_hidden.sum(), 1)), rtol=1e-5)
    shares = is_hidden.reshape(16, 4, 11, 4, 11).mean((2, 4))
    assert 0.35 < is_hidden.mean() < 0.65
    # A patch is hidden or not; padding has the color of a fill only by chance.
    assert ((shares > 0.9) | (shares == 0)).mean() > 0.9
    if mode == "keep":
        np.testing.assert_array_equal(masks, whole_masks)
    else:
        assert (masks[is_hidden] == 255).all()
        patches = shares > 0
        seen = ~np.repeat(np.repeat(patches, 11, 1), 11, 2)
        np.testing.assert_array_equal(masks[seen], whole_masks.numpy()[seen])


def test_the_panel_of_training_images_shows_what_is_hidden_and_the_labels(folder):
    task = loaded(folder, patch_size=(44,), hide_probability=1.0)
    images, masks = next(iter(task.batches(0)))
    assert np.ptp(images, axis=(0, 1, 2)).max() == 0
    panel = task.training_panel()
    colors = {tuple(color) for color in panel.reshape(-1, 3).tolist()}
    hidden = np.rint(images[0, 0, 0]).astype("uint8")
    overlay = label_map_overlay(hidden[None, None], [[1]])[0, 0]
    assert {tuple(hidden.tolist()), tuple(overlay.tolist())} <= colors
    assert (masks.numpy() == 1).any()


def test_nothing_is_hidden_in_the_network(folder):
    task = loaded(folder, patch_size=(44,), hide_probability=1.0)
    model = task.build_model()
    model.get_layer("score").set_weights(
        [np.random.default_rng(0).normal(size=w.shape) for w in model.get_layer("score").weights]
    )
    images = np.random.default_rng(0).uniform(0, 255, (2, 44, 44, 3)).astype("float32")
    assert np.ptp(np.asarray(model(images, training=True)), axis=(1, 2)).max() > 1e-3


def test_bad_masks_are_named_or_left_out(folder, tmp_path, capsys):
    path = folder / "SegmentationClass" / "train_3.png"
    data.write_mask(path, np.full((40, 56), 9))
    with pytest.raises(RunError) as error:
        loaded(folder)
    assert str(path) in str(error.value) and "contains 9" in str(error.value)
    results = train_recipe(tiny(epochs=1), tmp_path / "run", folder, on_bad_image="skip")
    assert results["bad_images"] == 1
    text = capsys.readouterr().out
    assert "15 training images, 5 images of val.txt, 2 classes" in text
    assert f"{path}: its values" in text


def test_images_in_both_lists_are_refused(folder):
    with pytest.raises(RunError, match="5 images are in val.txt and in val.txt.*'val_0'"):
        loaded(folder, train_list="val")


def test_masks_of_void_alone_are_refused(folder):
    for path in (folder / "SegmentationClass").glob("val_*.png"):
        data.write_mask(path, np.full(data.read_mask(path).shape, 255))
    with pytest.raises(RunError, match="rectangles/val has no labelled pixel"):
        loaded(folder)


def test_published_figures_are_printed_below_the_table(folder):
    task = Segmentation(BY_NAME["voc_fcn_alexnet_has"], folder)
    names = ("mean_iou", "pixel_acc", "mean_class_acc")
    baselines = ("most_frequent_class", "most_frequent_class_per_pixel")
    results = {**dict.fromkeys((*names, *baselines), 0.5), "class_iou": {"car": 0.5, "cow": None}}
    *_, absent, published = task.results_table(results)
    assert "cow" in absent
    assert published.split() == ["published:", "Mean", "IoU", "49.31"]


def test_classes_without_a_training_pixel_are_named(folder):
    (folder / "classes.txt").write_text("dark\nbright\nblue\n")
    (problem,) = loaded(folder).problems
    assert "rectangles/train has no pixel of: blue" in problem


def test_changed_masks_are_noticed_before_a_run_is_resumed(folder, tmp_path):
    from trainers.engine.data_digest import digest

    before = loaded(folder)
    data.write_mask(folder / "SegmentationClass" / "train_3.png", np.zeros((40, 56)))
    after = loaded(folder)
    digests = [digest(task.train_split, task.val_split) for task in (before, after)]
    assert digests[0]["train"]["examples_per_class"] == [16, 16]
    assert digests[1]["train"]["examples_per_class"] == [16, 15]
    assert digests[0]["val"] == digests[1]["val"]


@pytest.mark.parametrize(
    "fields",
    [
        {"hidden_pixels": "forget"},
        {"output_stride": 4},
        {"resize_size": 50},
        {"pooling": "max"},
        {"tuning_share": 0.2},
        {"conv1_padding": 100},
        {"patch_size": (0,), "hidden_pixels": "ignore"},
    ],
)
def test_settings_that_are_invalid_or_have_no_effect_are_refused(fields):
    name, value = list(fields.items())[-1]
    with pytest.raises(ValueError, match=f"`{name}`.*{value}"):
        tiny(**fields)


@pytest.mark.parametrize("name", ["voc_fcn_alexnet", "voc_fcn_alexnet_has"])
def test_the_full_scale_recipes_build_the_published_network_and_schedule(folder, name):
    recipe = BY_NAME[name]
    task = Segmentation(dataclasses.replace(recipe, weights="random"), folder)
    names = tuple(f"class {n}" for n in range(21))
    task.train_split = dataclasses.replace(data.pascal_voc(folder), class_names=names)
    model = task.build_model()
    assert model.output.shape == (None, None, None, 21)
    assert model.count_params() == 56_954_261
    assert model.get_layer("conv1_pad").padding == ((100, 100), (100, 100))
    logits = model.get_layer("logits")
    assert (logits.stride, logits.offset) == (32, 13)
    optimizer = task.optimizer()
    assert (float(optimizer.learning_rate), optimizer.momentum) == (pytest.approx(1e-4), 0.9)
    assert not optimizer.nesterov
    assert recipe.epochs * task.steps_per_epoch == 100_000
    assert recipe.regimes == ((0, 1e-4, 5e-4),)
    assert recipe.batch_size == 20
    assert recipe.published == {"mean_iou": 49.31 if "has" in name else 48.0}
    assert any(recipe.patch_size) == ("has" in name)


def test_a_network_without_weights_says_which_ones_it_needs(folder):
    for name in ("voc_fcn_alexnet", "camvid_full"):
        task = Segmentation(BY_NAME[name], folder)
        task.train_split = data.pascal_voc(folder)
        with pytest.raises(RunError, match="--weights=PATH"):
            task.build_model()


def test_the_report_shows_figures_classes_and_label_maps(finished, tmp_path):
    pytest.importorskip("matplotlib")
    from trainers.reports.run_report import write_report

    folder, run = finished
    results = json.loads((run / "results.json").read_text())
    text = write_report(run, run, folder, tmp_path / "report.html", images=4).read_text()
    assert text.count(f"<td>{100 * results['mean_iou']:.1f}</td>") >= 2
    assert '<th scope="row">Most frequent class: mean IoU</th>' in text
    assert all(f"</span> {name}</li>" in text for name in CLASSES)
    assert "#800000" in text  # the color of class 1
    # Half of the images are a sample; nothing is gained or lost between equal runs.
    assert text.count("<image href=") == 2 * 4  # image, labels, and both runs
    assert all(f"Image val_{n}: true labels" in text for n in range(2))


def test_the_report_refuses_other_images(finished, tmp_path):
    pytest.importorskip("matplotlib")
    from trainers.reports.run_report import write_report

    _, run = finished
    other = write_rectangles(tmp_path)
    image = np.zeros((48, 33), "uint8")
    data.write_mask(other / "SegmentationClass" / "val_0.png", image)
    with pytest.raises(RunError, match="mean_iou"):
        write_report(run, None, other, tmp_path / "report.html")
