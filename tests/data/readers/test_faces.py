"""CK+, FER-2013, Adience and UTKFace, in folders of generated images."""

import tarfile

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from keras_has import data  # noqa: E402

SPLITS = ("train", "val", "test")
DATES = [f"2017011{day}18372639{n}" for day in range(10) for n in range(2)]


def write_image(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(tf.io.encode_png(np.zeros((4, 4, 1), "uint8")).numpy())


def write_sequence(root, subject, sequence, label=None, frames=5):
    for number in range(1, frames + 1):
        name = f"{subject}_{sequence}_{number:08d}.png"
        write_image(root / "cohn-kanade-images" / subject / sequence / name)
    folder = root / "Emotion" / subject / sequence
    folder.mkdir(parents=True)
    if label is not None:
        (folder / f"{subject}_{sequence}_{frames:08d}_emotion.txt").write_text(f"   {label}\n")


@pytest.fixture
def official(tmp_path):
    for number in range(12):
        write_sequence(tmp_path, f"S{number:03d}", "001", f"{1 + number % 7}.0000000e+00")
    write_sequence(tmp_path, "S000", "002")  # as most sequences of CK+, without a label
    write_sequence(tmp_path, "S000", "003", "9.0")
    write_sequence(tmp_path, "S000", "004", "3.0", frames=3)
    write_image(tmp_path / "cohn-kanade-images" / "S001" / "001" / "S002_001_00000009.png")
    return tmp_path


@pytest.fixture
def folders(tmp_path):
    for number in range(20):
        for frame in range(3):
            emotion = ("anger", "happy", "neutral")[number % 3]
            write_image(tmp_path / emotion / f"S{number:03d}_001_{frame:08d}.png")
    write_image(tmp_path / "anger" / "someone.png")
    write_image(tmp_path / "happy" / "S000_001_00000000.png")
    (tmp_path / "anger" / "notes.txt").write_text("")
    return tmp_path


@pytest.fixture
def albums(tmp_path):
    header = "user_id\toriginal_image\tface_id\tage\tgender\tx"
    ages = ["(0, 2)", "(25, 32)", "(60, 100)", "35", "(4, 6)"]
    for fold in range(5):
        lines = [header]
        for number, age in enumerate(ages):
            user = f"{fold}{number}@N01"
            lines.append(f"{user}\ta.jpg\t{number}\t{age}\t{'mfu'[number % 3]}\t1")
            if (fold, number) != (2, 0):
                write_image(tmp_path / "aligned" / user / f"landmark_aligned_face.{number}.a.jpg")
        (tmp_path / f"fold_{fold}_data.txt").write_text("\n".join(lines) + "\n")
    return tmp_path


@pytest.fixture
def chips(tmp_path):
    for number, date in enumerate(DATES):
        write_image(tmp_path / f"{5 * number}_{number % 2}_0_{date}.jpg.chip.jpg")
        write_image(tmp_path / f"{number}_0_3_{date}.jpg")
    for name in ("61_1_20170109142408075.jpg.chip.jpg", "9_3_1_1.jpg", "999_1_1_1.jpg"):
        write_image(tmp_path / name)
    return tmp_path


def of_splits(read, **options):
    return [read(split=split, **options) for split in SPLITS]


def check_no_subject_is_in_two_splits(splits, column="subject"):
    subjects = [set(split[column].tolist()) for split in splits]
    assert all(subjects)
    assert sum(map(len, subjects)) == len(set.union(*subjects))


@pytest.mark.parametrize("layout", ["official", "folders"])
def test_no_subject_of_ck_plus_is_in_two_folds_and_every_image_is_tested_once(layout, request):
    root = request.getfixturevalue(layout)
    tested = []
    for fold in range(10):
        splits = of_splits(lambda **o: data.ck_plus(root, **o), fold=fold)
        check_no_subject_is_in_two_splits(splits)
        assert splits[1].ids.tolist() == data.ck_plus(root, "test", (fold + 1) % 10).ids.tolist()
        tested += splits[2].ids.tolist()
    everything = {name for split in splits for name in split.ids.tolist()}
    assert sorted(tested) == sorted(everything)


def test_the_official_ck_plus_gives_a_neutral_frame_and_three_of_the_emotion(official):
    test = data.ck_plus(official, "test", fold=1)
    assert test.class_names[:2] == ("neutral", "anger")
    # Subjects 1 and 11 of the sorted list, with the labels 2 and 5.
    assert set(test["subject"].tolist()) == {"S001", "S011"}
    assert test["label"].tolist() == [0, 2, 2, 2, 0, 5, 5, 5]
    assert test.ids.tolist()[:2] == [f"S001/001/S001_001_0000000{n}.png" for n in (1, 3)]
    emotions = data.ck_plus(official, "test", fold=1, neutral=False)
    assert emotions.class_names[:2] == ("anger", "contempt")
    assert emotions["label"].tolist() == [1, 1, 1, 4, 4, 4]
    problems = "\n".join(test.problems)
    assert "2: 'S000/002', 'S000/003'" in problems
    assert "9.0" in problems
    assert "S000/004" in problems
    assert "1: 'S002_001_00000009.png'" in problems


def test_ck_plus_in_folders_names_images_without_a_subject_or_with_two_emotions(folders):
    train = data.ck_plus(folders)
    assert train.class_names == ("anger", "happy", "neutral")
    assert data.ck_plus(folders, neutral=False).class_names == ("anger", "happy")
    problems = "\n".join(train.problems)
    assert "1: 'anger/someone.png'" in problems
    assert "1: 'S000_001_00000000.png'" in problems
    assert "notes.txt" in problems
    assert sum(map(len, of_splits(lambda **o: data.ck_plus(folders, **o)))) == 59


def test_no_subject_of_adience_is_in_two_folds_and_what_is_left_out_is_counted(albums):
    for fold in range(5):
        splits = of_splits(lambda **o: data.adience(albums, **o), fold=fold)
        check_no_subject_is_in_two_splits(splits)
        assert {name[0] for name in splits[2].ids.tolist()} == {str(fold)}
        assert {name[0] for name in splits[1].ids.tolist()} == {str((fold + 1) % 5)}
    test = data.adience(albums, "test")
    assert test["label"].tolist() == [0, 4, 7, 1]
    assert test["age"].tolist() == [1, 28.5, 80, 5]
    assert test.class_names[7] == "60-100"
    problems = "\n".join(test.problems)
    assert "5: '35' (5)" in problems
    assert "1: '20@N01/landmark_aligned_face.0.a.jpg'" in problems
    gender = data.adience(albums, "test", "gender")
    assert gender["label"].tolist() == [0, 1, 0, 1]
    assert gender.class_names == ("male", "female")
    assert any("5: 'u' (5)" in problem for problem in gender.problems)


def test_a_subject_in_several_folds_of_adience_is_named(albums):
    path = albums / "fold_1_data.txt"
    path.write_text(path.read_text() + "01@N01\ta.jpg\t1\t(25, 32)\tf\t1\n")
    assert any("1: '01@N01'" in problem for problem in data.adience(albums).problems)


def test_utkface_splits_by_photo_and_names_bad_names(chips):
    splits = of_splits(lambda **o: data.utkface(chips, **o))
    assert [len(split) for split in splits] == [32, 4, 4]
    dates = [{name.split("_")[3].split(".")[0] for name in split.ids} for split in splits]
    assert sum(map(len, dates)) == len(DATES)
    for split in splits:
        for name, age, label in zip(split.ids, split["age"], split["label"], strict=True):
            assert age == int(name.split("_")[0])
            assert label == min(age // 10, 8)
    assert splits[0].class_names[8] == "80 and older"
    (problem,) = splits[0].problems
    assert "3: '61_1_20170109142408075.jpg.chip.jpg', '999_1_1_1.jpg', '9_3_1_1.jpg'" in problem
    gender = data.utkface(chips, "train", "gender")
    assert gender.ids.tolist() == splits[0].ids.tolist()
    assert gender["label"].tolist() == [int(name.split("_")[1]) for name in gender.ids]


@pytest.mark.parametrize("columns", ["emotion,pixels,Usage", "emotion, Usage, pixels"])
def test_fer2013_reads_its_splits_and_names_bad_lines(tmp_path, columns):
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (6, 48, 48))
    usages = ["Training", "PublicTest", "PrivateTest", "Training", "Training", "Elsewhere"]
    lines = [columns]
    for number, (image, usage) in enumerate(zip(images, usages, strict=True)):
        fields = {"emotion": str(number), "pixels": " ".join(map(str, image.ravel()))}
        fields["Usage"] = usage
        lines.append(",".join(fields[name.strip()] for name in columns.split(",")))
    lines[4] = lines[4].replace(f" {images[3].ravel()[9]} ", " 256 ", 1)
    lines[5] = lines[5].replace("4,", "7,", 1)
    (tmp_path / "fer2013.csv").write_text("\n".join([*lines, "1,2"]) + "\n")
    train, val, test = of_splits(lambda **o: data.fer2013(tmp_path, **o))
    assert [split.ids.tolist() for split in (train, val, test)] == [
        ["line 2"],
        ["line 3"],
        ["line 4"],
    ]
    assert [split["label"].tolist() for split in (train, val, test)] == [[0], [1], [2]]
    np.testing.assert_array_equal(test.source.pixels[0, ..., 1], images[2])
    (problem,) = train.problems
    assert "fer2013.csv" in problem
    for part in ("4: ", "line 5 (pixels", "line 6 (emotion '7'", "line 7 (Usage", "line 8 (wrong"):
        assert part in problem


@pytest.mark.parametrize("read", [data.ck_plus, data.fer2013, data.adience, data.utkface])
def test_missing_folders_and_wrong_splits_are_named(read, official):
    (official / "aligned").mkdir()
    with pytest.raises(FileNotFoundError, match="nowhere"):
        read(official / "nowhere")
    with pytest.raises(ValueError, match="`split` .* Received: split='tset'"):
        read(official, split="tset")


def test_wrong_folds_and_targets_are_named(official, albums, chips):
    for fold, read, root in ((10, data.ck_plus, official), (5, data.adience, albums)):
        with pytest.raises(ValueError, match=f"`fold` .* Received: fold={fold}"):
            read(root, fold=fold)
    for read, root in ((data.adience, albums), (data.utkface, chips)):
        with pytest.raises(ValueError, match="`target` .* Received: target='height'"):
            read(root, target="height")


def test_the_real_ck_plus_has_118_subjects_and_7_classes(shared_data, tmp_path):
    with tarfile.open(shared_data / "ckplus48.tar") as file:
        file.extractall(tmp_path, filter="data")
    splits = of_splits(lambda **o: data.ck_plus(tmp_path / "ckplus48", **o))
    assert sum(map(len, splits)) == 981
    assert sum(len(set(split["subject"].tolist())) for split in splits) == 118
    check_no_subject_is_in_two_splits(splits)
    counts = sum(np.bincount(split["label"], minlength=7) for split in splits)
    assert counts.tolist() == [135, 54, 177, 75, 207, 84, 249]
