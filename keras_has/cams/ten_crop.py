"""Ten crops of each image, the papers' test protocol."""

from __future__ import annotations

import tensorflow as tf

from keras_has.cams.map_method import MapMethod, chosen_class
from keras_has.ops.cam import upsample_maps


class TenCrop(MapMethod):
    """Four corners and the middle of each image, and all five mirrored: one map, one prediction.

    The probabilities are averaged over the ten crops. Each crop's map is enlarged to the crop,
    mirrored back if the crop was mirrored, and placed where the crop was cut; the map of the image
    is the sum of all ten. It is not divided by the number of crops that cover a pixel, so the
    middle, which all ten cover, has more weight. This is the published code of CAM's authors; there
    the images are squares of 256 px, resized without keeping the aspect ratio, and the crops have
    224 px.

    Without a `class_index`, the class with the highest average probability is used; then the
    probabilities of all crops are computed before the maps.

    Args:
        method: The map method applied to each crop, such as `CAM(model)`.
        crop_size: Height and width of the crops, in pixels.
        absolute: Whether the absolute values of the crops' maps are summed, as in CAM's code:
            evidence against the class counts like evidence for it. Defaults to `True`.

    Call arguments:
        images: (B, H, W, C), with height and width of at least `crop_size`.
        class_index: (B,) integers, or `None` for the predicted class.

    Returns:
        Two float32 tensors: maps (B, H, W) and probabilities (B, K).

    Raises:
        ValueError: If `method` is no map method, `crop_size` is no positive integer, or images are
            smaller.

    Example:

    >>> model = keras_has.models.SmallGAP(3, (56, 56, 3))
    >>> method = keras_has.cams.TenCrop(keras_has.cams.CAM(model), crop_size=56)
    >>> maps, probabilities = method(np.ones((2, 64, 64, 3)))
    >>> maps.shape, probabilities.shape
    (TensorShape([2, 64, 64]), TensorShape([2, 3]))

    Reference:
        Zhou et al., "Learning Deep Features for Discriminative Localization", CVPR 2016, and its
        published code; Singh and Lee, "Hide-and-Seek", ICCV 2017, section 4.
    """

    def __init__(self, method: MapMethod, crop_size: int, absolute: bool = True) -> None:
        if not isinstance(method, MapMethod):
            raise ValueError(
                "`method` should be a map method, such as `keras_has.cams.CAM(model)`. "
                f"Received: method={method}"
            )
        if not isinstance(crop_size, int) or crop_size < 1:
            raise ValueError(
                f"`crop_size` should be a positive integer. Received: crop_size={crop_size}"
            )
        super().__init__(*method.networks)
        self.method = method
        self.crop_size = crop_size
        self.absolute = bool(absolute)

    def __call__(
        self, images: tf.Tensor, class_index: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns maps and probabilities; see the class."""
        images = tf.convert_to_tensor(images)
        if class_index is None:
            class_index = chosen_class(self.probabilities(images), None)
        shape = tf.shape(images)
        size = (self.crop_size, self.crop_size)

        def of_crop(crop: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            maps, probabilities = self.method(crop, class_index)
            return upsample_maps(maps, size), probabilities

        maps, probabilities = self._map_crops(images, of_crop, (tf.float32, tf.float32))
        total = tf.zeros(shape[:3])
        for crop_maps, (top, left, is_mirrored) in zip(
            tf.unstack(maps, num=10), self._places(shape), strict=True
        ):
            if is_mirrored:
                crop_maps = tf.reverse(crop_maps, axis=[2])
            if self.absolute:
                crop_maps = tf.abs(crop_maps)
            below, right = shape[1] - self.crop_size - top, shape[2] - self.crop_size - left
            total += tf.pad(crop_maps, [[0, 0], [top, below], [left, right]])
        return tf.ensure_shape(total, images.shape[:3]), tf.reduce_mean(probabilities, axis=0)

    def probabilities(self, images: tf.Tensor) -> tf.Tensor:
        """Returns the class probabilities (B, K), float32, without maps."""
        images = tf.convert_to_tensor(images)
        probabilities = self._map_crops(images, self.method.probabilities, tf.float32)
        return tf.reduce_mean(probabilities, axis=0)

    def _places(self, shape: tf.Tensor) -> list[tuple[tf.Tensor, tf.Tensor, bool]]:
        """Returns top, left, and whether it is mirrored, for each of the ten crops."""
        down, across = shape[1] - self.crop_size, shape[2] - self.crop_size
        corners = [(0, 0), (0, across), (down, 0), (down, across), (down // 2, across // 2)]
        return [(top, left, mirrored) for mirrored in (False, True) for top, left in corners]

    def _map_crops(self, images: tf.Tensor, of_crop, types):  # type: ignore[no-untyped-def]
        """Calls `of_crop` on each crop of all images, one crop at a time, and stacks the results.

        One at a time, so that ten crops need no more memory for features than one.
        """
        for size in images.shape[1:3]:
            if size is not None and size < self.crop_size:
                raise ValueError(
                    f"`images` should be at least {self.crop_size} pixels high and wide, as large "
                    f"as the crops. Received: images.shape={tuple(images.shape)}"
                )
        crops = []
        for top, left, is_mirrored in self._places(tf.shape(images)):
            crop = images[:, top : top + self.crop_size, left : left + self.crop_size]
            crops.append(tf.reverse(crop, axis=[2]) if is_mirrored else crop)
        crops = tf.ensure_shape(
            tf.stack(crops),
            (10, images.shape[0], self.crop_size, self.crop_size, images.shape[-1]),
        )
        return tf.map_fn(of_crop, crops, fn_output_signature=types, parallel_iterations=1)
