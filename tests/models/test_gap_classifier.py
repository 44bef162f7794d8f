"""GAPClassifier: copies of backbones, and maps twice as large that compute the same values."""

import keras
import numpy as np
import pytest

from keras_has.models import GAPClassifier

layers = keras.layers


def toy_backbone(last_stride=2, zeros=((0, 1), (0, 1)), size=32):
    """A small network with one layer of each kind that keras.applications ends its stages with.

    With `last_stride=1` and even `zeros` it is, written by hand, what GAPClassifier has to make.
    """
    inputs = keras.Input((size, size, 3))
    x = layers.Conv2D(4, 3, strides=2, padding="same", name="stem")(inputs)
    x = layers.MaxPooling2D(2, name="stem_pool")(x)
    x = layers.BatchNormalization(name="stem_bn")(x)
    # ResNet: 1 x 1 convolutions on both branches; maximum pooling with a window of 1, as in V2.
    residual = layers.Conv2D(6, 1, strides=last_stride, use_bias=False, name="residual")(x)
    shortcut = layers.MaxPooling2D(1, strides=last_stride, name="shortcut")(x)
    shortcut = layers.Conv2D(6, 1, name="shortcut_conv")(shortcut)
    x_resnet = layers.Add(name="add")([residual, shortcut])
    # MobileNet: a depthwise convolution after zeros of its own.
    x_mobile = layers.ZeroPadding2D(zeros, name="zeros")(x)
    x_mobile = layers.DepthwiseConv2D(3, strides=last_stride, name="depthwise")(x_mobile)
    # Xception: separable convolution, and pooling that pads.
    x_same = layers.SeparableConv2D(5, 3, strides=last_stride, padding="same", name="separable")(x)
    x_pool = layers.MaxPooling2D(3, strides=last_stride, padding="same", name="pool")(x)
    x = layers.Concatenate(name="concatenate")([x_resnet, x_mobile, x_same, x_pool])
    # Squeeze and excitation, which passes through vectors.
    channels = x.shape[-1]
    gate = layers.GlobalAveragePooling2D(name="squeeze")(x)
    gate = layers.Reshape((1, 1, channels), name="squeeze_map")(gate)
    gate = layers.Conv2D(channels, 1, activation="sigmoid", name="excite")(gate)
    x = layers.Multiply(name="gated")([x, gate])
    x = layers.Conv2D(8, 3, padding="same", activation="relu", name="last")(x)
    return keras.Model(inputs, x, name="toy")


def map_model(model):
    return keras.Model(model.input, model.get_layer("cam_features").output)


def run(model, images):
    """What a model computes for inference, op by op: quicker here than compiling it."""
    return keras.tree.map_structure(keras.ops.convert_to_numpy, model(images, training=False))


