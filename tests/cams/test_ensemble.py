"""Ensemble: averages, by hand."""

import cv2
import numpy as np
import pytest

pytest.importorskip("tensorflow")

from keras_has.cams import CAM, Backprop, Ensemble


def test_maps_and_probabilities_are_averaged_over_their_own_methods(build, images):
    first, second, third = (CAM(build(seed)) for seed in (1, 2, 3))
    labels = np.array([0, 1, 2, 3, 0])
    each = {method: [np.asarray(x) for x in method(images, labels)] for method in (first, second)}
    maps, probabilities = Ensemble([first, second], [second, third])(images, labels)
    np.testing.assert_allclose(maps, (each[first][0] + each[second][0]) / 2, atol=1e-4)
    mean = (each[second][1] + np.asarray(third.probabilities(images))) / 2
    np.testing.assert_allclose(probabilities, mean, atol=1e-6)


def test_the_class_is_that_of_the_averaged_probabilities(build, images):
    network = build(2)
    head = network.get_layer("predictions")
    head.set_weights([-weight for weight in build(1).get_layer("predictions").get_weights()])
    first, second = CAM(build(1)), CAM(network)
    maps, probabilities = Ensemble([first], [second, second, first])(images)
    predicted = np.asarray(probabilities).argmax(axis=1)
    assert (predicted != np.asarray(first.probabilities(images)).argmax(axis=1)).any()
    np.testing.assert_allclose(maps, first(images, predicted)[0], atol=1e-5)


def test_normalised_maps_are_divided_by_their_maxima(build, images):
    first, second = (CAM(build(seed)) for seed in (1, 2))
    labels = np.array([0, 1, 2, 3, 0])
    with pytest.warns(DeprecationWarning, match="normalise=True"):
        ensemble = Ensemble([first, second], normalise=True)
    maps, _ = ensemble(images, labels)
    expected = np.zeros((5, 6, 6))
    for method in (first, second):
        for index, each in enumerate(np.asarray(method(images, labels)[0])):
            expected[index] += each / (each.max() if each.max() > 0 else 1) / 2
    np.testing.assert_allclose(maps, expected, atol=1e-4)


def test_maps_of_different_sizes_are_enlarged_to_the_largest(build, images):
    coarse, fine = CAM(build(1)), Backprop(build(2))
    maps, _ = Ensemble([coarse, fine])(images, [0] * 5)
    enlarged = [cv2.resize(each, (24, 24)) for each in np.asarray(coarse(images, [0] * 5)[0])]
    expected = (np.stack(enlarged) + np.asarray(fine(images, [0] * 5)[0])) / 2
    np.testing.assert_allclose(maps, expected, atol=1e-4)


@pytest.mark.parametrize("methods", [[], ["CAM"]])
def test_anything_but_methods_is_refused(methods, network):
    with pytest.raises(ValueError, match=r"`map_methods` should"):
        Ensemble(methods)
    with pytest.raises(ValueError, match=r"`probability_methods` should"):
        Ensemble([CAM(network)], methods)
