"""An exported model of the wrong kind is refused with the way to load it."""

import json

import pytest

pytest.importorskip("tensorflow")

from keras_has import export
from keras_has.models import SmallGAP, TemporalGAP


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("exports")
    export.export_localizer(SmallGAP(2, (32, 32, 3), widths=(4, 4)), root / "image", ["a", "b"])
    temporal = TemporalGAP(2, (None, 6), widths=(4,))
    export.export_temporal_localizer(temporal, root / "temporal", ["a", "b"])
    return root


@pytest.mark.parametrize(
    ("read", "load", "right", "wrong", "command"),
    [
        (export.read_metadata, export.load_localizer, "image", "temporal", "trainers.detect"),
        (
            export.read_temporal_metadata,
            export.load_temporal_localizer,
            "temporal",
            "image",
            "trainers.localize",
        ),
    ],
    ids=["image", "temporal"],
)
def test_each_kind_is_loaded_by_its_own_function_only(folders, read, load, right, wrong, command):
    model, metadata = load(folders / right)
    assert "serving_default" in model.signatures
    assert metadata == read(folders / right)
    for function in (read, load):
        with pytest.raises(ValueError, match=f"kind='{wrong}'.*{command}"):
            function(folders / wrong)
        with pytest.raises(FileNotFoundError, match=r"keras_has\.json is missing"):
            function(folders)


def test_an_unknown_kind_is_named(tmp_path):
    fields = {"class_names": [], "kind": "audio"}
    (tmp_path / export.METADATA_FILE).write_text(json.dumps(fields))
    with pytest.raises(ValueError, match="kind='audio'.*newer version"):
        export.read_metadata(tmp_path)
