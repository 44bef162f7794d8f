"""Recipes hold what the authors' code and tables say, and survive JSON and overrides."""

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from trainers.engine.training import train_recipe  # noqa: E402
from trainers.recipes import ImageRecipe, VideoRecipe  # noqa: E402
from trainers.recipes.tables import TABLES  # noqa: E402
from trainers.reports.run_report import write_report  # noqa: E402
from trainers.tasks.classification import Classification  # noqa: E402
from trainers.tasks.networks import build_network  # noqa: E402
from trainers.tasks.registry import TASKS, find_recipe  # noqa: E402

RECIPES = TASKS["image_localization"].recipes
VIDEO_RECIPES = TASKS["temporal_localization"].recipes


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
    assert ImageRecipe.from_json(recipe.to_json()) == recipe
    assert recipe.choices, "what the sources do not give has to be said"


@pytest.mark.parametrize("name", sorted(VIDEO_RECIPES))
def test_every_recipe_for_videos_survives_json(name):
    recipe = find_recipe(name)
    assert VideoRecipe.from_json(recipe.to_json()) == recipe
    assert recipe.choices
    assert TASKS["temporal_localization"].default_recipes[recipe.dataset] in VIDEO_RECIPES


@pytest.mark.parametrize(
    ("name", "published"),
    [
        ("video_full", (34.23, 25.68, 17.72, 11.00, 6.11)),
        ("video_has", (36.44, 27.84, 19.49, 12.66, 6.84)),
    ],
)
def test_rows_of_table_7_hold_their_published_figures(name, published):
    recipe = find_recipe(name)
    assert tuple(recipe.published.values()) == published
    assert recipe.num_features == 2000
    assert recipe.widths == (500, 500)
    assert (recipe.pooling, recipe.activation, recipe.cam_threshold) == ("max", "softmax", 0.5)
    assert recipe.num_segments == (20 if name == "video_has" else 0)
    assert recipe.hide_probability == 0.5


@pytest.mark.parametrize(
    "fields",
    [
        {"num_segments": 2, "segment_length": 3},
        {"widths": ()},
        {"iou_thresholds": (0.5, 0.1)},
        {"protocol": "kitti"},
        {"optimizer": "lion"},
        {"detection_score": "sum"},
        {"num_features": -1},
    ],
)
def test_bad_fields_for_videos_are_named(fields):
    with pytest.raises(ValueError, match=next(iter(fields))):
        find_recipe("phases_full").override(**fields)


def test_every_dataset_has_a_default_recipe_of_its_own():
    for dataset, name in TASKS["image_localization"].default_recipes.items():
        assert find_recipe(name).dataset == dataset
    with pytest.raises(ValueError, match="There is no recipe 'resnet'"):
        find_recipe("resnet")


