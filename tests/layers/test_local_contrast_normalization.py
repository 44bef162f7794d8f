import keras
import numpy as np
import pytest

from keras_has.layers import LocalContrastNormalization


def test_every_pixel_is_compared_with_its_window_and_the_border_with_what_there_is():
    image = np.random.default_rng(0).uniform(0, 255, (7, 8)).astype("float32")

    def mean_around(values):
        return np.array(
            [
                [values[max(y - 2, 0) : y + 3, max(x - 2, 0) : x + 3].mean() for x in range(8)]
                for y in range(7)
            ]
        )

    centered = image - mean_around(image)
    deviation = np.sqrt(mean_around(centered**2))
    expected = centered / np.maximum(deviation, deviation.mean())
    output = LocalContrastNormalization()(image[None, ..., None])
    found = keras.ops.convert_to_numpy(output)[0, ..., 0]
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_brightness_and_contrast_of_an_image_have_no_effect():
    image = np.random.default_rng(0).uniform(0, 1, (2, 9, 9, 3)).astype("float32")
    layer = LocalContrastNormalization()
    outputs = [keras.ops.convert_to_numpy(layer(x)) for x in (image, 40 * image + 7)]
    np.testing.assert_allclose(outputs[0], outputs[1], atol=1e-3)


def test_a_window_without_pixels_is_refused():
    with pytest.raises(ValueError, match="`size` .* Received: size=0"):
        LocalContrastNormalization(0)
