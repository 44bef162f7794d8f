"""THUMOS14, ActivityNet and signals of one's own: what is read, from real and generated files."""

import json

import h5py
import numpy as np
import pytest

pytest.importorskip("tensorflow")

from keras_has.data import activitynet, feature_folder, thumos14, watch_untrimmed


def write_json(path, database, **more):
    path.write_text(json.dumps({"database": database, **more}))
    return path


def video(segments, subset="validation", duration=20.0, **more):
    annotations = [{"label": label, "segment": [start, end]} for label, start, end in segments]
    return {"subset": subset, "duration": duration, "annotations": annotations, **more}


@pytest.fixture
def database():
    return {
        "b": video([("run", 1.0, 2.5), ("jump", 3, 4)], video_labels=["run", "jump"]),
        "a": video([("run", 5.0, 7.0), ("Ambiguous", 8.0, 9.0)], video_labels=["run"]),
        "c": video([("jump", 0.0, 1.0)], subset="test"),
    }


def test_the_published_annotations_of_thumos14_are_read_whole(shared_data):
    path = shared_data / "thumos14-annotations.json"
    val, test = thumos14(path, "validation"), thumos14(path, "test")
    assert (len(val), len(test)) == (200, 212)
    assert sum(map(len, val["segments"])) == 3007
    assert sum(map(len, test["segments"])) == 3358
    assert sum(map(len, test["ambiguous"])) == 96
    assert sum(map(len, val["ambiguous"])) == 0
    assert len(val.class_names) == 20
    both = [*val.problems, *test.problems]
    late = [problem for problem in both if "beyond" in problem]
    assert len(late) == 5
    assert sum(int(each.split(": ")[2].split()[0]) for each in late) == 30
    assert sum("the video's labels" in problem for problem in both) == 28
    # Every dive from a cliff is listed as a dive, too.
    cliff, diving = (val.class_names.index(name) for name in ("CliffDiving", "Diving"))
    for dataset in (val, test):
        for segments, labels in zip(dataset["segments"], dataset["segment_labels"], strict=True):
            dives = {tuple(segment) for segment in segments[labels == diving]}
            assert all(tuple(segment) in dives for segment in segments[labels == cliff])


def test_labels_and_exclusions_of_thumos14_are_as_asked_for(shared_data):
    path = shared_data / "thumos14-annotations.json"
    by_segments = thumos14(path, "test")
    by_videos = thumos14(path, "test", labels_from="videos")
    # One video has an empty list of labels: without labels it is left out.
    (left_out,) = set(by_segments.ids) - set(by_videos.ids)
    assert left_out == "video_test_0000270"
    rest = by_segments.select(by_segments.ids != left_out)
    assert np.any(rest["labels"] != by_videos["labels"], axis=1).sum() == 19
    fewer = thumos14(path, "test", exclude=("video_test_0000270", "video_test_0001496"))
    assert len(fewer) == 210
    everything = thumos14(path, "validation", all_videos=True)
    assert (len(everything), len(everything.class_names)) == (1010, 101)
    assert sum(map(len, everything["segments"])) == 3007
    assert everything["labels"].sum(axis=1).mean() == pytest.approx(1.15, abs=0.005)


