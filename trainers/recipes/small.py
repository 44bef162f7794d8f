"""Every row of the paper's image tables on a small dataset, with a network for two cores.

A row keeps what distinguishes it: patch sizes relative to the image, hide probability, pooling,
dropout, kind of map. Network, schedule and images are those of the dataset: the rows of AlexNet run
on "small_gap", those of GoogLeNet on a quarter of "googlenet_gap", with one view.
"""

import dataclasses

from trainers.recipes import parts, tiny_imagenet
from trainers.recipes.image_recipe import ImageRecipe
from trainers.recipes.imagenet import RECIPES as ROWS

# CUB from scratch: birds are small, so the images are larger.
_CUB = dataclasses.replace(
    tiny_imagenet.RECIPES[0],
    dataset="cub",
    map_stride=8,
    image_size=112,
    resize_size=128,
    mean=(123.7, 116.1, 103.0),
    std=(58.4, 57.1, 57.4),
    batch_size=32,
    epochs=40,
)
BASES = {"parts": parts.RECIPES[0], "tiny_imagenet": tiny_imagenet.RECIPES[0], "cub": _CUB}
# Rows that a dataset has under a shorter name, so that no experiment has two names.
SHORTER = {
    "parts_alexnet_gap": "parts_gap",
    "parts_alexnet_has_56": "parts_has",
    "parts_alexnet_has_mixed": "parts_has_mixed",
    "tiny_imagenet_alexnet_gap": "tiny_imagenet_gap",
    "tiny_imagenet_alexnet_has_mixed": "tiny_imagenet_has",
}
_PAPERS_SIDE = 224
_PAPERS_CONV1_SIDE = 55
_GOOGLENET = {"model": "googlenet_gap", "widths": (), "width_multiplier": 0.25}
_CHOICES = (
    "Network, schedule and dataset are this project's; patches are the row's, scaled to the image "
    "and rounded down, or scaled to the map of the first convolution and rounded.",
)


def small_name(row: str, dataset: str) -> str:
    """Returns the name of a row's recipe on a small dataset."""
    name = f"{dataset}_{row}"
    return SHORTER.get(name, name)


def _small(row: ImageRecipe, dataset: str) -> ImageRecipe:
    base = BASES[dataset]
    network = _GOOGLENET if row.model == "googlenet_gap" else {}
    conv1 = base.image_size // 2  # side of the map of the small network's first convolution
    conv1_sizes = row.conv1_patch_size
    return dataclasses.replace(
        base,
        name=small_name(row.name, dataset),
        description=row.description.replace("ILSVRC 2012", f"{dataset}, at small scale"),
        patch_size=tuple(size * base.image_size // _PAPERS_SIDE for size in row.patch_size),
        conv1_patch_size=tuple(round(size * conv1 / _PAPERS_CONV1_SIDE) for size in conv1_sizes),
        hide_probability=row.hide_probability,
        pooling=row.pooling,
        input_dropout=row.input_dropout,
        input_dropout_at_test=row.input_dropout_at_test,
        cam=row.cam,
        # The paper's thresholds belong to its networks.
        cam_threshold=row.cam_threshold,
        choices=_CHOICES,
        **network,
    )


RECIPES = tuple(
    _small(row, dataset)
    for dataset in BASES
    for row in ROWS
    if not row.name.startswith("resnet50") and small_name(row.name, dataset) not in SHORTER.values()
)
