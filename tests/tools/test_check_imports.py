import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def check_imports():
    spec = importlib.util.spec_from_file_location("check_imports", ROOT / "tools/check_imports.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def write(root, **sources):
    for name, source in sources.items():
        path = root / (name.replace("__", "/") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)


def test_the_project_has_no_upward_import_and_no_cycle(check_imports):
    assert check_imports.upward_imports(ROOT) == []
    assert check_imports.cycles(ROOT) == []
    assert len(check_imports.modules_of(ROOT)) > 150


@pytest.mark.parametrize(
    "source",
    [
        "from keras_has.callbacks import cam_callback",
        "import keras_has.callbacks.cam_callback",
        "def f():\n    from keras_has.callbacks.cam_callback import CAM",
        "from ..callbacks.cam_callback import CAM",
        "importlib.import_module('keras_has.callbacks.cam_callback')",
    ],
)
def test_an_import_of_a_higher_layer_is_found_with_its_line(check_imports, tmp_path, source):
    write(tmp_path, keras_has__callbacks__cam_callback="", keras_has__data__dataset=source)
    (problem,) = check_imports.upward_imports(tmp_path)
    line = 2 if source.startswith("def") else 1
    assert f"dataset.py:{line}: keras_has.data.dataset imports" in problem
    assert "keras_has.callbacks.cam_callback" in problem


def test_an_import_of_a_lower_layer_is_allowed(check_imports, tmp_path):
    write(
        tmp_path,
        keras_has__ops__boxes="",
        keras_has__data__dataset="from keras_has.ops.boxes import box_iou",
        trainers__compare="from keras_has.data import dataset",
    )
    assert check_imports.upward_imports(tmp_path) == []


def test_a_module_outside_of_the_layers_is_named(check_imports, tmp_path):
    write(tmp_path, keras_has__utils="")
    (problem,) = check_imports.upward_imports(tmp_path)
    assert "keras_has.utils belongs to no layer" in problem


def test_a_cycle_through_the_init_of_a_package_is_found(check_imports, tmp_path):
    write(
        tmp_path,
        keras_has__data__a="from keras_has.data import Dataset",
    )
    (tmp_path / "keras_has/data/__init__.py").write_text("from keras_has.data.a import f")
    assert check_imports.cycles(tmp_path) == [["keras_has.data", "keras_has.data.a"]]


def test_a_cycle_through_an_import_in_a_function_is_found(check_imports, tmp_path):
    write(
        tmp_path,
        keras_has__data__a="from keras_has.data import b",
        keras_has__data__b="def f():\n    from keras_has.data.c import g",
        keras_has__data__c="import keras_has.data.a",
        keras_has__data__d="from keras_has.data.a import h",
    )
    assert check_imports.cycles(tmp_path) == [
        ["keras_has.data.a", "keras_has.data.b", "keras_has.data.c"]
    ]
