import json

import keras
import numpy as np
import pytest
from PIL import Image

tf = pytest.importorskip("tensorflow")

from keras_has import data  # noqa: E402
from keras_has.data.image_decoding import decode_image  # noqa: E402
from keras_has.export import load_embedder  # noqa: E402
from keras_has.layers import HideAndSeek  # noqa: E402
from keras_has.ops.retrieval import (  # noqa: E402
    feature_distances,
    reidentification_truth,
    score_rankings,
)
from trainers.engine.run_directory import RunDirectory  # noqa: E402
from trainers.engine.run_error import RunError  # noqa: E402
from trainers.engine.training import load_network, train_recipe  # noqa: E402
from trainers.recipes.reidentification import RECIPES  # noqa: E402
from trainers.recipes.reidentification_recipe import ReidentificationRecipe  # noqa: E402
from trainers.tasks.reidentification import Reidentification  # noqa: E402

BY_NAME = {recipe.name: recipe for recipe in RECIPES}
SETTINGS = {
    "model": "small_gap",
    "map_stride": 4,
    "widths": (8, 8),
    "image_size": 32,
    "patch_size": (0, 8),
    "epochs": 2,
    "batch_size": 12,
    "evaluate_every": 2,
    "embedding_size": 16,
    "learning_rate": 0.05,
}


FINISHED = BY_NAME["market1501_small_ide"].override(
    **{**SETTINGS, "epochs": 4, "evaluate_every": 4, "rerank": True},
    augmentation="random_erasing",
)


def write_people(folder):
    """Striped and dotted figures: six to train on, four others to find, in two cameras."""
    random = np.random.default_rng(0)

    def write(part, identity, camera, number):
        color = np.random.default_rng(identity).integers(0, 200, (2, 1, 1, 3))
        image = np.concatenate([np.tile(color[n], (20, 18, 1)) for n in (0, 1)])
        image = image + random.integers(0, 55, image.shape)
        (folder / part).mkdir(parents=True, exist_ok=True)
        name = "-1" if identity < 0 else f"{identity:04}"
        path = folder / part / f"{name}_c{camera}s1_{number:06}_01.jpg"
        Image.fromarray(image.astype("uint8")).save(path)

    for identity in range(1, 7):
        for number in range(6):
            write("bounding_box_train", identity, 1 + number % 2, number)
    for identity in (11, 12, 13, 14):
        write("query", identity, 1, 0)
        for number, camera in enumerate((1, 2, 2)):
            write("bounding_box_test", identity, camera, number)
    write("bounding_box_test", 0, 2, 0)
    return folder


