"""Mutated annotations, lists and tables: every reader returns or names the file and the cause."""

import json

import numpy as np
import pytest
from PIL import Image

from keras_has import data
from keras_has.data.readers import localization_truth
from keras_has.data.readers.annotation_files import read_voc_annotation
from keras_has.data.readers.boxes_csv import read_boxes_csv
from keras_has.json_files import read_json
from trainers.tasks.feature_folders import seconds_per_feature_in

VOC = """<annotation>
<folder>dog</folder><filename>1.jpg</filename><source><database>own</database></source>
<size><width>8</width><height>6</height><depth>3</depth></size><segmented>0</segmented>
<object><name>{name}</name><pose>Left</pose><truncated>0</truncated>
<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>7</xmax><ymax>6</ymax></bndbox></object>
<object><name>{name}</name>
<bndbox><xmin>2</xmin><ymin>1</ymin><xmax>3.5</xmax><ymax>6</ymax></bndbox></object>
</annotation>
"""


def write(folder, files):
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            path.write_text(content, encoding="utf-8")
        elif isinstance(content, dict):
            path.write_text(json.dumps(content), encoding="utf-8")
        else:
            path.write_bytes(content)


def write_images(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 6)).save(folder / name)


def activitynet():
    videos = {
        "v1": ("training", [("jump", 0.5, 3), ("run", 4, 7.25)]),
        "v2": ("training", [("run", 1, 2), ("Ambiguous", 0, 9)]),
        "v3": ("validation", [("jump", 0, 10), ("Ambiguous", 2, 3)]),
    }
    return {
        "version": "1.3",
        "taxonomy": [{"nodeName": "jump", "nodeId": 1}, {"nodeName": "run"}],
        "database": {
            video_id: {
                "subset": subset,
                "duration": 10.5,
                "url": "https://example.org",
                "video_labels": ["jump"],
                "annotations": [
                    {"label": label, "segment": [start, end]} for label, start, end in segments
                ],
            }
            for video_id, (subset, segments) in videos.items()
        },
        "video_labels": {
            video_id: {"subset": "validation", "duration": 9, "labels": ["run"]}
            for video_id in ("v3", "v4")
        },
    }


def json_file(folder):
    write(folder, {"a.json": {"a": [1, -2.5, "é", None, True], "b": {"c": [[], {}]}}})


def annotations(folder):
    write(folder, {"annotations.json": activitynet()})


def features(folder):
    annotations(folder)
    write(folder, {"features/features.json": {"seconds_per_feature": 0.5}})
    for name in ("v1", "v2", "v3"):
        np.save(folder / "features" / name, np.ones((3, 2), np.float32))


def thumos_lines(folder):
    lines = "video_test_0000001  12.3 15.0\nvideo_test_0000002 0 1\n"
    write(folder, {"Diving_test.txt": lines, "Ambiguous_test.txt": lines})


def voc(folder):
    write(folder, {"a.xml": VOC.format(name="dog")})


def folder_with_xml(folder):
    write_images(folder, "train/dog/1.jpg", "train/cat/1.jpg")
    for name in ("dog", "cat"):
        write(folder, {f"train/{name}/1.xml": VOC.format(name=name)})


TABLE = """image,x0,y0,x1,y1,class,probability,width,height
train/dog/1.jpg,1,2,7,6,dog,0.9,8,6
"train/cat/1.jpg",0.5,0,3,6,cat,1,8,6
train/cat/1.jpg,,,,,cat,0.25,8,6
"""


def table(folder):
    write(folder, {"boxes.csv": TABLE})


def folder_with_table(folder):
    write_images(folder, "train/dog/1.jpg", "train/cat/1.jpg")
    table(folder)


def image_sizes(folder):
    write(folder, {"sizes.csv": 'image,width,height\na.jpg,8,6\n"b.jpg",500,375\n'})


def wsol(folder):
    names = ["a/1.jpg", "a/2.jpg", "b/3.jpg"]
    lines = {
        "image_ids.txt": names,
        "class_labels.txt": [f"{name},{'ab'.index(name[0])}" for name in names],
        "image_sizes.txt": [f"{name},8,6" for name in names],
        "localization.txt": [f"{name},1,2,6,5" for name in (*names, names[0])],
    }
    write(folder, {f"test/{file}": "\n".join(rows) + "\n" for file, rows in lines.items()})
    write_images(folder, *names)


def wsol_masks(folder):
    wsol(folder)
    names = ["a/1.jpg", "a/2.jpg", "b/3.jpg"]
    rows = [f"{name},{name[:-4]}_00.png,{name[:-4]}_ignore.png" for name in names]
    write(folder, {"test/localization.txt": "\n".join(rows) + "\n"})
    for _, mask, ignored in (row.split(",") for row in rows):
        write_images(folder, mask, ignored)


def cub(folder):
    names = ["001.Albatross/a_1.jpg", "001.Albatross/a_2.jpg", "002.Auklet/b_1.jpg"]
    write_images(folder, *(f"images/{name}" for name in names))
    lines = {
        "classes.txt": ["1 001.Albatross", "2 002.Auklet"],
        "images.txt": [f"{number} {name}" for number, name in enumerate(names, 1)],
        "image_class_labels.txt": ["1 1", "2 1", "3 2"],
        "train_test_split.txt": ["1 1", "2 1", "3 0"],
        "bounding_boxes.txt": ["1 1.0 1.0 4.0 3.0", "2 0 0 8 6", "3 2.0 1.0 3.0 4.0"],
    }
    write(folder, {file: "\n".join(rows) + "\n" for file, rows in lines.items()})


MAPPING = "n01440764 tench, Tinca tinca\nn01443537 goldfish, Carassius auratus\n"