def test_text_files_give_what_the_json_gives(tmp_path, database, write_text):
    """As in the official archive: `video start end`, two spaces, a file a class."""
    write_text(tmp_path / "run_val.txt", "b  1.0 2.5\na  5.0 7.0\n")
    write_text(tmp_path / "jump_val.txt", "b  3 4\n")
    write_text(tmp_path / "Ambiguous_val.txt", "a  8.0 9.0\n")
    write_text(tmp_path / "run_test.txt", "z  1 2\n")
    texts = thumos14(tmp_path, "validation")
    parsed = thumos14(write_json(tmp_path / "all.json", database), "validation")
    assert texts.class_names == parsed.class_names == ("jump", "run")
    assert texts.ids.tolist() == ["a", "b"]
    parsed = parsed.select([1, 0])
    np.testing.assert_array_equal(texts["labels"], parsed["labels"])
    for column in ("segments", "ambiguous"):
        for one, other in zip(texts[column], parsed[column], strict=True):
            assert sorted(one.tolist()) == sorted(other.tolist())
    with pytest.raises(ValueError, match="`seconds_per_feature`"):
        thumos14(tmp_path, features_dir=tmp_path)
    with pytest.raises(ValueError, match="`all_videos`"):
        thumos14(tmp_path, all_videos=True)
    write_text(tmp_path / "jump_val.txt", "b  3 4\nb three 4\n")
    with pytest.raises(ValueError, match=r"jump_val.txt:2: a line should be"):
        thumos14(tmp_path)
    with pytest.raises(FileNotFoundError, match="annotations of the classes"):
        thumos14(tmp_path / "..", "test")


def test_features_are_found_as_files_of_three_kinds_and_in_one_file(tmp_path, database):
    path = write_json(tmp_path / "all.json", database)
    arrays = {"a": np.arange(40.0).reshape(20, 2), "b": np.ones((8, 2), "float16")}
    for kind in ("npy", "npz", "h5"):
        folder = tmp_path / kind
        folder.mkdir()
        for video_id, array in arrays.items():
            if kind == "npy":
                np.save(folder / f"{video_id}.npy", array)
            elif kind == "npz":
                np.savez(folder / f"{video_id}.npz", c3d=array, other=array)
            else:
                with h5py.File(folder / f"{video_id}.h5", "w") as file:
                    file["c3d"] = array
    with h5py.File(tmp_path / "one.hdf5", "w") as file:
        for video_id, array in arrays.items():
            file[f"v_{video_id}/c3d"] = array
    for place, key in (("npy", None), ("npz", "c3d"), ("h5", None), ("one.hdf5", "c3d")):
        dataset = thumos14(path, features_dir=tmp_path / place, feature_key=key)
        assert dataset.lengths().tolist() == [8, 20]
        features, seconds = dataset.read(1)
        assert features.dtype == np.float32
        np.testing.assert_array_equal(features, arrays["a"])
        assert seconds == 1.0
        sampled, seconds = dataset.read(1, num_features=5)
        np.testing.assert_array_equal(sampled, arrays["a"][[2, 6, 10, 14, 18]])
        assert seconds == 4.0
        twice, _ = dataset.read(0, num_features=16)
        assert twice.shape == (16, 2)
    with pytest.raises(ValueError, match="needs the name of the one wanted"):
        thumos14(path, features_dir=tmp_path / "npz").lengths()
    timed = thumos14(path, features_dir=tmp_path / "npy", seconds_per_feature=0.5)
    assert timed.read(1)[1] == 0.5
    assert timed.read(1, 5)[1] == 2.0


def test_missing_features_are_named_or_left_out_and_told(tmp_path, database):
    path = write_json(tmp_path / "all.json", database)
    folder = tmp_path / "features"
    with pytest.raises(FileNotFoundError, match="a folder of feature files"):
        thumos14(path, features_dir=folder)
    folder.mkdir()
    np.save(folder / "a.npy", np.ones((4, 2)))
    with pytest.raises(FileNotFoundError, match=r"none for 1 of them, such as \['b'\]"):
        thumos14(path, features_dir=folder)
    dataset = thumos14(path, features_dir=folder, missing_features="skip")
    assert dataset.ids.tolist() == ["a"]
    assert "no features of b; left out" in dataset.problems[0]
    (folder / "a.npy").unlink()
    with pytest.raises(FileNotFoundError):
        thumos14(path, features_dir=folder, missing_features="skip")


