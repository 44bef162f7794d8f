"""EfficientNet-Lite0: its table, its weights file, and the larger map that computes the same."""

import tarfile

import keras
import numpy as np
import pytest

from keras_has.models import EfficientNetLite0

SCALING = (1 / 127.5, -1.0)
FILE = "efficientnet_lite0_imagenet.weights.h5"
INDIGO_BUNTING, ALBATROSS = 14, 146  # ImageNet's numbers of two species that CUB has, too.


def run(model, layer, images):
    model = keras.Model(model.input, model.get_layer(layer).output)
    return np.asarray(keras.ops.convert_to_numpy(model(images, training=False)))


@pytest.fixture(scope="module")
def model():
    return EfficientNetLite0(1000, last_stage_stride=2)


def test_the_number_of_values_is_the_one_counted_by_hand(model):
    # Each block: expansion, depthwise, projection, with four values a channel of normalization.
    def block(channels, size, expansion, out):
        inner = channels * expansion
        expand = (channels * inner + 4 * inner) if expansion > 1 else 0
        return expand + size * size * inner + 4 * inner + inner * out + 4 * out

    total = 27 * 32 + 4 * 32 + block(32, 3, 1, 16)
    total += block(16, 3, 6, 24) + block(24, 3, 6, 24)
    total += block(24, 5, 6, 40) + block(40, 5, 6, 40)
    total += block(40, 3, 6, 80) + 2 * block(80, 3, 6, 80)
    total += block(80, 5, 6, 112) + 2 * block(112, 5, 6, 112)
    total += block(112, 5, 6, 192) + 3 * block(192, 5, 6, 192)
    total += block(192, 3, 6, 320)
    total += 320 * 1280 + 4 * 1280 + 1280 * 1000 + 1000
    assert total == 4_694_024
    assert model.count_params() == total
    assert len(model.weights) == 247


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        ("stem_relu", (112, 112, 32)),
        ("b0_bn2", (112, 112, 16)),
        ("b2_add", (56, 56, 24)),
        ("b4_add", (28, 28, 40)),
        ("b7_add", (14, 14, 80)),
        ("b10_add", (14, 14, 112)),
        ("b14_add", (7, 7, 192)),
        ("b15_bn2", (7, 7, 320)),
        ("cam_features", (7, 7, 1280)),
    ],
)
def test_the_maps_are_those_of_the_published_network(model, layer, shape):
    assert model.get_layer(layer).output.shape == (None, *shape)


def test_the_sum_is_taken_where_stride_and_channels_allow_it(model):
    sums = [layer.name for layer in model.layers if isinstance(layer, keras.layers.Add)]
    assert sums == [f"b{number}_add" for number in (2, 4, 6, 7, 9, 10, 12, 13, 14)]


@pytest.mark.parametrize(("pixels", "size"), [(224, 14), (160, 10)])
def test_the_default_map_is_twice_as_large(pixels, size):
    model = EfficientNetLite0(5, (pixels, pixels, 3))
    assert model.get_layer("cam_features").output.shape == (None, size, size, 1280)


# 64 pixels come to the last strided layer as 4 x 4, 80 as 5 x 5.
@pytest.mark.parametrize(("pixels", "first"), [(64, 1), (80, 0)])
def test_the_larger_map_holds_what_the_network_computed_at_every_second_position(pixels, first):
    published = EfficientNetLite0(5, (pixels, pixels, 3), last_stage_stride=2)
    enlarged = EfficientNetLite0(5, (None, None, 3), last_stage_stride=1)
    enlarged.set_weights(published.get_weights())
    images = np.random.default_rng(0).normal(size=(2, pixels, pixels, 3)).astype("float32")
    before, after = run(published, "b11_bn1", images), run(enlarged, "b11_bn1", images)
    assert np.ptp(before) > 0.01
    assert after.shape[1] == pixels // 16
    np.testing.assert_allclose(after[:, first::2, first::2], before, atol=1e-4)


def test_the_momentum_reaches_every_normalization():
    model = EfficientNetLite0(5, (32, 32, 3), batch_norm_momentum=0.9)
    momenta = [
        layer.momentum
        for layer in model.layers
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    assert momenta == [0.9] * 49


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"last_stage_stride": 3}, r"`last_stage_stride` should be 1 or 2\. Received: .*=3"),
        ({"batch_norm_momentum": 1.0}, r"`batch_norm_momentum` should be .*=1\.0"),
    ],
)
def test_an_argument_outside_its_range_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        EfficientNetLite0(5, (32, 32, 3), **arguments)


def birds(shared_data, folder, count):
    """The first images of one class of CUB, as squares of 224 pixels."""
    cv2 = pytest.importorskip("cv2")
    images = []
    with tarfile.open(shared_data / "cub-25.tar") as archive:
        for member in archive:
            if f"/{folder}/" in member.name and member.name.endswith(".jpg"):
                content = np.frombuffer(archive.extractfile(member).read(), "uint8")
                image = cv2.imdecode(content, cv2.IMREAD_COLOR)[..., ::-1]
                images.append(cv2.resize(image, (224, 224), interpolation=cv2.INTER_AREA))
            if len(images) == count:
                break
    return np.stack(images).astype("float32")


def test_the_imagenet_weights_name_birds(shared_data):
    path = shared_data / "weights" / FILE
    rescaling = keras.layers.Rescaling(*SCALING)
    model = EfficientNetLite0(weights=path, last_stage_stride=2, preprocessing=rescaling)
    birds_of_both = {"014.Indigo_Bunting": INDIGO_BUNTING, "001.Black_footed_Albatross": ALBATROSS}
    for folder, label in birds_of_both.items():
        images = birds(shared_data, folder, 8)
        probabilities = run(model, "predictions", images)
        assert (probabilities.argmax(axis=1) == label).mean() >= 0.75


def test_a_new_classifier_starts_fresh_on_the_weights_of_the_file(shared_data):
    path = shared_data / "weights" / FILE
    whole = EfficientNetLite0(1000, (32, 32, 3), weights=path)
    fresh = EfficientNetLite0(5, (32, 32, 3), weights=path)
    assert fresh.get_layer("predictions").kernel.shape == (1280, 5)
    for layer in ("stem", "b0_dw", "b15_bn2", "head_bn"):
        for mine, theirs in zip(
            fresh.get_layer(layer).get_weights(), whole.get_layer(layer).get_weights(), strict=True
        ):
            np.testing.assert_array_equal(mine, theirs)
            assert np.ptp(mine) > 0
