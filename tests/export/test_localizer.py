"""Exported models: what a program without this project gets equals what this project computes."""

import io
import json
import subprocess
import sys

import keras
import numpy as np
import pytest
from PIL import Image

tf = pytest.importorskip("tensorflow")

from keras_has.cams import CAM  # noqa: E402
from keras_has.data.exif_orientation import turn_upright  # noqa: E402
from keras_has.data.resize import resize_image  # noqa: E402
from keras_has.export import export_localizer, read_metadata  # noqa: E402
from keras_has.layers import HideAndSeek  # noqa: E402
from keras_has.models import SmallGAP  # noqa: E402
from keras_has.ops.boxes import boxes_from_maps, scale_boxes  # noqa: E402

CLASSES = ("ant", "bee", "Käfer")


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(3)
    hiding = [
        keras.layers.Rescaling(1 / 127.5, -1),
        HideAndSeek(8, hide_probability=1.0),
    ]
    return SmallGAP(3, (64, 64, 3), widths=(8, 8, 16), preprocessing=hiding)


@pytest.fixture(scope="module")
def exported(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("export") / "localizer"
    export_localizer(model, path, CLASSES, threshold=0.4)
    return path


def photographs(count, height, width, seed=0):
    """Smooth random pictures."""
    noise = np.random.default_rng(seed).integers(0, 256, (count, 6, 7, 3)).astype("float32")
    return (
        np.asarray(tf.image.resize(noise, (height, width), "bicubic")).clip(0, 255).astype("uint8")
    )


def in_process(model, images, class_index=None):
    squares = images
    if images.shape[1:3] != (64, 64):
        squares = np.asarray(resize_image(images, 64))
    probabilities = np.asarray(model(squares, training=False))
    chosen = np.argmax(probabilities, 1) if class_index is None else np.asarray(class_index)
    maps = np.asarray(CAM(model)(squares, chosen)[0])
    boxes = boxes_from_maps(maps, 0.4, (64, 64))
    return probabilities, chosen, scale_boxes(boxes, (64, 64), images.shape[1:3])


@pytest.mark.parametrize("size", [(64, 64), (50, 90), (200, 131)])
def test_pixels_in_boxes_out_equal_the_in_process_result(model, exported, size):
    images = photographs(5, *size)
    loaded = tf.saved_model.load(str(exported))
    out = loaded.signatures["serving_default"](images=tf.constant(images))
    probabilities, chosen, boxes = in_process(model, images)
    np.testing.assert_allclose(out["probabilities"], probabilities, atol=1e-5)
    np.testing.assert_array_equal(out["class_index"], chosen)
    assert out["cam"].shape == (5, 64, 64)
    np.testing.assert_allclose(out["box"], boxes, atol=1e-3)
    assert np.isfinite(boxes).any()


def test_a_class_that_is_known_is_localized(model, exported):
    images = photographs(3, 64, 64)
    loaded = tf.saved_model.load(str(exported))
    for label in range(3):
        wanted = np.full(3, label)
        out = loaded.signatures["of_class"](
            images=tf.constant(images), class_index=tf.constant(wanted, tf.int64)
        )
        np.testing.assert_array_equal(out["class_index"], wanted)
        np.testing.assert_allclose(out["box"], in_process(model, images, wanted)[2], atol=1e-3)
    for missing in (-1, 3):
        with pytest.raises(tf.errors.InvalidArgumentError, match="class_index"):
            loaded.signatures["of_class"](
                images=tf.constant(images), class_index=tf.constant([0, missing, 1], tf.int64)
            )


def test_files_of_different_sizes_go_in_together(model, exported):
    pictures = [photographs(1, h, w, seed=h)[0] for h, w in ((64, 64), (40, 90), (130, 70))]
    encoded = [tf.io.encode_png(picture) for picture in pictures[:2]]
    encoded.append(tf.io.encode_jpeg(pictures[2], quality=95))
    loaded = tf.saved_model.load(str(exported))
    out = loaded.signatures["encoded"](encoded=tf.stack(encoded))
    decoded = [*pictures[:2], np.asarray(tf.io.decode_image(encoded[2]))]
    for row, picture in enumerate(decoded):
        probabilities, chosen, boxes = in_process(model, picture[None])
        np.testing.assert_allclose(out["probabilities"][row], probabilities[0], atol=1e-5)
        assert int(out["class_index"][row]) == chosen[0]
        np.testing.assert_allclose(out["box"][row], boxes[0], atol=1e-3)


@pytest.mark.parametrize("orientation", [1, 2, 3, 4, 5, 6, 7, 8])
def test_files_that_a_camera_stored_turned_are_localized_upright(exported, orientation):
    inverse = {6: 8, 8: 6}.get(orientation, orientation)
    upright = photographs(1, 40, 90)
    turned = turn_upright(tf.constant(upright[0]), tf.constant(inverse)).numpy()
    image, file = Image.fromarray(turned), io.BytesIO()
    exif = image.getexif()
    exif[0x0112] = orientation
    image.save(file, "PNG", exif=exif)
    loaded = tf.saved_model.load(str(exported))
    of_file = loaded.signatures["encoded"](encoded=tf.constant([file.getvalue()]))
    of_pixels = loaded.signatures["serving_default"](images=tf.constant(upright))
    for name in ("box", "probabilities", "cam"):
        np.testing.assert_array_equal(of_file[name], of_pixels[name])


def test_it_runs_in_a_program_that_does_not_know_this_project(exported, tmp_path):
    np.save(tmp_path / "images.npy", photographs(2, 40, 60))
    program = f"""
import sys, json
import numpy as np, tensorflow as tf
images = np.load({str(tmp_path / "images.npy")!r}, allow_pickle=False)
model = tf.saved_model.load({str(exported)!r})
out = model.signatures["serving_default"](images=tf.constant(images))
print(json.dumps({{"box": out["box"].numpy().tolist(),
    "known": [m for m in sys.modules if m.split(".")[0] in ("keras_has", "cv2")]}}))
"""
    done = subprocess.run(  # noqa: S603 (our own program)
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    answer = json.loads(done.stdout.strip().splitlines()[-1])
    assert [name for name in answer["known"] if name.startswith("keras_has")] == []
    loaded = tf.saved_model.load(str(exported))
    images = tf.constant(photographs(2, 40, 60))
    expected = loaded.signatures["serving_default"](images=images)["box"]
    np.testing.assert_allclose(answer["box"], expected, atol=1e-4)


def test_an_empty_batch_gives_empty_results(exported):
    loaded = tf.saved_model.load(str(exported))
    of_pixels, of_files, of_class = (
        loaded.signatures[name](**arguments)
        for name, arguments in {
            "serving_default": {"images": tf.zeros((0, 50, 90, 3), tf.uint8)},
            "encoded": {"encoded": tf.zeros((0,), tf.string)},
            "of_class": {
                "images": tf.zeros((0, 64, 64, 3), tf.uint8),
                "class_index": tf.zeros((0,), tf.int64),
            },
        }.items()
    )
    for out in (of_pixels, of_files, of_class):
        assert out["box"].shape == (0, 4)
        assert out["cam"].shape == (0, 64, 64)
        assert out["probabilities"].shape == (0, 3)
        assert out["class_index"].shape == (0,)


def test_a_model_of_one_channel_takes_grey_pixels_and_files_of_any_colour(tmp_path):
    model = SmallGAP(
        3, (64, 64, 1), widths=(4, 8), preprocessing=keras.layers.Rescaling(1 / 127.5, -1)
    )
    export_localizer(model, tmp_path / "grey", (1, 2, 3), threshold=0.4)
    assert read_metadata(tmp_path / "grey").class_names == ("1", "2", "3")
    loaded = tf.saved_model.load(str(tmp_path / "grey"))
    colours = photographs(2, 64, 64)
    grey = tf.image.rgb_to_grayscale(colours)
    of_pixels = loaded.signatures["serving_default"](images=grey)
    encoded = tf.stack([tf.io.encode_png(colours[0]), tf.io.encode_png(grey[1])])
    of_files = loaded.signatures["encoded"](encoded=encoded)
    probabilities, _, boxes = in_process(model, np.asarray(grey))
    for out in (of_pixels, of_files):
        np.testing.assert_allclose(out["probabilities"], probabilities, atol=1e-5)
        np.testing.assert_allclose(out["box"], boxes, atol=1e-3)


def test_a_model_that_gives_logits_is_exported_with_probabilities(model, tmp_path):
    logits = keras.layers.Dense(3, name="predictions")
    twin = keras.Model(model.input, logits(model.get_layer("pooling").output))
    logits.set_weights(model.get_layer("predictions").get_weights())
    export_localizer(twin, tmp_path / "twin", CLASSES, threshold=0.4)
    loaded = tf.saved_model.load(str(tmp_path / "twin"))
    images = photographs(3, 64, 64)
    out = loaded.signatures["serving_default"](images=tf.constant(images))
    probabilities, _, boxes = in_process(model, images)
    np.testing.assert_allclose(out["probabilities"], probabilities, atol=1e-5)
    np.testing.assert_allclose(out["box"], boxes, atol=1e-3)


def test_metadata_stands_beside_the_model(exported):
    metadata = read_metadata(exported)
    assert metadata.class_names == CLASSES
    assert metadata.threshold == 0.4
    assert metadata.image_size == 64


def test_an_export_replaces_one_that_was_there_and_leaves_nothing_beside_it(model, tmp_path):
    path = tmp_path / "localizer"
    export_localizer(model, path, CLASSES, threshold=0.4)
    export_localizer(model, path, CLASSES, threshold=0.5)
    assert read_metadata(path).threshold == 0.5
    assert [child.name for child in tmp_path.iterdir()] == ["localizer"]


def test_what_is_wrong_is_named(model, tmp_path):
    with pytest.raises(ValueError, match="`threshold`"):
        export_localizer(model, tmp_path / "a", CLASSES, threshold=1.5)
    with pytest.raises(ValueError, match="each of the 3 classes"):
        export_localizer(model, tmp_path / "a", CLASSES[:2])
    with pytest.raises(ValueError, match="3 channels or 1"):
        export_localizer(SmallGAP(3, (64, 64, 4), widths=(4, 4)), tmp_path / "a", CLASSES)
    free = SmallGAP(3, (None, None, 3), widths=(4, 4))
    with pytest.raises(ValueError, match="one known size"):
        export_localizer(free, tmp_path / "a", CLASSES)
    with pytest.raises(FileNotFoundError, match="export_localizer"):
        read_metadata(tmp_path)