def test_bad_feature_files_are_named_and_nothing_is_unpickled(tmp_path, database):
    path = write_json(tmp_path / "all.json", {"a": database["a"]})
    file = tmp_path / "a.npy"

    def read():
        return thumos14(path, features_dir=tmp_path).read(0)

    np.save(file, np.array([{"a": 1}], dtype=object))  # which NumPy can only write as a pickle
    with pytest.raises(ValueError, match=r"a\.npy: cannot be read"):
        read()
    for wrong, words in (
        (np.ones(5), r"shape=\(5,\)"),
        (np.ones((0, 3)), r"shape=\(0, 3\)"),
        (np.array([["x"]]), "dtype=<U1"),
        (np.array([[np.nan]]), "finite"),
    ):
        np.save(file, wrong)
        with pytest.raises(ValueError, match=rf"a\.npy.*{words}"):
            read()
    file.write_bytes(b"not NumPy's")
    with pytest.raises(ValueError, match=r"a\.npy: cannot be read"):
        read()
    file.unlink()
    (tmp_path / "a.npz").write_bytes(b"PK not zip")
    with pytest.raises(ValueError, match=r"a\.npz: cannot be read"):
        read()


def test_odd_annotations_are_counted_and_told(tmp_path):
    database = {
        "a": video([("run", 1, 2), ("run", 3, 3), ("run", 5, 4), ("jump", 30, 31)]),
        "b": video([("run", 1, 2)], video_labels=["jump"]),
        "c": video([]),
    }
    dataset = thumos14(write_json(tmp_path / "x.json", database))
    assert dataset.ids.tolist() == ["a", "b"]
    assert dataset["segments"][0].tolist() == [[1, 2], [30, 31]]
    assert len(dataset.problems) == 4
    assert dataset.problems[3].endswith("video 'c': shows none of the classes; left out.")
    assert "x.json: video 'a': 2 segments do not end" in dataset.problems[0]
    assert "1 segments lie beyond its 20.0 s; kept" in dataset.problems[1]
    assert "['jump'], those of its segments ['run']" in dataset.problems[2]
    assert dataset["labels"][1].tolist() == [False, True]
    other = thumos14(tmp_path / "x.json", labels_from="videos")
    assert other["labels"][1].tolist() == [True, False]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"database": {\n oops', r"x\.json:2: the file should be JSON"),
        ("[1]", r'"database"'),
        ('{"database": {"a": 3}}', "video 'a'"),
        ('{"database": {"a": {"annotations": []}}}', "subset"),
        ('{"database": {"a": {"subset": "validation", "duration": -1}}}', "duration"),
        (
            '{"database": {"a": {"subset": "validation", "duration": 9, "annotations": [{}]}}}',
            "annotation should have",
        ),
        (
            '{"database": {"a": {"subset": "validation", "duration": 9, "annotations": '
            '[{"label": "x", "segment": ["0", 1]}]}}}',
            "numbers of seconds",
        ),
        (
            '{"database": {"a": {"subset": "validation", "duration": 9, "annotations": '
            '[{"label": "", "segment": [0, 1]}]}}}',
            "annotation should have",
        ),
    ],
)
def test_annotations_that_cannot_be_read_name_file_and_place(tmp_path, content, words, write_text):
    path = write_text(tmp_path / "x.json", content)
    with pytest.raises(ValueError, match=words):
        thumos14(path)


def test_activitynet_takes_its_classes_from_the_annotations_of_all_subsets(tmp_path):
    """Its taxonomy is a tree, whose inner nodes are no classes."""
    database = {
        "x": video([("Surfing", 1, 9)], subset="training"),
        "y": video([("Archery", 2, 3)]),
        "z": video([], subset="testing"),
    }
    taxonomy = [{"nodeId": 1, "nodeName": "Sports", "parentId": 0, "parentName": "Root"}]
    path = write_json(tmp_path / "v1-3.json", database, taxonomy=taxonomy)
    np.save(tmp_path / "v_x.npy", np.ones((5, 3)))
    dataset = activitynet(path, features_dir=tmp_path)
    assert dataset.class_names == ("Archery", "Surfing")
    assert dataset["labels"].tolist() == [[False, True]]
    assert dataset.read(0)[0].shape == (5, 3)
    assert activitynet(path, "validation").ids.tolist() == ["y"]
    with pytest.raises(ValueError, match="`split`"):
        activitynet(path, "test")


