"""EvaluationCallback: any evaluator, every epoch."""

import keras
import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # noqa: E402

from keras_has.callbacks import (  # noqa: E402
    CAMLocalization,
    EvaluationCallback,
    TemporalLocalization,
)
from keras_has.data import evaluation_batches, generated_parts, generated_phases  # noqa: E402
from keras_has.evaluation import ClassificationEvaluator, Evaluator, Panel  # noqa: E402
from keras_has.models import SmallGAP  # noqa: E402


def batches(count=7):
    images = np.random.default_rng(0).integers(0, 256, (count, 32, 32, 3), dtype="uint8")
    examples = {"image": images, "label": np.arange(count) % 3}
    return tf.data.Dataset.from_tensor_slices(examples).batch(3)


def test_figures_reach_history_tensorboard_and_later_callbacks(tmp_path):
    model = SmallGAP(3, (32, 32, 3))
    model.compile("sgd", "sparse_categorical_crossentropy")
    evaluation = EvaluationCallback(ClassificationEvaluator(), batches(), log_dir=tmp_path)
    best = keras.callbacks.ModelCheckpoint(
        tmp_path / "best.keras", monitor="val_top1_clas", mode="max", save_best_only=True
    )
    training = batches().map(lambda batch: (batch["image"], batch["label"]))
    history = model.fit(
        training, epochs=2, verbose=0, shuffle=False, callbacks=[evaluation, best]
    ).history
    assert len(history["val_loss"]) == 2
    assert (tmp_path / "best.keras").is_file()
    accumulator = EventAccumulator(str(tmp_path / "classification"))
    accumulator.Reload()
    assert sorted(accumulator.Tags()["tensors"]) == [
        "classification/loss",
        "classification/top1_clas",
        "most confident mistakes",
    ]


class Counter(Evaluator):
    """Counts images and draws one tile per batch."""

    noun = "picture"

    def forward(self, model):
        return lambda batch: {}

    def reset(self):
        self.count, self.sheet = 0, None

    def process(self, batch):
        self.count += batch.num_examples
        if self.sheet is not None:
            self.sheet.add(batch["image"][0], "first")

    def result(self):
        return {"count": float(self.count)}

    def start_panel(self):
        self.sheet = Panel("first of each batch", 2)

    def panel(self):
        return self.sheet


def test_a_panel_is_drawn_only_when_asked_for():
    callback = EvaluationCallback(Counter(), batches())
    callback.set_model(keras.Sequential([keras.Input((32, 32, 3))]))
    assert callback.evaluate() == {"val_count": 7.0}
    assert callback.panel is None
    assert callback.evaluate(draw=True) == {"val_count": 7.0}
    assert len(callback.evaluator.panel().tiles) == 3
    np.testing.assert_array_equal(callback.panel, callback.evaluator.panel().draw())


def test_a_missing_model_and_empty_data_are_named():
    with pytest.raises(ValueError, match="set_model"):
        EvaluationCallback(Counter(), batches()).evaluate()
    callback = EvaluationCallback(Counter(), batches().take(0))
    callback.set_model(keras.Sequential([keras.Input((32, 32, 3))]))
    with pytest.raises(ValueError, match="at least one picture"):
        callback.evaluate()


@pytest.mark.parametrize(
    "create",
    [
        lambda: EvaluationCallback(Counter(), batches()),
        lambda: CAMLocalization(evaluation_batches(generated_parts("val", num_images=4), 4, 64)),
        lambda: TemporalLocalization(generated_phases("val", num_videos=4), 4, 60),
    ],
    ids=["any evaluator", "images", "sequences"],
)
def test_creation_inside_a_scope_of_replicas_is_refused(create, two_replicas):
    with two_replicas.scope(), pytest.raises(ValueError, match=r"strategy\.scope"):
        create()