def images_of(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


@pytest.fixture(scope="module")
def toy():
    return toy_backbone()


@pytest.mark.backends
def test_stride_1_equals_the_network_written_with_stride_1_by_hand(toy):
    by_hand = toy_backbone(last_stride=1, zeros=((1, 1), (1, 1)))
    by_hand.set_weights(toy.get_weights())
    model = GAPClassifier(toy, 5, last_stage_stride=1)
    images = images_of(2, 32, 32, 3)
    assert toy.output.shape == (None, 4, 4, 8)
    maps = run(map_model(model), images)
    assert maps.shape == (2, 8, 8, 8)
    np.testing.assert_allclose(maps, run(by_hand, images), atol=1e-5)
    assert np.ptp(maps) > 0


@pytest.mark.backends
def test_stride_2_is_the_backbone_as_it_is(toy):
    images = images_of(2, 32, 32, 3)
    model = GAPClassifier(toy, 5)
    np.testing.assert_allclose(run(map_model(model), images), run(toy, images), atol=1e-6)


# For an even map, a window of 3 that starts at 2i (stride 2) is centred at 2i + 1 (stride 1).
@pytest.mark.backends
@pytest.mark.parametrize(
    ("layer", "offset"),
    [("residual", 0), ("shortcut", 0), ("depthwise", 1), ("separable", 1), ("pool", 1)],
)
def test_every_second_position_of_each_changed_layer_is_what_it_was(toy, layer, offset):
    model = GAPClassifier(toy, 5, last_stage_stride=1)
    images = images_of(2, 32, 32, 3)
    before = run(keras.Model(toy.input, toy.get_layer(layer).output), images)
    after = run(keras.Model(model.input, model.get_layer(layer).output), images)
    assert before.shape[1:3] == (4, 4)
    assert after.shape[1:3] == (8, 8)
    np.testing.assert_allclose(after[:, offset::2, offset::2], before, atol=1e-6)


@pytest.mark.backends
@pytest.mark.parametrize(
    ("layer", "size_before", "size_after", "offset"),
    [
        # 15 positions come in. An odd window is centred on each, an even one lies between two.
        (layers.Conv2D(4, 3, strides=2, name="changed"), 7, 15, 1),
        (layers.MaxPooling2D(3, strides=2, name="changed"), 7, 15, 1),
        (layers.MaxPooling2D(2, name="changed"), 7, 14, 0),
        (layers.Conv2D(4, 5, strides=2, padding="same", name="changed"), 8, 15, 0),
    ],
)
def test_windows_keep_their_values_whatever_their_padding(layer, size_before, size_after, offset):
    inputs = keras.Input((15, 15, 3))
    backbone = keras.Model(inputs, type(layer).from_config(layer.get_config())(inputs))
    images = images_of(2, 15, 15, 3)
    before = run(backbone, images)
    after = run(map_model(GAPClassifier(backbone, 5, last_stage_stride=1)), images)
    assert before.shape[1:3] == (size_before, size_before)
    assert after.shape[1:3] == (size_after, size_after)
    matching = after[:, offset::2, offset::2][:, :size_before, :size_before]
    np.testing.assert_allclose(matching, before, atol=1e-6)


@pytest.mark.backends
def test_a_backbone_of_unknown_size_gives_the_same_map():
    sized = toy_backbone(zeros=((1, 1), (1, 1)))
    unsized = toy_backbone(zeros=((1, 1), (1, 1)), size=None)
    unsized.set_weights(sized.get_weights())
    images = images_of(1, 32, 32, 3)
    maps = [
        run(map_model(GAPClassifier(backbone, 5, last_stage_stride=1)), images)
        for backbone in (sized, unsized)
    ]
    assert maps[0].shape == (1, 8, 8, 8)
    np.testing.assert_allclose(maps[0], maps[1], atol=1e-6)


@pytest.mark.backends
def test_the_backbone_is_copied_and_left_as_it_is(toy):
    weights_before = toy.get_weights()
    config_before = toy.get_config()
    model = GAPClassifier(toy, 5, last_stage_stride=1)
    for layer in toy.layers[1:]:
        for original, copy in zip(
            layer.get_weights(), model.get_layer(layer.name).get_weights(), strict=True
        ):
            np.testing.assert_array_equal(original, copy)
    model.get_layer("last").set_weights(
        [np.zeros_like(weight) for weight in model.get_layer("last").get_weights()]
    )
    assert toy.get_config() == config_before
    for before, after in zip(weights_before, toy.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)


def test_frozen_layers_stay_frozen():
    backbone = toy_backbone()
    backbone.get_layer("stem").trainable = False
    model = GAPClassifier(backbone, 5, last_stage_stride=1)
    assert not model.get_layer("stem").trainable
    assert model.get_layer("last").trainable


@pytest.mark.backends
def test_a_normalization_inside_the_backbone_keeps_its_statistics():
    normalization = layers.Normalization(name="normalization_inside")
    normalization.adapt(np.random.default_rng(1).normal(5.0, 3.0, (64, 3)).astype("float32"))
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, strides=2, padding="same")(normalization(inputs))
    backbone = keras.Model(inputs, x)
    images = images_of(2, 8, 8, 3)
    np.testing.assert_allclose(
        run(map_model(GAPClassifier(backbone, 5)), images),
        run(backbone, images),
        atol=1e-6,
    )


@pytest.mark.backends
def test_preprocessing_stands_before_the_backbone(toy):
    images = images_of(2, 32, 32, 3)
    model = GAPClassifier(
        toy, 5, preprocessing=[layers.Rescaling(1.0, offset=2.0), layers.Rescaling(3.0)]
    )
    np.testing.assert_allclose(
        run(map_model(model), images),
        run(toy, (images + 2) * 3),
        atol=1e-4,
    )


def test_what_follows_the_feature_layer_is_left_out(toy):
    model = GAPClassifier(toy, 5, feature_layer="stem_bn")
    assert model.get_layer("cam_features").output.shape == (None, 8, 8, 4)
    assert "residual" not in [layer.name for layer in model.layers]
    larger = GAPClassifier(toy, 5, feature_layer="stem_bn", last_stage_stride=1)
    assert larger.get_layer("stem").strides == (2, 2)
    assert larger.get_layer("stem_pool").strides == (1, 1)
    # The pooling of 2 x 2 takes no zeros: 16 positions give 15.
    assert larger.get_layer("cam_features").output.shape == (None, 15, 15, 4)