@pytest.fixture
def own_folder(tmp_path):
    """Returns a function that writes a folder with the features and annotations of videos."""

    def write(database, **more):
        write_json(tmp_path / "annotations.json", database, **more)
        (tmp_path / "features").mkdir(exist_ok=True)
        for video_id, entry in database.items():
            features = np.ones((int(5 * entry["duration"]), 4), "float32")
            np.save(tmp_path / "features" / f"{video_id}.npy", features)
        return tmp_path

    return write


def names(*class_names):
    return [{"nodeName": name} for name in class_names]


def test_own_videos_are_read_from_a_folder(own_folder):
    database = {"s1": video([("row", 0.2, 1.0)], subset="train", duration=2.0)}
    folder = own_folder(database, taxonomy=names("row"))
    dataset = feature_folder(folder)
    assert dataset.name == "feature_folder/train"
    assert dataset.read(0)[1] == pytest.approx(0.2)
    assert feature_folder(folder, seconds_per_feature=0.5).read(0)[1] == 0.5
    assert dataset.problems == ()
    with pytest.raises(ValueError, match=r"one of \['train'\]"):
        feature_folder(folder, "test")


def test_the_old_name_reads_own_videos_and_gives_the_new_one(own_folder):
    database = {"s1": video([("row", 0.2, 1.0)], subset="train", duration=2.0)}
    folder = own_folder(database, taxonomy=names("row"))
    new, old = feature_folder(folder), watch_untrimmed(folder)
    assert old.name == "feature_folder/train"
    np.testing.assert_array_equal(old.read(0)[0], new.read(0)[0])
    (note,) = old.problems
    assert "--dataset=feature_folder" in note
    assert str(folder) in note


def test_unknown_entries_are_named_and_counted(own_folder):
    database = {
        "a": video([("run", 1, 2)], subset="test", video_label=["run"]),
        "b": {"subset": "test", "duration": 3.0, "annotation": [], "labels": ["run"]},
        "c": {"subset": "test", "duration": 3.0, "annotation": []},
    }
    folder = own_folder(database, taxonmy=names("jump"))
    taxonomy, *entries = feature_folder(folder, "test").problems
    assert taxonomy.startswith(str(folder / "annotations.json"))
    assert "'taxonmy'" in taxonomy
    assert taxonomy.endswith("Is it 'taxonomy'?")
    assert len(entries) == 3
    assert "'video_label' of 1 videos, such as 'a'" in entries[0]
    assert "'annotation' of 2 videos, such as 'b'" in entries[1]
    assert entries[1].endswith("Is it 'annotations'?")
    assert "'labels' of 1 videos, such as 'b'" in entries[2]
    published = activitynet(folder / "annotations.json", "validation")
    assert sum("is not read" in problem for problem in published.problems) == 4


def test_segments_outside_the_video_or_listed_twice_are_counted(own_folder):
    times = [("run", 1, 30), ("run", -5, 3), ("run", -5, -3), ("run", 1, 2), ("run", 1, 2)]
    database = {"a": video(times, duration=10.0), "b": video([("run", 2, 11)], duration=10.0)}
    folder = own_folder(database)
    path = folder / "annotations.json"
    dataset = activitynet(path, "validation")
    assert list(map(len, dataset["segments"])) == [5, 1]
    assert len(dataset.problems) == 3
    early, twice, late = dataset.problems
    assert early.startswith(f"{path}: video 'a': segments start before 0")
    assert "2 such segments in 1 videos" in early
    assert "1 such segments in 1 videos" in twice
    assert "2 such segments in 2 videos" in late
    with pytest.raises(ValueError, match="2 problems") as error:
        feature_folder(folder, "validation")
    assert f"{path}: video 'a'" in str(error.value)
    assert "'run' from -5 to -3" in str(error.value)