def test_overridden_epochs_stretch_the_regimes():
    recipe = find_recipe("alexnet_gap").override(epochs=11)
    assert [first for first, *_ in recipe.regimes] == [0, 4, 6, 9, 10]
    # So few epochs that regimes meet: training still begins with the first, and the later of
    # those that meet elsewhere wins.
    assert find_recipe("alexnet_gap").override(epochs=2).regimes == ((0, 1e-2, 5e-4), (1, 1e-3, 0))
    assert find_recipe("alexnet_gap").override(epochs=1).regimes == ((0, 1e-2, 5e-4),)


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
        {"regimes": ((1, 0.1, 0.0),), "schedule": "regimes"},
        {"hide_probability": 1.5},
        {"hide_probability": float("nan")},
        {"cam_threshold": 1.0},
        {"patch_size": ()},
        {"patch_size": (-4,)},
        {"conv1_patch_size": ()},
        {"fill_value": (0.0, 0.0)},
        {"mean": (1.0, 1.0, 1.0)},
        {"mean": (1.0,), "std": (1.0,)},
        {"std": (1.0, 0.0, 1.0), "mean": (1.0, 1.0, 1.0)},
        {"widths": (1, 8)},
        {"map_stride": 5},
        {"seed": 2**31},
        {"momentum": -0.1},
        {"learning_rate": -1.0},
        {"crops": 5},
        {"cam": "score"},
        {"tuning_share": 1.0},
        {"evaluate_every": 0},
        {"width_multiplier": 0.0},
    ],
)
def test_bad_fields_are_named(fields):
    with pytest.raises(ValueError, match=next(iter(fields))):
        find_recipe("parts_gap").override(**fields)


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("parts_gap", {"hide_probability": 0.3}),
        ("parts_gap", {"width_multiplier": 0.5}),
        ("parts_gap", {"batch_norm_momentum": 0.5}),
        ("parts_gap", {"input_dropout_at_test": True}),
        ("parts_gap", {"crops": 10}),
        ("parts_gap", {"learning_rate": float("inf")}),
        ("parts_gap", {"fill_value": (float("nan"),)}),
        ("cifar10_small_has", {"map_stride": 8}),
        ("cifar10_small_has", {"widths": (8, 8)}),
        ("cifar10_small_has", {"depth": 14, "model": "small_gap"}),
        ("cifar10_small_has", {"block": "bottleneck", "model": "small_gap"}),
        ("resnet50_has", {"depth": 14}),
        ("resnet50_has", {"padding": 4}),
        ("resnet50_has", {"padding": 4, "min_crop_area": 0.0}),
    ],
)
def test_what_would_have_no_effect_or_no_meaning_is_refused(name, fields):
    with pytest.raises(ValueError, match=f"`{next(iter(fields))}"):
        find_recipe(name).override(**fields)


@pytest.mark.parametrize("field", ["hide_probability", "momentum", "nesterov"])
def test_what_would_have_no_effect_on_videos_is_refused(field):
    with pytest.raises(ValueError, match=f"`{field}` has no effect"):
        find_recipe("phases_full").override(**{field: 0.5})


def test_rows_at_full_scale_are_what_their_names_say():
    assert find_recipe("alexnet_gap").crops == 10
    np.testing.assert_allclose(find_recipe("alexnet_gap").std, (58.11, 56.98, 56.78), atol=0.01)
    googlenet = find_recipe("googlenet_gap")
    assert [first for first, *_ in googlenet.regimes] == [0, 13, 21, 31, 38]
    assert [rate for _, rate, _ in googlenet.regimes] == [1e-2, 5e-3, 1e-3, 5e-4, 1e-4]
    assert googlenet.epochs == 40
    for network in ("alexnet", "googlenet"):
        assert find_recipe(f"{network}_backprop").cam == "backprop"
    for row, at_test in (("trainonly", False), ("traintest", True)):
        recipe = find_recipe(f"alexnet_dropout_{row}")
        assert (recipe.input_dropout, recipe.input_dropout_at_test) == (0.5, at_test)
        assert recipe.patch_size == (0,)
    assert find_recipe("alexnet_has_conv1_5").conv1_patch_size == (5,)
    assert find_recipe("alexnet_has_conv1_11").conv1_patch_size == (11,)
    assert find_recipe("alexnet_gmp").pooling == find_recipe("alexnet_max_has").pooling == "max"
    assert find_recipe("alexnet_max_has").patch_size == (56,)
    for percent in (25, 33, 66, 75):
        recipe = find_recipe(f"alexnet_has_p{percent}")
        assert (recipe.patch_size, recipe.hide_probability) == ((56,), percent / 100)
    cub = find_recipe("cub_gap")
    assert (cub.model, cub.mean[0], cub.std[0]) == ("efficientnet_lite0", 127.5, 127.5)
    np.testing.assert_allclose(cub.fill_value, (-0.0293, -0.0893, -0.1921))
    for name in ("video_full", "video_has"):
        video = find_recipe(name)
        assert (video.protocol, video.known_classes) == ("thumos14_11point", True)
        assert video.all_videos