def test_the_extra_convolution_stands_before_the_pooling(toy):
    model = GAPClassifier(toy, 5, extra_conv=10)
    assert [layer.name for layer in model.layers[-6:]] == [
        "last",
        "extra_conv",
        "extra_conv_bn",
        "cam_features",
        "pooling",
        "predictions",
    ]
    assert model.get_layer("cam_features").output.shape == (None, 4, 4, 10)
    assert model.get_layer("extra_conv").kernel.shape == (3, 3, 8, 10)


def test_a_sequential_backbone_is_accepted():
    backbone = keras.Sequential(
        [keras.Input((16, 16, 3)), layers.Conv2D(4, 3, strides=2, padding="same", name="conv")]
    )
    model = GAPClassifier(backbone, 5, last_stage_stride=1)
    assert model.get_layer("cam_features").output.shape == (None, 16, 16, 4)


# Of each network: the input size; layers whose stride is taken away, or where all of them have
# come together; where the old positions are among the new ones; the map before and after.
NETWORKS = {
    "ResNet50": (96, ("conv5_block1_0_conv", "conv5_block1_1_conv"), 0, 3, 6),
    "ResNet50V2": (96, ("conv4_block6_2_conv",), 0, 3, 6),
    "MobileNetV2": (96, ("block_13_depthwise",), 1, 3, 6),
    "VGG16": (96, ("block5_pool",), 0, 3, 5),
    "MobileNet": (96, ("conv_dw_12",), 1, 3, 6),
    "MobileNetV3Small": (96, ("expanded_conv_8_depthwise",), 1, 3, 6),
    "EfficientNetB0": (96, ("block6a_dwconv",), 1, 3, 6),
    "EfficientNetV2B0": (96, ("block6a_dwconv2",), 1, 3, 6),
    "DenseNet121": (96, ("pool4_pool",), 0, 3, 5),
    "InceptionV3": (139, ("mixed8",), 1, 3, 7),
    "Xception": (128, ("block13_pool",), 1, 4, 8),
}


@pytest.fixture(scope="module", params=NETWORKS)
def network(request):
    """A network of keras.applications with random weights, and its model with the larger map."""
    name = request.param
    size = NETWORKS[name][0]
    backbone = getattr(keras.applications, name)(
        include_top=False, weights=None, input_shape=(size, size, 3)
    )
    return name, backbone, GAPClassifier(backbone, 5, last_stage_stride=1)


def test_the_map_of_a_network_of_keras_applications_is_twice_as_large(network):
    name, backbone, model = network
    _, _, _, size_before, size_after = NETWORKS[name]
    channels = backbone.output.shape[-1]
    assert backbone.output.shape == (None, size_before, size_before, channels)
    assert model.get_layer("cam_features").output.shape == (None, size_after, size_after, channels)


def test_no_weight_of_a_network_of_keras_applications_is_lost(network):
    _, backbone, model = network
    copies = [layer for layer in model.layers if layer.name != "predictions" and layer.weights]
    originals = [layer for layer in backbone.layers if layer.weights]
    assert [layer.name for layer in copies] == [layer.name for layer in originals]
    for original, copy in zip(originals, copies, strict=True):
        for value, value_copy in zip(original.get_weights(), copy.get_weights(), strict=True):
            np.testing.assert_array_equal(value, value_copy)


def test_a_network_of_keras_applications_computes_at_the_old_positions_what_it_did(network):
    name, backbone, model = network
    size, names, offset, _, _ = NETWORKS[name]
    images = images_of(1, size, size, 3)
    before = keras.Model(backbone.input, [backbone.get_layer(name).output for name in names])
    after = keras.Model(model.input, [model.get_layer(name).output for name in names])
    for map_before, map_after in zip(
        keras.tree.flatten(run(before, images)),
        keras.tree.flatten(run(after, images)),
        strict=True,
    ):
        scale = np.abs(map_before).max()
        assert scale > 0
        np.testing.assert_allclose(
            map_after[:, offset::2, offset::2] / scale, map_before / scale, atol=1e-5
        )


