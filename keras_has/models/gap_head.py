"""The head of the networks: global pooling and one dense layer, as CAMs require."""

import keras

POOLING_LAYERS = {
    "avg": keras.layers.GlobalAveragePooling2D,
    "max": keras.layers.GlobalMaxPooling2D,
}


def gap_head(
    features: keras.KerasTensor,
    num_classes: int,
    pooling: str = "avg",
    dropout_rate: float = 0.0,
) -> keras.KerasTensor:
    """Global pooling of the last feature map, then a softmax layer.

    With features `F` of shape `(height, width, K)`, kernel `W` of shape `(K, num_classes)` and
    bias `b`, the class activation map of class `c` is `CAM_c = sum_k W[k, c] * F_k`, and the
    logit of `c` is `mean(CAM_c) + b[c]` under average pooling. This holds because nothing but
    dropout stands between the two layers, `"pooling"` and `"predictions"`. Under maximum pooling
    the logit is `sum_k W[k, c] * max(F_k) + b[c]`, and the map is defined by the same formula.

    The softmax layer computes in float32 under every dtype policy.

    Args:
        features: Symbolic feature map `(batch, height, width, K)`. Height and width may be `None`.
        num_classes: Number of classes.
        pooling: `"avg"` or `"max"`, over all positions. Defaults to `"avg"`.
        dropout_rate: Share of the pooled features dropped while training, in `[0, 1)`. Defaults
            to `0.0`, which adds no layer.

    Returns:
        The symbolic class probabilities `(batch, num_classes)`, float32.

    Raises:
        ValueError: If an argument is outside its range.

    Example:

    >>> import keras
    >>> from keras_has.models.gap_head import gap_head
    >>> features = keras.Input((14, 14, 1024))
    >>> gap_head(features, num_classes=1000).shape
    (None, 1000)

    Reference:
        [Zhou et al., 2016](https://arxiv.org/abs/1512.04150), equation 2; maximum pooling as in
        table 4 of [Singh and Lee, 2017](https://arxiv.org/abs/1704.04232).
    """
    if not isinstance(num_classes, int) or num_classes < 1:
        raise ValueError(
            f"`num_classes` should be a positive integer. Received: num_classes={num_classes}"
        )
    if pooling not in POOLING_LAYERS:
        raise ValueError(f'`pooling` should be "avg" or "max". Received: pooling={pooling}')
    if not 0 <= dropout_rate < 1:
        raise ValueError(
            "`dropout_rate` should be at least 0 and less than 1. "
            f"Received: dropout_rate={dropout_rate}"
        )
    x = POOLING_LAYERS[pooling](name="pooling")(features)
    if dropout_rate > 0:
        x = keras.layers.Dropout(dropout_rate, name="pooling_dropout")(x)
    return keras.layers.Dense(
        num_classes, activation="softmax", dtype="float32", name="predictions"
    )(x)