@pytest.mark.parametrize("field", ["learning_rate", "weight_decay"])
def test_a_field_that_regimes_would_ignore_is_refused(field):
    with pytest.raises(ValueError, match=f"`{field}` has no effect"):
        find_recipe("alexnet_gap").override(**{field: 0.5})
    assert find_recipe("alexnet_gap").override(schedule="cosine", **{field: 0.5}).regimes == ()


@pytest.mark.parametrize(
    ("table", "published"),
    [
        (2, {"Backprop on AlexNet": (None, 34.83), "AlexNet-GAP-ensemble": (56.91, 38.58)}),
        (2, {"AlexNet-HaS-ensemble": (60.14, 40.40), "Backprop on GoogLeNet": (None, 38.69)}),
        (2, {"GoogLeNet-GAP": (58.41, 43.60), "GoogLeNet-HaS-32": (60.29, 45.21)}),
        (3, {"AlexNet-HaS-Mixed": (58.68, 37.65), "AlexNet-dropout-trainonly": (42.17, 7.65)}),
        (3, {"AlexNet-dropout-traintest": (53.48, 31.68)}),
        (4, {"AlexNet-GMP": (50.40, 32.52), "AlexNet-Max-HaS": (59.27, 37.57)}),
        (4, {"AlexNet-GAP": (54.90, 36.25), "AlexNet-Avg-HaS": (58.43, 37.34)}),
        (5, {"AlexNet-HaS-conv1-5": (57.36, 36.91), "AlexNet-HaS-conv1-11": (58.33, 37.38)}),
        (6, {"AlexNet-HaS-25%": (57.49, 37.77), "AlexNet-HaS-33%": (58.12, 38.05)}),
        (6, {"AlexNet-HaS-50%": (58.43, 37.34), "AlexNet-HaS-66%": (58.52, 35.72)}),
        (6, {"AlexNet-HaS-75%": (58.28, 34.21)}),
    ],
)
def test_rows_of_the_other_tables_hold_their_published_figures(table, published):
    rows = {row.title: row for row in TABLES[table].rows}
    for title, figures in published.items():
        row = rows[title]
        assert (row.published.get("gt_known_loc"), row.published["top1_loc"]) == figures


def test_every_row_names_runs_that_there_are_and_a_base_of_its_table():
    for table in TABLES.values():
        titles = [row.title for row in table.rows]
        assert len(set(titles)) == len(titles)
        assert set(table.bases) | set(table.bases.values()) <= set(titles)
        for row in table.rows:
            for name in row.recipes:
                assert name in TASKS[table.task].recipes
        small_table = table.small_table or table
        for row in small_table.rows:
            for name in row.recipes:
                for dataset in small_table.datasets:
                    small = small_table.recipe_name(name, dataset)
                    assert TASKS[table.task].recipes[small].dataset == dataset


@pytest.mark.parametrize(
    ("title", "full", "has"),
    [
        ("CIFAR-10, ResNet-44", 94.19, 94.97),
        ("CIFAR-10, ResNet-56", 94.66, 95.41),
        ("CIFAR-10, ResNet-110", 94.87, 95.53),
        ("CIFAR-100, ResNet-44", 74.37, 75.82),
        ("CIFAR-100, ResNet-56", 75.24, 76.47),
        ("CIFAR-100, ResNet-110", 77.44, 78.13),
        ("ImageNet, ResNet-50", 76.15, 77.20),
    ],
)
def test_rows_of_table_8_hold_their_published_figures_and_differ_in_hiding_alone(title, full, has):
    rows = {row.title: row for row in TABLES[8].rows}
    without, hiding = rows[f"{title}, full"], rows[f"{title}, HaS"]
    assert without.published == {"best_top1_clas": full}
    assert hiding.published == {"best_top1_clas": has}
    assert TABLES[8].bases[hiding.title] == without.title
    differences = find_recipe(without.recipe).training_differences(find_recipe(hiding.recipe))
    assert [text.split(":")[0] for text in differences] == ["patch_size"]
    assert find_recipe(hiding.recipe).hide_probability == 0.5


