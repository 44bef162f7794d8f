import tarfile

import numpy as np
import pytest
from PIL import Image

from keras_has import data
from keras_has.data import transforms
from keras_has.data.mask_files import voc_palette
from keras_has.data.readers.pascal_voc import CAMVID_CLASSES, VOC_CLASSES

tf = pytest.importorskip("tensorflow")

MASKS = {
    "a": [[0, 1, 255, 1], [2, 2, 0, 1]],
    "b": [[1, 1], [1, 1], [255, 0]],
}


@pytest.fixture
def folder(tmp_path):
    """Two images of different sizes; the red channel of a pixel is 10 times its class."""
    root = tmp_path / "street"
    for name in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (root / name).mkdir(parents=True)
    for name, mask in MASKS.items():
        mask = np.array(mask, "uint8")
        data.write_mask(root / "SegmentationClass" / f"{name}.png", mask)
        pixels = np.zeros((*mask.shape, 3), "uint8")
        pixels[..., 0] = np.where(mask == 255, 250, 10 * mask)
        Image.fromarray(pixels).save(root / "JPEGImages" / f"{name}.png")
    (root / "ImageSets" / "Segmentation" / "train.txt").write_text("b\na\n")
    (root / "classes.txt").write_text("sky\nroad\ntree\n")
    return root


def test_images_and_masks_are_those_of_the_list_in_its_order(folder):
    dataset = data.pascal_voc(folder)
    assert dataset.name == "street/train"
    assert dataset.class_names == ("sky", "road", "tree")
    examples = list(dataset.examples(columns=["mask"]).as_numpy_iterator())
    assert [example["image_id"].decode() for example in examples] == ["b", "a"]
    for example in examples:
        mask = np.array(MASKS[example["image_id"].decode()], "uint8")
        assert example["mask"].dtype == np.uint8
        np.testing.assert_array_equal(example["mask"], mask)
        np.testing.assert_array_equal(
            example["image"][..., 0], np.where(mask == 255, 250, 10 * mask)
        )
    (selected,) = dataset.select([1]).examples(columns=["mask"])
    np.testing.assert_array_equal(selected["mask"], MASKS["a"])


def test_the_index_counts_and_not_the_color(folder):
    path = folder / "SegmentationClass" / "a.png"
    image = Image.open(path)
    image.putpalette(np.zeros(768, "uint8").tobytes())  # every index is black
    image.save(path)
    np.testing.assert_array_equal(data.read_mask(path), MASKS["a"])
    Image.fromarray(np.array(MASKS["a"], "uint8")).save(path)  # grey values
    np.testing.assert_array_equal(data.read_mask(path), MASKS["a"])


def test_written_masks_have_the_palette_of_pascal_voc(folder):
    image = Image.open(folder / "SegmentationClass" / "a.png")
    assert image.mode == "P"
    np.testing.assert_array_equal(np.asarray(image.convert("RGB")), voc_palette()[MASKS["a"]])


def test_pixels_are_counted_by_class_without_void(folder):
    counts = data.count_labels(data.pascal_voc(folder))
    assert counts.pixels.tolist() == [[1, 4, 0], [2, 3, 2]]
    assert counts.bad_masks == ()


def test_every_bad_mask_is_named_with_its_reason(folder):
    masks = folder / "SegmentationClass"
    data.write_mask(masks / "a.png", np.full((2, 4), 7))
    data.write_mask(masks / "b.png", np.zeros((2, 2)))
    found = data.count_labels(data.pascal_voc(folder))
    assert found.pixels.tolist() == [[0, 0, 0], [0, 0, 0]]
    reasons = {bad.image_id: bad.reason for bad in found.bad_masks}
    assert "2 x 2" in reasons["b"] and "3 x 2" in reasons["b"]
    assert "0 to 2" in reasons["a"] and "7" in reasons["a"]
    Image.new("RGB", (4, 2)).save(masks / "a.png")
    (masks / "b.png").write_bytes(b"no image")
    found = data.count_labels(data.pascal_voc(folder))
    reasons = {bad.image_id: bad.reason for bad in found.bad_masks}
    assert "mode=RGB" in reasons["a"]
    assert str(masks / "b.png") in reasons["b"]


