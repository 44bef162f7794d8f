"""Recipes hold what the authors' code and tables say, and survive JSON and overrides."""

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from trainers import runs  # noqa: E402
from trainers.recipes import DEFAULT_RECIPES, RECIPES, Recipe, find_recipe  # noqa: E402


def test_alexnet_follows_the_authors_schedule():
    """opts.lua and train.lua, whose epochs count from 1: rate and decay of some epochs."""
    recipe = find_recipe("alexnet_has_mixed")
    published = {
        1: (1e-2, 5e-4),
        18: (1e-2, 5e-4),
        19: (5e-3, 5e-4),
        29: (5e-3, 5e-4),
        30: (1e-3, 0.0),
        43: (1e-3, 0.0),
        44: (5e-4, 0.0),
        52: (5e-4, 0.0),
        53: (1e-4, 0.0),
        55: (1e-4, 0.0),
    }
    for epoch, expected in published.items():
        regime = [regime for regime in recipe.regimes if regime[0] <= epoch - 1][-1]
        assert regime[1:] == expected, epoch
    assert (recipe.epochs, recipe.steps_per_epoch, recipe.batch_size) == (55, 10_000, 128)
    assert (recipe.image_size, recipe.resize_size) == (224, 256)
    assert recipe.patch_size == (0, 16, 32, 44, 56)
    assert recipe.class_balanced
    assert not recipe.nesterov
    np.testing.assert_allclose(recipe.mean, (123.758, 116.112, 103.014), atol=1e-3)


@pytest.mark.parametrize(
    ("name", "gt_known", "top1_loc", "top1_clas", "threshold"),
    [
        ("alexnet_gap", 54.90, 36.25, 60.23, 0.2),
        ("alexnet_has_16", 57.86, 36.77, 57.97, 0.2),
        ("alexnet_has_32", 58.75, 37.33, 57.94, 0.2),
        ("alexnet_has_44", 58.55, 37.54, 58.10, 0.2),
        ("alexnet_has_56", 58.43, 37.34, 58.13, 0.2),
        ("alexnet_has_mixed", 58.68, 37.65, 58.68, 0.2),
        ("googlenet_gap", 58.41, 43.60, 71.95, 0.3),
        ("googlenet_has_16", 59.83, 44.62, 70.49, 0.3),
        ("googlenet_has_32", 60.29, 45.21, 70.70, 0.3),
        ("googlenet_has_44", 60.11, 44.75, 70.34, 0.3),
        ("googlenet_has_56", 59.93, 44.78, 70.37, 0.3),
    ],
)
def test_rows_of_table_1_hold_their_published_figures(
    name, gt_known, top1_loc, top1_clas, threshold
):
    recipe = find_recipe(name)
    figures = {"gt_known_loc": gt_known, "top1_loc": top1_loc, "top1_clas": top1_clas}
    assert recipe.published == figures
    assert recipe.cam_threshold == threshold


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_every_recipe_survives_json(name):
    recipe = find_recipe(name)
    assert recipe.name == name
    assert Recipe.from_json(recipe.to_json()) == recipe
    assert recipe.choices, "what the sources do not give has to be said"


def test_every_dataset_has_a_default_recipe_of_its_own():
    for dataset, name in DEFAULT_RECIPES.items():
        assert find_recipe(name).dataset == dataset
    with pytest.raises(ValueError, match="There is no recipe 'resnet'"):
        find_recipe("resnet")


def test_overridden_epochs_stretch_the_regimes():
    recipe = find_recipe("alexnet_gap").override(epochs=11)
    assert [first for first, *_ in recipe.regimes] == [0, 4, 6, 9, 10]
    # So few epochs that regimes meet: the later one wins.
    assert [first for first, *_ in find_recipe("alexnet_gap").override(epochs=2).regimes] == [
        0,
        1,
        2,
    ]


def test_an_overridden_size_keeps_the_share_of_the_crop():
    assert find_recipe("alexnet_gap").override(image_size=112).resize_size == 128


@pytest.mark.parametrize(
    "fields",
    [
        {"schedule": "linear"},
        {"pooling": "min"},
        {"epochs": 0},
        {"seed": -1},
        {"resize_size": 8},
        {"regimes": ((0, 0.1, 0.0),)},
    ],
)
def test_bad_fields_are_named(fields):
    with pytest.raises(ValueError, match=next(iter(fields))):
        find_recipe("parts_gap").override(**fields)


def test_a_row_of_table_1_runs_on_images_in_the_official_layout(tmp_path, write_ilsvrc, capsys):
    """AlexNet-HaS-Mixed as it is, but for a few steps on a few images."""
    recipe = find_recipe("alexnet_has_mixed").override(epochs=2, steps_per_epoch=1, batch_size=4)
    results = runs.train(recipe, tmp_path / "run", write_ilsvrc(tmp_path / "ilsvrc"))
    assert results["images"] == 4
    out = capsys.readouterr().out
    assert "published: GT-known Loc 58.68, Top-1 Loc 37.65, Top-1 Clas 58.68" in out
    assert "1 without a box" in out