def test_the_small_rows_of_table_8_have_the_same_budget():
    base, *peers = (find_recipe(row.recipe) for row in TABLES[8].small_table.rows)
    for peer in peers:
        differences = base.training_differences(peer)
        assert {text.split(":")[0] for text in differences} <= {"patch_size", "augmentation"}
        assert len(differences) == 1


@pytest.mark.parametrize(
    ("name", "weight_layers", "parameters"),
    [
        ("resnet44_full", 65, 684_058),
        ("resnet56_has", 83, 869_530),
        ("resnet110_full", 164, 1_704_154),
        ("cifar100_resnet44_has", 65, 707_188),
        ("cifar100_resnet56_full", 83, 892_660),
        ("cifar100_resnet110_has", 164, 1_727_284),
    ],
)
def test_cifar_recipes_of_the_paper_build_its_networks(name, weight_layers, parameters):
    recipe = find_recipe(name)
    classes = 100 if recipe.dataset == "cifar100" else 10
    scaling = tf.keras.layers.Normalization(mean=recipe.mean, variance=np.square(recipe.std))
    model = build_network(recipe, classes, scaling)
    assert sum(int(np.prod(weight.shape)) for weight in model.trainable_weights) == parameters
    on_the_way = [
        layer
        for layer in model.layers
        if isinstance(layer, (tf.keras.layers.Conv2D, tf.keras.layers.Dense))
        and "shortcut" not in layer.name
    ]
    assert len(on_the_way) == weight_layers


def test_cifar_recipes_of_the_paper_follow_the_schedule_of_random_erasing():
    recipe = find_recipe("resnet110_has")
    assert (recipe.epochs, recipe.batch_size, recipe.padding) == (300, 128, 4)
    assert (recipe.momentum, recipe.nesterov, recipe.weight_decay) == (0.9, False, 5e-4)
    np.testing.assert_allclose(np.divide(recipe.mean, 255), (0.4914, 0.4822, 0.4465), atol=1e-5)
    np.testing.assert_allclose(np.divide(recipe.std, 255), (0.2023, 0.1994, 0.2010), atol=1e-5)
    task = Classification(recipe, "unused")
    task.train_split = range(50_000)
    optimizer = task.optimizer()
    steps = 50_000 // 128
    published = {0: 0.1, 149: 0.1, 150: 0.01, 224: 0.01, 225: 0.001, 299: 0.001}
    for epoch, expected in published.items():
        for step in (epoch * steps, (epoch + 1) * steps - 1):
            optimizer.iterations.assign(step)
            assert float(optimizer.learning_rate) == pytest.approx(expected), epoch


def test_weight_decay_acts_on_every_trainable_variable_of_a_cifar_network():
    recipe = find_recipe("resnet44_full").override(depth=8)
    model = build_network(recipe, 10, tf.keras.layers.Rescaling(1.0))
    task = Classification(recipe, "unused")
    task.train_split = range(128)
    optimizer = task.optimizer()
    before = [np.array(variable) for variable in model.trainable_variables]
    zeros = [tf.zeros(variable.shape) for variable in model.trainable_variables]
    optimizer.apply(zeros, model.trainable_variables)
    for old, variable in zip(before, model.trainable_variables, strict=True):
        np.testing.assert_allclose(np.array(variable), old * (1 - 0.1 * 5e-4), rtol=1e-6)