@pytest.mark.parametrize("seconds", [-5.0, 0.0, np.nan, np.inf])
def test_a_time_between_features_that_is_none_is_refused(own_folder, seconds):
    folder = own_folder({"s1": video([("row", 0.2, 1.0)], subset="train", duration=2.0)})
    with pytest.raises(ValueError, match=f"seconds_per_feature={seconds}"):
        feature_folder(folder, seconds_per_feature=seconds)


def test_a_file_belongs_to_the_video_that_it_is_named_after(own_folder):
    entry = video([("row", 0.2, 1.0)], subset="train", duration=2.0)
    folder = own_folder({"v1": entry, "v_v1": {**entry, "subset": "test"}})
    features = folder / "features"
    np.save(features / "v_v1.npy", np.full((10, 4), 2.0))
    assert feature_folder(folder).read(0)[0].max() == 1
    assert feature_folder(folder, "test").read(0)[0].max() == 2
    (features / "v1.npy").unlink()
    with pytest.raises(FileNotFoundError, match="'v1'"):
        feature_folder(folder)
    (features / "v_v1.npy").rename(features / "v_v1.NPY")
    assert feature_folder(folder, "test").read(0)[0].max() == 2


def test_only_the_watch_dataset_is_called_so(own_folder):
    database = {"watch_train_0001": video([("ROW", 0.2, 1.0)], subset="train", duration=2.0)}
    dataset = watch_untrimmed(own_folder(database, taxonomy=names("ROW")))
    assert dataset.name == "watch_untrimmed/train"
    assert dataset.problems == ()


def test_a_taxonomy_is_binding_and_labels_outside_it_are_listed(own_folder):
    database = {
        "a": video([("jump", 1, 2), ("jmup", 3, 4), ("jmup", 5, 6)], subset="train"),
        "b": {"subset": "train", "duration": 4.0, "video_labels": ["runn", "jump"]},
        "c": {"subset": "train", "duration": 4.0, "video_labels": ["runn"]},
    }
    dataset = feature_folder(own_folder(database, taxonomy=names("run", "jump", "walk")))
    assert dataset.class_names == ("run", "jump", "walk")
    assert dataset.ids.tolist() == ["a", "b", "c"]
    assert dataset["segments"][0].tolist() == [[1, 2]]
    assert dataset["labels"].tolist() == [[False, True, False]] * 2 + [[False] * 3]
    of_a, of_b, of_c = dataset.problems
    assert "video 'a': 2 segments of 'jmup'" in of_a
    assert of_a.endswith("Is it 'jump'?")
    assert "video 'b': the label 'runn'" in of_b
    assert "video 'c': the label 'runn'" in of_c


def test_published_datasets_leave_out_what_a_taxonomy_does_not_list(tmp_path, database):
    path = write_json(tmp_path / "x.json", database, taxonomy=names("run"))
    dataset = thumos14(path)
    assert dataset.class_names == ("run",)
    assert dataset["labels"].tolist() == [[True], [True]]
    assert [len(segments) for segments in dataset["segments"]] == [1, 1]
    assert any("1 segments of 'jump'" in problem for problem in dataset.problems)


def test_a_video_without_actions_stays_in_a_folder_of_ones_own(own_folder):
    database = {
        "a": video([("run", 1, 2)], subset="test"),
        "b": video([], subset="test"),
        "c": {"subset": "test", "duration": 3.0},
    }
    dataset = feature_folder(own_folder(database), "test")
    assert dataset.ids.tolist() == ["a", "b", "c"]
    assert dataset["labels"].tolist() == [[True], [False], [False]]
    assert dataset["segment_labels"][1].tolist() == []