def imagenet_solution(folder):
    write_images(folder, *(f"val/ILSVRC2012_val_{number}.JPEG" for number in (1, 2)))
    solution = "ImageId,PredictionString\n"
    solution += "ILSVRC2012_val_1,n01440764 1 1 6 5 n01440764 0 0 3 3 \n"
    solution += "ILSVRC2012_val_2,n01443537 0 0 7 5 \n"
    write(folder, {"LOC_val_solution.csv": solution, "LOC_synset_mapping.txt": MAPPING})


def imagenet_list(folder):
    write_images(folder, *(f"val/ILSVRC2012_val_{number}.JPEG" for number in (1, 2)))
    lines = "ILSVRC2012_val_1.JPEG 0\nILSVRC2012_val_2.JPEG n01443537\n"
    write(folder, {"val.txt": lines, "LOC_synset_mapping.txt": MAPPING})


def imagenet_xml(folder):
    for number, name in enumerate(("n01440764", "n01443537")):
        write_images(folder, f"val/{name}/{number}.JPEG")
        path = f"Annotations/CLS-LOC/val/{name}/{number}.xml"
        write(folder, {path: VOC.format(name=name)})
    write(folder, {"LOC_synset_mapping.txt": MAPPING})


def tiny_imagenet(folder):
    names = ["n01443537", "n01629819"]
    for name in names:
        write_images(folder, *(f"train/{name}/images/{name}_{number}.JPEG" for number in (0, 1)))
        boxes = "".join(f"{name}_{number}.JPEG\t0\t1\t6\t5\n" for number in (0, 1))
        write(folder, {f"train/{name}/{name}_boxes.txt": boxes})
    write_images(folder, *(f"val/images/val_{number}.JPEG" for number in (0, 1)))
    lines = "".join(f"val_{i}.JPEG\t{name}\t0\t1\t6\t5\n" for i, name in enumerate(names))
    write(folder, {"val/val_annotations.txt": lines, "wnids.txt": "\n".join(names)})
    write(folder, {"words.txt": "n01443537\tgoldfish, Carassius\nn01629819\tsalamander\n"})


def cifar_names(folder):
    rows = np.arange(2 * 3073, dtype=np.uint8).reshape(2, 3073)
    rows[:, 0] = (0, 1)
    for name in ("data_batch_1.bin", "test_batch.bin"):
        write(folder, {name: rows.tobytes()})
    write(folder, {"batches.meta.txt": "airplane\nautomobile\n"})


def tiny_splits(folder):
    return [data.tiny_imagenet(folder, split) for split in ("train", "val")]


def cub_splits(folder):
    return [data.cub(folder, split) for split in ("train", "test")]


def own_videos(folder):
    seconds = seconds_per_feature_in(folder / "features")
    dataset = data.feature_folder(folder, "training", None, seconds, "skip")
    return [dataset.example(row) for row in range(len(dataset))]


def thumos_json(folder):
    path = folder / "annotations.json"
    return [data.thumos14(path, "validation", all_videos=is_all) for is_all in (False, True)]


LOADERS = {
    "JSON": (json_file, "*.json", lambda folder: read_json(folder / "a.json")),
    "ActivityNet": (
        annotations,
        "*.json",
        lambda folder: data.activitynet(folder / "annotations.json", "training"),
    ),
    "own videos": (features, ["*.json", "features/*.json"], own_videos),
    "THUMOS14 text": (thumos_lines, "*.txt", lambda folder: data.thumos14(folder, "test")),
    "VOC XML": (voc, "*.xml", lambda folder: read_voc_annotation(folder / "a.xml")),
    "own images with XML": (folder_with_xml, "train/*/*.xml", data.image_folder),
    "boxes.csv": (table, "*.csv", lambda folder: read_boxes_csv(folder / "boxes.csv")),
    "boxes to evaluate": (
        table,
        "*.csv",
        lambda folder: localization_truth.read_boxes(folder / "boxes.csv"),
    ),
    "own images with boxes.csv": (folder_with_table, "*.csv", data.image_folder),
    "image sizes": (
        image_sizes,
        "*.csv",
        lambda folder: localization_truth.read_image_sizes(folder / "sizes.csv"),
    ),
    "WSOL metadata": (
        wsol,
        "test/*.txt",
        lambda folder: data.wsol_metadata(folder, folder, "test"),
    ),
    "WSOL metadata to evaluate": (
        wsol,
        "test/*.txt",
        lambda folder: localization_truth.read_localization_metadata(folder / "test"),
    ),
    "WSOL masks": (
        wsol_masks,
        "test/*.txt",
        lambda folder: (
            data.wsol_metadata(folder, folder, "test", mask_dir=folder),
            localization_truth.read_localization_metadata(folder / "test", folder),
        ),
    ),
    "CUB": (cub, "*.txt", cub_splits),
    "ImageNet solution": (
        imagenet_solution,
        ["*.csv", "*.txt"],
        lambda folder: data.imagenet(folder, "val"),
    ),
    "ImageNet list": (imagenet_list, "*.txt", lambda folder: data.imagenet(folder, "val")),
    "ImageNet XML": (
        imagenet_xml,
        ["*.txt", "Annotations/**/*.xml"],
        lambda folder: data.imagenet(folder, "val"),
    ),
    "Tiny ImageNet": (tiny_imagenet, "**/*.txt", tiny_splits),
    "CIFAR names": (cifar_names, "*.txt", data.cifar10),
}


@pytest.mark.parametrize("name", LOADERS)
def test_damaged_annotations_are_read_or_refused_by_name(name, fuzz):
    build, patterns, load = LOADERS[name]
    fuzz(name, build, patterns, load, inputs=700)


def test_thumos14_in_json_with_labels_of_all_videos(fuzz):
    fuzz("THUMOS14 JSON", annotations, "*.json", thumos_json, inputs=700)