def test_steps_stretch_with_the_epochs():
    recipe = find_recipe("resnet44_full")
    assert recipe.override(epochs=30).step_epochs == (15, 22)
    assert recipe.override(epochs=1).step_epochs == (1,)
    assert recipe.override(schedule="cosine").step_epochs == ()
    for fields in (
        {"step_epochs": ()},
        {"step_epochs": (3, 2)},
        {"step_epochs": (0, 2)},
        {"step_factor": 2.0},
    ):
        with pytest.raises(ValueError, match=next(iter(fields))):
            recipe.override(**fields)
    with pytest.raises(ValueError, match="step_epochs"):
        find_recipe("cifar10_small_full").override(step_epochs=(3,))


def test_small_rows_keep_what_the_row_is_about():
    small = find_recipe("parts_alexnet_has_32")
    assert small.patch_size == (9,)  # 32 of 224 px, at 64 px
    assert find_recipe("parts_has").patch_size == (16,)  # 56
    assert find_recipe("cub_alexnet_has_mixed").patch_size == (0, 8, 16, 22, 28)  # at 112 px
    assert find_recipe("parts_alexnet_has_conv1_5").conv1_patch_size == (3,)  # 5 of 55, of 32
    assert find_recipe("parts_alexnet_has_p75").hide_probability == 0.75
    assert find_recipe("tiny_imagenet_alexnet_max_has").pooling == "max"
    assert find_recipe("parts_googlenet_gap").model == "googlenet_gap"
    assert find_recipe("parts_googlenet_gap").cam_threshold == 0.3
    gap, backprop = find_recipe("parts_gap"), find_recipe("parts_alexnet_backprop")
    assert gap.training_differences(backprop) == []
    assert gap.differences(backprop) == ["cam: 'cam' there, 'backprop' requested"]


def test_a_row_of_table_1_runs_on_images_in_the_official_layout(tmp_path, write_ilsvrc, capsys):
    """AlexNet-HaS-Mixed as it is, but for a few steps on a few images."""
    recipe = find_recipe("alexnet_has_mixed").override(epochs=2, steps_per_epoch=1, batch_size=4)
    results = train_recipe(recipe, tmp_path / "run", write_ilsvrc(tmp_path / "ilsvrc"))
    assert results["images"] == 4
    out = capsys.readouterr().out
    assert "published: GT-known Loc 58.68, Top-1 Loc 37.65, Top-1 Clas 58.68" in out
    assert "1 without a box" in out


def test_resnet50_of_table_8_runs_on_images_in_the_official_layout(tmp_path, write_ilsvrc, capsys):
    """ResNet-50 with its crops and schedule, but smaller, for a few steps on a few images."""
    recipe = find_recipe("resnet50_has").override(
        epochs=2, steps_per_epoch=1, batch_size=4, image_size=32, patch_size=(0, 8)
    )
    assert (recipe.resize_size, recipe.step_epochs) == (37, (1,))
    results = train_recipe(recipe, tmp_path / "run", write_ilsvrc(tmp_path / "ilsvrc"))
    assert results["images"] == 4
    assert results["best_top1_clas"] >= results["top1_clas"]
    assert "of the 1281167 training images of imagenet" in capsys.readouterr().out
    report = write_report(tmp_path / "run", images=2).read_text(encoding="utf-8")
    assert "<td>77.2</td>" in report
    assert "cannot be compared with the published ones" in report


def test_resnet50_of_table_8_is_built_as_the_recipe_says():
    recipe = find_recipe("resnet50_full")
    model = build_network(recipe, 1000, tf.keras.layers.Rescaling(1.0))
    assert model.input_shape == (None, 224, 224, 3)
    assert model.get_layer("cam_features").output.shape == (None, 7, 7, 2048)
    assert model.count_params() == 25_636_712  # as documented for keras.applications
    assert (recipe.epochs, recipe.batch_size, recipe.step_epochs) == (90, 256, (30, 60))
    assert (recipe.learning_rate, recipe.weight_decay, recipe.nesterov) == (0.1, 1e-4, False)
    assert (recipe.min_crop_area, recipe.resize_size) == (0.08, 256)
    assert find_recipe("resnet50_has").patch_size == (0, 16, 32, 44, 56)