def test_with_dilated_kernels_the_larger_map_of_resnet50_holds_the_whole_old_map():
    """The last stage on a finer map, its 3 x 3 kernels dilated by 2, is the old last stage."""
    backbone = keras.applications.ResNet50(include_top=False, weights=None, input_shape=(96, 96, 3))
    model = GAPClassifier(backbone, 5, last_stage_stride=1)

    def dilate(layer):
        config = layer.get_config()
        if layer.name in {f"conv5_block{block}_2_conv" for block in (1, 2, 3)}:
            assert config["kernel_size"] == (3, 3)
            config["dilation_rate"] = (2, 2)
        return type(layer).from_config(config)

    dilated = keras.models.clone_model(model, clone_function=dilate)
    dilated.set_weights(model.get_weights())
    images = images_of(1, 96, 96, 3)
    before = run(backbone, images)
    after = run(map_model(dilated), images)
    assert before.shape == (1, 3, 3, 2048)
    assert after.shape == (1, 6, 6, 2048)
    scale = before.max()
    assert scale > 0
    np.testing.assert_allclose(after[:, ::2, ::2] / scale, before / scale, atol=1e-5)


def test_a_name_with_the_path_of_weights_is_that_network_with_those_weights(tmp_path):
    backbone = keras.applications.MobileNet(
        include_top=False, weights=None, input_shape=(64, 64, 3)
    )
    backbone.save_weights(tmp_path / "mobilenet.weights.h5")
    model = GAPClassifier(
        "MobileNet", 5, input_shape=(64, 64, 3), weights=str(tmp_path / "mobilenet.weights.h5")
    )
    images = images_of(1, 64, 64, 3)
    np.testing.assert_allclose(run(map_model(model), images), run(backbone, images), atol=1e-5)


def test_vgg16_without_its_last_pooling_and_with_a_convolution_gives_14_by_14():
    model = GAPClassifier("VGG16", 5, feature_layer="block5_conv3", extra_conv=1024)
    assert model.get_layer("cam_features").output.shape == (None, 14, 14, 1024)


def test_convnext_is_copied_but_keeps_its_last_stride():
    backbone = keras.applications.ConvNeXtTiny(
        include_top=False, weights=None, input_shape=(64, 64, 3)
    )
    images = 50 * images_of(1, 64, 64, 3)
    np.testing.assert_allclose(
        run(map_model(GAPClassifier(backbone, 5)), images), run(backbone, images), atol=1e-5
    )
    with pytest.raises(ValueError, match=r"`last_stage_stride` should be 2 .*convnext_tiny_stem"):
        GAPClassifier(backbone, 5, last_stage_stride=1)


def backbone_ending_in(*last_layers):
    inputs = keras.Input((30, 30, 3))
    x = layers.Conv2D(4, 3, strides=2, padding="same", name="first")(inputs)
    for layer in last_layers:
        x = layer(x)
    return keras.Model(inputs, x, name="odd")


def layer_used_twice(*last_layers):
    inputs = keras.Input((30, 30, 4))
    twice = layers.Conv2D(4, 3, strides=2, padding="same", name="twice")
    x = twice(twice(inputs))
    for layer in last_layers:
        x = layer(x)
    return keras.Model(inputs, x, name="odd")


def zeros_for_two(one, other, merge):
    inputs = keras.Input((30, 30, 4))
    x = layers.ZeroPadding2D(1, name="zeros")(inputs)
    return keras.Model(inputs, merge([one(x), other(x)]), name="odd")


def unequal_branches():
    inputs = keras.Input((30, 30, 4))
    branches = [
        layers.Conv2D(4, 3, strides=2, padding="same")(inputs),
        layers.AveragePooling2D(2)(inputs),
    ]
    return keras.Model(inputs, layers.Add()(branches), name="odd")


