import pytest


@pytest.mark.parametrize(
    "required, outcome", [("", "Skipped"), ("browser", "Skipped"), ("browser,data", "Failed")]
)
def test_a_missing_need_skips_or_fails_as_the_environment_says(
    monkeypatch, skip_unless_required, required, outcome
):
    monkeypatch.setenv("KERAS_HAS_NO_SKIPS", required)
    with pytest.raises(BaseException, match="no datasets") as caught:
        skip_unless_required("data", "no datasets")
    assert type(caught.value).__name__ == outcome


def test_the_folder_of_the_real_datasets_can_be_named(monkeypatch, tmp_path, request):
    monkeypatch.setenv("KERAS_HAS_DATA", str(tmp_path))
    assert request.getfixturevalue("shared_data") == tmp_path