def test_labels_of_whole_videos_are_classes_where_there_is_no_taxonomy(own_folder):
    database = {
        "a": {"subset": "train", "duration": 3.0, "video_labels": ["run"]},
        "b": video([("jump", 1, 2)], subset="test"),
    }
    dataset = feature_folder(own_folder(database))
    assert dataset.class_names == ("jump", "run")
    assert dataset["labels"].tolist() == [[False, True]]
    folder = own_folder({"a": {"subset": "train", "duration": 3.0}})
    with pytest.raises(ValueError, match='"taxonomy"'):
        feature_folder(folder)


def test_subsets_and_feature_files_that_are_not_used_are_listed(own_folder):
    database = {
        "a": video([("run", 1, 2)], subset="train"),
        "b": video([("run", 1, 2)], subset="Train"),
        "c": video([("run", 1, 2)], subset="test"),
    }
    folder = own_folder(database)
    np.save(folder / "features" / "B.npy", np.ones((3, 4)))
    (folder / "features" / "._a.npy").touch()
    subset, file = feature_folder(folder).problems
    assert "the subset 'Train'" in subset
    assert file.startswith(str(folder / "features" / "B.npy"))


@pytest.mark.parametrize(
    ("taxonomy", "received"),
    [
        ([20], "Received: 20"),
        (["run"], "Received: 'run'"),
        ([{"nodeName": 3}], "Received: .*3"),
        ([{"nodeId": 3}], "Received: .*3"),
        ({"run": 1}, "Received: .*run"),
        (names("run", "jump", "run"), "Received twice: 'run'"),
    ],
)
def test_a_wrong_taxonomy_names_file_and_entry(tmp_path, database, taxonomy, received):
    path = write_json(tmp_path / "x.json", database, taxonomy=taxonomy)
    with pytest.raises(ValueError, match=rf'x\.json: .*"taxonomy".*{received}'):
        thumos14(path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("[" * 100_000, r"x\.json"),
        ('{"database": {"a": {"subset": "test"}, "a": {}}}', "'a' twice"),
        (
            '{"database": {"a": {"subset": "validation", "duration": 1' + "0" * 400 + "}}}",
            r"x\.json: .*out of range",
        ),
        (
            '{"database": {"a": {"subset": "validation", "duration": 1' + "0" * 5000 + "}}}",
            "x.json",
        ),
        ('{"database": {"a": {"subset": "validation", "duration": true}}}', "duration.*True"),
        (
            '{"database": {"\\ud800": {"subset": "validation", "duration": 3, "annotations": '
            '[{"label": "x", "segment": [0, 1]}]}}}',
            "plain Unicode",
        ),
        ('{"database": {"a": {"subset": "validation", "duration": 3}}}', "no classes"),
        (
            '{"database": {"a": {"subset": "validation", "duration": 9, "annotations": '
            '[{"label": "x", "segment": [0, 1' + "0" * 400 + "]}]}}}",
            r"x\.json: .*out of range",
        ),
        ('{"database": {"a": {"subset": "validation", "duration": 9, "video_labels": 3}}}', "list"),
    ],
)
def test_nonsense_in_json_names_the_file(tmp_path, content, words, write_text):
    with pytest.raises(ValueError, match=rf"x\.json.*{words}|{words}"):
        thumos14(write_text(tmp_path / "x.json", content))


@pytest.mark.parametrize("times", ["0 1e39", "-1e308 1e308", "0 nan", "0", "0 1 2"])
def test_times_that_no_video_has_name_file_and_line(tmp_path, times, write_text):
    path = write_text(tmp_path / "Diving_test.txt", f"v1 0 1\nv2 {times}\n")
    with pytest.raises(ValueError, match=f"{path}:2: .*{times}"):
        thumos14(tmp_path, "test")