@pytest.fixture
def people(tmp_path):
    return write_people(tmp_path / "people")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of the data, and that of a run on them."""
    root = tmp_path_factory.mktemp("finished")
    train_recipe(FINISHED, root / "run", write_people(root))
    return root, root / "run"


def tiny(**fields):
    recipe = BY_NAME["market1501_small_ide"]
    return recipe.override(**{**SETTINGS, **fields})


def loaded(folder, **fields):
    task = Reidentification(tiny(**fields), folder)
    task.load()
    return task


def test_a_finished_run_leaves_results_pictures_and_a_model(finished, capsys):
    folder, run = finished
    results = train_recipe(FINISHED, run, folder)
    assert results == json.loads((run / "results.json").read_text())
    assert (results["queries"], results["gallery"]) == (4, 13)
    assert results["queries_without_match"] == 0
    assert 0 < results["random_map"] < 1
    assert results["map"] > results["random_map"]
    assert {"reranked_map", "untrained_rank1", "rank5", "rank10", "map_step"} <= set(results)
    text = capsys.readouterr().out
    assert f"mAP{100 * results['map']:49.1f}" in text
    assert (run / "panel.png").is_file()

    model = tf.saved_model.load(str(run / "saved_model"))
    test = data.market1501(folder, "test")
    embeddings = [
        model.signatures["serving_default"](images=example["image"][None])["embedding"][0]
        for example in test.examples()
    ]
    is_query = test["is_query"]
    sides = [np.array(embeddings)[side] for side in (is_query, ~is_query)]
    truth = reidentification_truth(
        *(test[name][side] for side in (is_query, ~is_query) for name in ("identity", "camera"))
    )
    scores = score_rankings(feature_distances(*sides), truth).means()
    assert scores["map"] == pytest.approx(results["map"])
    assert scores["rank1"] == results["rank1"]


def test_the_exported_model_embeds_images_and_files_of_any_size(finished):
    folder, run = finished
    model, metadata = load_embedder(run / "saved_model")
    assert (metadata.height, metadata.width, metadata.size) == (32, 16, 8)
    path = sorted((folder / "query").iterdir())[0]
    pixels = decode_image(tf.constant(path.read_bytes()))[None]
    of_pixels = model.signatures["serving_default"](images=pixels)["embedding"]
    files = tf.constant([path.read_bytes()])
    of_files = model.signatures["encoded"](encoded=files)["embedding"]
    np.testing.assert_allclose(of_files, of_pixels, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(of_pixels, axis=1), 1, rtol=1e-5)
    empty = model.signatures["serving_default"](images=tf.zeros((0, 9, 5, 3), tf.uint8))
    assert empty["embedding"].shape == (0, 8)


def test_a_resumed_run_has_the_weights_of_an_uninterrupted_one(finished, tmp_path, monkeypatch):
    people, whole_run = finished
    fit = keras.Model.fit

    def fit_one_epoch(model, *args, epochs, **kwargs):
        fit(model, *args, epochs=1, **kwargs)
        raise KeyboardInterrupt

    monkeypatch.setattr(keras.Model, "fit", fit_one_epoch)
    with pytest.raises(RunError, match="epoch 1 of 4"):
        train_recipe(FINISHED, tmp_path / "run", people)
    monkeypatch.undo()
    train_recipe(FINISHED, tmp_path / "run", people)
    task = Reidentification(FINISHED, people)
    task.load()
    whole, resumed = (
        load_network(task, RunDirectory(path)).get_weights()
        for path in (whole_run, tmp_path / "run")
    )
    for expected, found in zip(whole, resumed, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("patch_size", [(0,), (8,)])
@pytest.mark.parametrize("augmentation", ["", "random_erasing"])
def test_hiding_and_erasing_are_separate(people, patch_size, augmentation):
    task = loaded(people, patch_size=patch_size, augmentation=augmentation)
    kinds = [type(layer) for layer in task.input_layers()[1:]]
    assert kinds == [keras.layers.RandomErasing] * bool(augmentation) + [HideAndSeek] * any(
        patch_size
    )
    layers = task.build_model().layers
    assert sum(isinstance(layer, HideAndSeek) for layer in layers) == any(patch_size)
    images, _ = next(iter(task.batches(0)))
    assert images.shape == (12, 32, 16, 3)
    if any(patch_size):
        hidden = np.asarray(task.input_layers()[-1](np.ones((12, 32, 16, 3)), training=True))
        cells = hidden.reshape(12, 4, 8, 2, 8, 3)
        assert ((cells == cells[:, :, :1, :, :1]).all()) and 0.3 < (hidden == 1).mean() < 0.7


def test_new_layers_learn_faster(people):
    task = loaded(people, learning_rate=0.01, new_layers_rate=10.0)
    optimizer = task.optimizer()
    assert optimizer.layer_rates == {"embedding": 10, "embedding_bn": 10, "predictions": 10}


def test_everything_odd_about_the_data_is_named(people):
    (people / "query" / "Thumbs.db").write_bytes(b"x")
    (people / "bounding_box_test" / "who.jpg").write_bytes(b"x")
    image = next((people / "query").glob("0011*")).read_bytes()
    (people / "query" / "0099_c1s1_000000_01.jpg").write_bytes(image)
    (people / "bounding_box_test" / "0001_c1s1_000000_01.jpg").write_bytes(image)
    task = loaded(people)
    assert len(task.problems) == 4
    text = "\n".join(task.problems)
    assert "query: entries not read: 1 (.db)" in text
    assert "bounding_box_test/who.jpg: left out" in text
    assert "query/0099_c1s1_000000_01.jpg: has no match" in text
    assert "1 identities are in the training and in the test images, such as 1" in text
    assert task.val_split["is_query"].sum() == 5


def test_damaged_images_are_named_or_left_out(people):
    bad = people / "bounding_box_test" / "0014_c2s1_000001_01.jpg"
    bad.write_bytes(b"\xff\xd8\xff")
    task = loaded(people)
    with pytest.raises(tf.errors.InvalidArgumentError) as error:
        for _ in task.evaluation_callback(None).dataset:
            pass
    assert bad.name in task.name_bad_input(error.value)
    task = Reidentification(tiny(), people, on_bad_image="skip")
    task.load()
    assert (~task.val_split["is_query"]).sum() == 12
    assert [one["path"] for one in task.bad_images] == [str(bad)]


def test_a_gallery_without_matches_is_refused(people):
    for path in (people / "bounding_box_test").glob("001*"):
        path.unlink()
    with pytest.raises(RunError, match="market1501/test"):
        loaded(people)


@pytest.mark.parametrize(
    "fields",
    [
        {"augmentation": "cutmix"},
        {"dropout_rate": 1.5},
        {"embedding_size": 0},
        {"image_width": 0},
        {"tuning_share": 0.5},
        {"min_crop_area": 0},
    ],
)
def test_invalid_settings_are_refused(fields):
    ((name, value),) = fields.items()
    with pytest.raises(ValueError, match=f"`{name}`.*{value}"):
        tiny(**fields)


def test_the_width_follows_the_height_and_recipes_survive_json():
    assert tiny(image_size=64).input_size == (64, 32)
    assert tiny(image_size=64, image_width=48).input_size == (64, 48)
    for name, recipe in BY_NAME.items():
        assert recipe.name == name
        assert ReidentificationRecipe.from_json(recipe.to_json()) == recipe
        assert recipe.choices


@pytest.mark.parametrize(
    ("name", "model", "features", "size"),
    [
        ("market1501_has", "ResNet50", 2048, (8, 4)),
        ("market1501_has_erasing", "MobileNetV2", 1280, (8, 4)),
        ("market1501_small_has", "efficientnet_lite0", 1280, (4, 2)),
    ],
)
def test_the_recipes_build_their_networks(people, name, model, features, size):
    recipe = BY_NAME[name].override(model=model, weights="random")
    task = Reidentification(recipe, people)
    task.load()
    network = task.build_model()
    assert network.get_layer("cam_features").output.shape[1:] == (*size, features)
    assert network.get_layer("pooling").output.shape == (None, features)
    assert network.get_layer("embedding").units == recipe.embedding_size
    assert network.output.shape == (None, 6)


def test_the_full_scale_recipes_follow_the_published_schedule(people):
    for dataset in ("market1501", "dukemtmc_reid"):
        for name in ("ide", "has", "erasing", "has_erasing"):
            recipe = BY_NAME[f"{dataset}_{name}"]
            assert recipe.input_size == (256, 128)
            assert (recipe.epochs, recipe.batch_size, recipe.step_epochs) == (50, 128, (40,))
            assert (recipe.embedding_size, recipe.dropout_rate) == (1024, 0.5)
            assert (recipe.model, recipe.map_stride) == ("ResNet50", 32)
            assert recipe.nesterov and recipe.weight_decay == 5e-4
            assert any(recipe.patch_size) == ("has" in name)
            assert (recipe.augmentation == "random_erasing") == ("erasing" in name)
    assert BY_NAME["market1501_has"].published == {"rank1": 90.2, "map": 72.8}
    assert BY_NAME["dukemtmc_reid_has"].published == {"rank1": 79.9, "map": 57.2}
    task = Reidentification(BY_NAME["market1501_has"].override(weights="random"), people)
    task.load()
    rate = task.optimizer().learning_rate
    assert task.steps_per_epoch == 1
    assert float(rate) == pytest.approx(0.01)
    assert set(task.layer_rates().values()) == {10.0}


def test_the_report_shows_figures_differences_and_ranked_galleries(finished, tmp_path):
    pytest.importorskip("matplotlib")
    from trainers.reports.run_report import write_report

    folder, run = finished
    results = json.loads((run / "results.json").read_text())
    text = write_report(run, run, folder, tmp_path / "report.html", images=4).read_text()
    assert text.count(f"<td>{100 * results['map']:.1f}</td>") >= 2
    assert text.count("+0.0 percentage points, 95% interval +0.0 to +0.0") == 2  # a run and itself
    # A fair sample of two queries in both runs; nothing is gained or lost.
    assert text.count("Query 001") == 2 * 2
    assert text.count("Rank 8: ") == 2 * 2
    with pytest.raises(RunError, match="map|rank"):
        other = write_people(tmp_path / "other")
        for path in (other / "bounding_box_test").glob("001*_c2*"):
            Image.fromarray(np.zeros((8, 4, 3), "uint8")).save(path)
        write_report(run, None, other, tmp_path / "other.html")


def test_paired_intervals_resample_the_queries():
    from trainers.reports.reidentification_run import paired_interval

    random = np.random.default_rng(0)
    before = random.random(400)
    after = before + random.normal(0.02, 0.1, 400)
    mean, low, high = paired_interval(before, np.append(after, np.nan)[:400])
    assert mean == pytest.approx((after - before).mean(), abs=1e-6)
    half = 1.96 * (after - before).std() / 20
    assert high - mean == pytest.approx(half, rel=0.1)
    assert mean - low == pytest.approx(half, rel=0.1)
