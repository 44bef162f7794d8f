"""FCN: where its maps lie, what is added, its published figures, and every backbone."""

import keras
import numpy as np
import pytest

from keras_has.layers import PadToMultiple
from keras_has.models import FCN, AlexNet, EfficientNetLite0, GAPClassifier, SmallGAP
from keras_has.models.cell_grid import CellGrid, cell_grids

ANY_SIZE = (None, None, 3)


def array(tensor):
    return keras.ops.convert_to_numpy(tensor)


def small_backbone(activation="relu"):
    """Strides 2, 4, 8, 16, 32 with one convolution each, padding of the kind "same"."""
    x = inputs = keras.Input(ANY_SIZE)
    for number in range(5):
        x = keras.layers.Conv2D(4, 3, 2, "same", activation=activation, name=f"c{number}")(x)
    return keras.Model(inputs, x)


def bilinear_deconvolution(scores, size, offset):
    """Caffe's transposed convolution of stride 32 with its bilinear filler, and the crop."""
    kernel_side = 63
    line = 1 - np.abs(np.arange(kernel_side) - 31) / 32
    rows, columns = scores.shape
    canvas = np.zeros((32 * rows + 31, 32 * columns + 31))
    for row in range(rows):
        for column in range(columns):
            window = canvas[32 * row : 32 * row + 63, 32 * column : 32 * column + 63]
            window += scores[row, column] * np.outer(line, line)
    return canvas[offset : offset + size[0], offset : offset + size[1]]


def test_fcn_alexnet_has_the_published_layers_and_crop_offset():
    classifier = AlexNet(input_shape=ANY_SIZE, conv1_padding=100)
    model = FCN(classifier)
    shapes = {
        layer.name: tuple(layer.kernel.shape)
        for layer in model.layers
        if isinstance(layer, keras.layers.Conv2D)
    }
    assert shapes == {
        "conv1": (11, 11, 3, 96),
        "conv2": (5, 5, 48, 256),
        "conv3": (3, 3, 256, 384),
        "conv4": (3, 3, 192, 384),
        "conv5": (3, 3, 192, 256),
        "fc6": (6, 6, 256, 4096),
        "fc7": (1, 1, 4096, 4096),
        "score": (1, 1, 4096, 21),
    }
    groups = {name: model.get_layer(name).groups for name in shapes}
    assert [name for name, count in groups.items() if count == 2] == ["conv2", "conv4", "conv5"]
    assert model.count_params() == 60_965_224 - 4_097_000 + 86_037
    # The bilinear kernel of 63 centers cell 0 at 31, of which the published crop takes 18.
    upsampling = model.get_layer("logits")
    assert (upsampling.stride, upsampling.offset) == (32, 31 - 18)


def test_upsampling_is_the_published_transposed_convolution_and_crop():
    model = FCN(AlexNet(input_shape=ANY_SIZE, conv1_padding=100))
    scores = np.random.default_rng(0).normal(size=(5, 6)).astype("float32")
    size = (100, 130)  # within the first and last cell, at 13 and 13 + 32 * 4
    expected = bilinear_deconvolution(scores, size, 18)
    found = model.get_layer("logits")([scores[None, ..., None], np.zeros((1, *size, 3))])
    np.testing.assert_allclose(array(found)[0, 13:, 13:, 0], expected[13:, 13:], atol=1e-5)


def test_the_poolings_of_alexnet_round_up_as_caffe_does():
    model = AlexNet(input_shape=(500, 375, 3), conv1_padding=100)
    sizes = [model.get_layer(name).output.shape[1:3] for name in ("conv1", "pool1", "pool2", "fc6")]
    assert sizes == [(173, 142), (86, 71), (43, 35), (16, 12)]


@pytest.mark.parametrize("stride", [1, 2, 4, 8, 16, 32])
def test_a_cell_lies_at_the_center_of_its_receptive_field(stride):
    backbone = small_backbone(activation=None)
    for layer in backbone.layers[1:]:
        layer.set_weights([np.ones_like(weights) for weights in layer.get_weights()])
        layer.bias.assign(np.zeros(4))
    grids = cell_grids(backbone)
    (tensor,) = [
        t
        for t in (backbone.input, *(layer.output for layer in backbone.layers[1:]))
        if grids[id(t)].stride == stride
    ]
    # The response of one cell to each row of the image; windows of ones are symmetric.
    size, cell = 192, 96 // stride
    columns = np.zeros((size, size, size, 1), "float32")
    columns[np.arange(size), np.arange(size)] = 1
    network = keras.Model(backbone.input, tensor)
    response = array(network(np.repeat(columns, 3, -1)))[:, cell, cell].sum(-1)
    center = (response * np.arange(size)).sum() / response.sum()
    assert center == pytest.approx(grids[id(tensor)].offset + stride * cell)


def test_cells_of_vgg_and_resnet_lie_where_their_padding_puts_them():
    vgg = keras.applications.VGG16(include_top=False, weights=None, input_shape=ANY_SIZE)
    assert cell_grids(vgg)[id(vgg.output)] == CellGrid(32, 15.5)
    resnet = keras.applications.ResNet50(include_top=False, weights=None, input_shape=ANY_SIZE)
    assert cell_grids(resnet)[id(resnet.output)] == CellGrid(32, 0)