@pytest.mark.backends
@pytest.mark.parametrize(
    ("build", "reason"),
    [
        (lambda: backbone_ending_in(layers.UpSampling2D(name="up")), "'up' changes the size"),
        (
            lambda: backbone_ending_in(layers.Conv2DTranspose(4, 2, 2, name="up")),
            "'up' changes the size",
        ),
        (lambda: backbone_ending_in(layers.Resizing(15, 15, name="fix")), "'fix' changes the size"),
        (
            lambda: backbone_ending_in(
                layers.Conv2D(4, 3, strides=2), layers.Lambda(lambda x: x[:, ::2], name="skip")
            ),
            "'skip' changes the size",
        ),
        (
            lambda: backbone_ending_in(
                keras.Sequential([layers.Conv2D(4, 3, strides=2)], name="inner")
            ),
            "'inner' changes the size",
        ),
        (
            lambda: backbone_ending_in(layers.MaxPooling2D(3, strides=3, name="by_three")),
            r"'by_three', .*, has strides \(3, 3\)",
        ),
        (
            lambda: backbone_ending_in(layers.MaxPooling2D((2, 1), name="flat")),
            r"'flat', .*, has strides \(2, 1\)",
        ),
        (
            lambda: backbone_ending_in(
                layers.ZeroPadding2D(3, name="zeros"), layers.Conv2D(4, 3, strides=2)
            ),
            r"'zeros' pads \(3, 3\) zeros for a 'valid' window of 3",
        ),
        (
            lambda: backbone_ending_in(
                layers.ZeroPadding2D(1, name="zeros"),
                layers.Conv2D(4, 3, strides=2, padding="same"),
            ),
            r"'zeros' pads \(1, 1\) zeros for a 'same' window of 3",
        ),
        (
            lambda: zeros_for_two(
                layers.Conv2D(4, 3, strides=2),
                layers.GlobalAveragePooling2D(keepdims=True),
                layers.Multiply(),
            ),
            "'zeros' pads for other layers as well",
        ),
        (
            lambda: zeros_for_two(
                layers.Conv2D(4, 3, strides=2), layers.Conv2D(4, 4, strides=2), layers.Add()
            ),
            "'zeros' pads for windows of different sizes",
        ),
        (unequal_branches, "its layers do not fit together on the larger map"),
        (
            lambda: backbone_ending_in(layers.GlobalAveragePooling2D(keepdims=True)),
            r"its map would be \(1, 1\) after \(1, 1\)",
        ),
        (layer_used_twice, "its last layer is used more than once"),
        (
            lambda: layer_used_twice(layers.ReLU(name="end")),
            "a layer before 'end' is used more than once",
        ),
        (lambda: keras.Model(i := keras.Input((8, 8, 3)), layers.ReLU()(i), name="odd"), "stride"),
    ],
)
def test_a_backbone_whose_stride_cannot_be_taken_away_is_refused_with_the_reason(build, reason):
    backbone = build()
    with pytest.raises(
        ValueError, match=rf"`last_stage_stride` should be 2 .*{reason}.* Received: .*backbone=odd"
    ):
        GAPClassifier(backbone, 5, last_stage_stride=1)


@pytest.mark.backends
@pytest.mark.parametrize(
    ("backbone", "arguments", "message"),
    [
        ("ResNet51", {}, r"`backbone` should be .* Received: backbone=ResNet51"),
        ("resnet50", {}, r"`backbone` should be .* Received: backbone=resnet50"),
        (3, {}, r"`backbone` should be .* Received: backbone=3"),
        ("MobileNet", {"last_stage_stride": 4}, r"`last_stage_stride` should be 1 or 2\. .*=4"),
        ("MobileNet", {"extra_conv": 0}, r"`extra_conv` should be .* Received: extra_conv=0"),
    ],
)
def test_an_argument_outside_its_range_is_refused(backbone, arguments, message):
    with pytest.raises(ValueError, match=message):
        GAPClassifier(backbone, 5, **arguments)


@pytest.mark.backends
def test_a_feature_layer_that_does_not_exist_is_refused(toy):
    with pytest.raises(ValueError, match="No such layer: stage5"):
        GAPClassifier(toy, 5, feature_layer="stage5")


@pytest.mark.backends
def test_a_pooling_that_does_not_exist_is_refused(toy):
    with pytest.raises(ValueError, match=r"`pooling` should be .* Received: pooling=sum"):
        GAPClassifier(toy, 5, pooling="sum")


@pytest.mark.backends
@pytest.mark.parametrize("arguments", [{"input_shape": (32, 32, 3)}, {"weights": "imagenet"}])
def test_a_model_as_backbone_brings_its_own_input_and_weights(toy, arguments):
    with pytest.raises(ValueError, match=r"`input_shape` and `weights` are for .* Received: "):
        GAPClassifier(toy, 5, **arguments)


@pytest.mark.backends
def test_a_backbone_that_ends_in_a_vector_is_refused(toy):
    pooled = keras.Model(toy.input, layers.GlobalAveragePooling2D()(toy.output))
    with pytest.raises(ValueError, match="`backbone` should have one input and end in one feature"):
        GAPClassifier(pooled, 5)


@pytest.mark.backends
def test_a_subclassed_backbone_is_refused():
    class Subclassed(keras.Model):
        pass

    with pytest.raises(ValueError, match="`backbone` should be a Functional Keras model"):
        GAPClassifier(Subclassed(), 5)