def test_all_lines_without_files_and_repeated_ids_are_counted_and_named(folder):
    image_list = folder / "ImageSets" / "Segmentation" / "train.txt"
    (folder / "SegmentationClass" / "b.png").unlink()
    image_list.write_text("a\nc\nb\na\na 1\n")
    with pytest.raises(ValueError, match="4 problems") as error:
        data.pascal_voc(folder)
    text = str(error.value)
    assert f"{image_list}:2: there is no image 'c'" in text
    assert f"{image_list}:3: there is no mask 'b'" in text
    assert f"{image_list}:4: 'a' repeats line 1" in text
    assert f"{image_list}:5" in text and "'a 1'" in text


def test_a_missing_folder_or_list_is_named(folder):
    with pytest.raises(FileNotFoundError, match="SegmentationClassAug"):
        data.pascal_voc(folder, mask_folder="SegmentationClassAug")
    with pytest.raises(FileNotFoundError, match=r"nothing\.txt"):
        data.pascal_voc(folder, "nothing")


def test_class_names_are_given_or_read_or_those_of_pascal_voc(folder):
    assert data.pascal_voc(folder, class_names=CAMVID_CLASSES).class_names == CAMVID_CLASSES
    (folder / "classes.txt").write_text("sky\n\nsky\n")
    with pytest.raises(ValueError, match=r"classes\.txt:3: 'sky' repeats line 1"):
        data.pascal_voc(folder)
    (folder / "classes.txt").unlink()
    assert data.pascal_voc(folder).class_names == VOC_CLASSES
    assert len(VOC_CLASSES) == 21 and VOC_CLASSES[15] == "person"


def test_masks_move_with_their_images_in_batches(folder):
    def transform(example, seed, is_flipped):
        example = transforms.flip(transforms.pad(example, 3), is_flipped)
        return transforms.random_crop(example, seed, 6, 6)

    batches = data.image_batches(data.pascal_voc(folder), 8, transform, ("mask",), seed=3)
    batch = next(iter(batches))
    red, masks = batch["image"][..., 0].numpy(), batch["mask"].numpy()
    assert masks.shape == (8, 6, 6)
    is_padding = (red == 0) & (masks == 255)
    np.testing.assert_array_equal(
        red[~is_padding], np.where(masks == 255, 250, 10 * masks)[~is_padding]
    )
    assert {0, 1, 2, 255} == set(np.unique(masks))


def test_resized_masks_contain_only_classes_of_the_mask(folder):
    (example,) = data.pascal_voc(folder).select([1]).examples(columns=["mask"])
    resized = transforms.resize(example, 8)["mask"].numpy()
    np.testing.assert_array_equal(resized, np.repeat(np.repeat(MASKS["a"], 4, 0), 2, 1))


def test_the_real_camvid_has_its_counts_and_shares(shared_data, tmp_path):
    with tarfile.open(shared_data / "camvid-voc.tar") as archive:
        archive.extractall(tmp_path, filter="data")
    root = tmp_path / "camvid-voc"
    pixels, void = np.zeros(11, int), 0
    for split, count in (("trainval", 160), ("test", 60)):
        dataset = data.pascal_voc(root, split, CAMVID_CLASSES)
        counts = data.count_labels(dataset)
        assert (len(dataset), counts.bad_masks) == (count, ())
        pixels += counts.pixels.sum(0)
        void += count * 180 * 240 - counts.pixels.sum()
    shares = np.round(100 * pixels / pixels.sum(), 1)
    assert shares.tolist() == [16.6, 23.2, 1.1, 30.6, 7.1, 12.9, 1.2, 1.3, 4.9, 0.6, 0.5]
    assert round(100 * void / (220 * 180 * 240), 1) == 3.1