@pytest.mark.parametrize(
    ("build", "maps"),
    [
        (lambda: AlexNet(input_shape=ANY_SIZE, conv1_padding=100), ("pool2", "pool1")),
        (
            lambda: GAPClassifier("VGG16", input_shape=ANY_SIZE),
            ("block4_pool", "block3_pool"),
        ),
        (
            lambda: GAPClassifier("ResNet50", input_shape=ANY_SIZE),
            ("conv4_block6_out", "conv3_block4_out"),
        ),
        (
            lambda: GAPClassifier("MobileNetV2", input_shape=ANY_SIZE),
            ("block_13_expand_relu", "block_6_expand_relu"),
        ),
        (
            lambda: EfficientNetLite0(5, ANY_SIZE, last_stage_stride=2),
            ("b11_relu0", "b5_relu0"),
        ),
    ],
)
def test_fcn_8s_adds_the_maps_of_stride_16_and_8(build, maps):
    model = FCN(build(), 3, output_stride=8)
    sources = [model.get_layer(f"score_{stride}").input for stride in (16, 8)]
    for source, name in zip(sources, maps, strict=True):
        assert source is model.get_layer(name).output


def test_output_stride_32_and_16_leave_out_finer_maps():
    for stride, names in ((32, []), (16, ["score_16"]), (8, ["score_16", "score_8"])):
        model = FCN(small_backbone(), 3, stride)
        assert [layer.name for layer in model.layers if layer.name.startswith("score_")] == names
    fine = FCN(SmallGAP(3, ANY_SIZE), 3, 8)  # stride 4: there is nothing to add
    assert not any(layer.name.startswith("score_") for layer in fine.layers)


@pytest.mark.backends
def test_the_sum_of_upsampled_scores_is_computed_at_the_places_of_the_cells():
    model = FCN(small_backbone(), 2, 16)
    images = np.random.default_rng(0).normal(size=(1, 64, 96, 3)).astype("float32")
    for layer in (model.get_layer("score"), model.get_layer("score_16")):
        layer.set_weights(
            [np.random.default_rng(1).normal(size=w.shape) for w in layer.get_weights()]
        )
    parts = [model.get_layer(name).output for name in ("score", "score_16")]
    coarse, fine = (array(part)[0] for part in keras.Model(model.input, parts)(images))

    # Centers: stride 32 at 31 + 32 i, stride 16 at 15 + 16 i.
    def interpolated(values, places, first, stride):
        return np.interp(places, first + stride * np.arange(len(values)), values)

    def resized(part, rows, columns, first, stride):
        part = np.apply_along_axis(interpolated, 0, part, rows, first, stride)
        return np.apply_along_axis(interpolated, 1, part, columns, first, stride)

    rows, columns = 15 + 16 * np.arange(fine.shape[0]), 15 + 16 * np.arange(fine.shape[1])
    fused = fine + resized(coarse, rows, columns, 31, 32)
    expected = resized(fused, np.arange(64), np.arange(96), 15, 16)
    np.testing.assert_allclose(array(model(images))[0], expected, atol=1e-4)


@pytest.mark.parametrize("size", [(50, 70), (64, 32)])
def test_logits_have_the_size_of_the_image_whatever_it_is(size):
    backbone = EfficientNetLite0(5, ANY_SIZE, last_stage_stride=2, preprocessing=PadToMultiple(32))
    logits = array(FCN(backbone, 3, 8)(np.zeros((2, *size, 3))))
    assert logits.shape == (2, *size, 3)
    assert logits.dtype == np.float32
    np.testing.assert_array_equal(logits, 0)  # zero scores at the start


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_logits_stay_float32_under_mixed_precision(policy):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        model = FCN(small_backbone(), 3, 8)
    finally:
        keras.config.set_dtype_policy(before)
    assert model.get_layer("score").compute_dtype == policy.removeprefix("mixed_")
    assert array(model(np.zeros((1, 64, 64, 3)))).dtype == np.float32


def test_the_weights_of_the_classifier_are_transplanted():
    classifier = SmallGAP(3, ANY_SIZE)
    model = FCN(classifier, 7)
    kernels = [layer for layer in classifier.layers if layer.name.startswith("conv")]
    assert kernels
    assert all(model.get_layer(layer.name) is layer for layer in kernels)


def test_it_trains_and_a_saved_model_comes_back_equal(tmp_path):
    model = FCN(small_backbone(), 3, 8)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.1), loss)
    images = np.random.default_rng(0).normal(size=(4, 32, 64, 3)).astype("float32")
    labels = (images[..., 0] > 0).astype("int32")
    losses = model.fit(images, labels, epochs=4, verbose=0).history["loss"]
    assert losses[0] == pytest.approx(np.log(3), abs=1e-3)
    assert losses[-1] < losses[0]
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(array(loaded(images)), array(model(images)), atol=1e-5)


def test_arguments_out_of_range_are_refused_with_their_values():
    with pytest.raises(ValueError, match="output_stride=4"):
        FCN(small_backbone(), 3, 4)
    with pytest.raises(ValueError, match="num_classes=0"):
        FCN(small_backbone(), 0)
    inputs = keras.Input((8,))
    with pytest.raises(ValueError, match="cam_features"):
        FCN(keras.Model(inputs, keras.layers.Dense(2)(inputs)))
