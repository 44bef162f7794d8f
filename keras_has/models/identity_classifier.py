"""A network for re-identification on any classifier: it learns to tell identities apart."""

from __future__ import annotations

import keras

NEW_LAYERS = ("embedding", "embedding_bn", "predictions")


def IdentityClassifier(  # noqa: N802 (named like the functions of keras.applications)
    classifier: keras.Model,
    num_identities: int,
    embedding_size: int = 1024,
    dropout_rate: float = 0.5,
    name: str = "identity_classifier",
) -> keras.Model:
    """Puts the head of the ID-discriminative embedding (IDE) on the pooled features of a network.

    A dense layer, batch normalization, ReLU, dropout and a softmax over the training identities
    replace the classifier's softmax. People who were not trained on are compared by the output of
    the layer `"pooling"`, divided by its length. The layers in front keep their weights and names,
    preprocessing and hiding among them; the new ones are called `"embedding"`, `"embedding_bn"` and
    `"predictions"`.

    Args:
        classifier: A model with a layer `"pooling"`, such as `keras_has.models.EfficientNetLite0`
            or `GAPClassifier("ResNet50")`. Its input need not be square.
        num_identities: Number of training identities.
        embedding_size: Units of the dense layer. Defaults to `1024`.
        dropout_rate: Share of its outputs dropped while training, in [0, 1). Defaults to `0.5`.
        name: Name of the model. Defaults to `"identity_classifier"`.

    Returns:
        A flat Functional model from images to probabilities, float32 under every dtype policy.

    Raises:
        ValueError: If an argument is out of range, or there is no layer `"pooling"`.

    Example:

    >>> from keras_has.models import IdentityClassifier, SmallGAP
    >>> model = IdentityClassifier(SmallGAP(2, (64, 32, 3)), num_identities=751)
    >>> model.get_layer("pooling").output.shape, model.output.shape
    ((None, 128), (None, 751))

    Reference:
        [Zheng et al., 2016](https://arxiv.org/abs/1610.02984), section 4.3; the head is that of
        [Zhong et al., 2018](https://arxiv.org/abs/1711.10295).
    """
    for argument, value in (("num_identities", num_identities), ("embedding_size", embedding_size)):
        if value < 1:
            raise ValueError(f"`{argument}` should be at least 1. Received: {argument}={value}")
    if not 0 <= dropout_rate < 1:
        raise ValueError(
            "`dropout_rate` should be at least 0 and less than 1. "
            f"Received: dropout_rate={dropout_rate}"
        )
    x = classifier.get_layer("pooling").output
    x = keras.layers.Dense(
        embedding_size,
        kernel_initializer=keras.initializers.VarianceScaling(2.0, "fan_out", "untruncated_normal"),
        name="embedding",
    )(x)
    x = keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name="embedding_bn")(x)
    x = keras.layers.ReLU(name="embedding_relu")(x)
    if dropout_rate > 0:
        x = keras.layers.Dropout(dropout_rate, name="embedding_dropout")(x)
    outputs = keras.layers.Dense(
        num_identities,
        activation="softmax",
        kernel_initializer=keras.initializers.RandomNormal(stddev=0.001),
        dtype="float32",
        name="predictions",
    )(x)
    return keras.Model(classifier.inputs[0], outputs, name=name)
