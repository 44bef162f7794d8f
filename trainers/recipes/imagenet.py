"""ILSVRC 2012: the rows of Tables 1 to 6 of the paper (ICCV 2017, arXiv:1704.04232).

Also the ResNet-50 of the extension (arXiv:1811.02545).
"""

import dataclasses
from typing import Any

from trainers.recipes.image_recipe import ImageRecipe

# From the authors' training images: mean, and mean of the standard deviations (meanstdCache.t7).
_MEAN = tuple(255 * value for value in (0.4853244376, 0.4553418486, 0.4039783091))
_STD = tuple(255 * value for value in (0.2278800863, 0.2234552988, 0.2226649762))
MIXED = (0, 16, 32, 44, 56)

_CHOICES = (
    "Kernels are initialized with he_normal; batch normalization uses Keras' defaults.",
    "Ten crops as in the protocol of class activation maps, maps summed as absolute values. The "
    "figures of each epoch are of one view, the full image warped to 224 x 224.",
    "Maps are resized bilinearly; pixels are connected to all eight neighbors.",
)


def _published(gt_known: float | None, loc: float, clas: float | None = None) -> dict[str, float]:
    figures = {"gt_known_loc": gt_known, "top1_loc": loc, "top1_clas": clas}
    return {key: value for key, value in figures.items() if value is not None}


_ALEXNET = ImageRecipe(
    name="alexnet_gap",
    description="AlexNet-GAP on ILSVRC 2012, nothing hidden (Tables 1 to 6).",
    dataset="imagenet",
    model="alexnet_gap",
    map_stride=16,
    image_size=224,
    resize_size=256,
    mean=_MEAN,
    std=_STD,
    epochs=55,
    steps_per_epoch=10_000,
    batch_size=128,
    schedule="regimes",
    # From the authors' train.lua, where epochs count from 1.
    regimes=(
        (0, 1e-2, 5e-4),
        (18, 5e-3, 5e-4),
        (29, 1e-3, 0.0),
        (43, 5e-4, 0.0),
        (52, 1e-4, 0.0),
    ),
    nesterov=False,
    class_balanced=True,
    cam_threshold=0.2,
    crops=10,
    published=_published(54.90, 36.25, 60.23),
    choices=_CHOICES,
)
_GOOGLENET = dataclasses.replace(
    _ALEXNET,
    name="googlenet_gap",
    description="GoogLeNet-GAP on ILSVRC 2012, nothing hidden (Tables 1 and 2).",
    model="googlenet_gap",
    epochs=40,
    regimes=(
        (0, 1e-2, 5e-4),
        (13, 5e-3, 5e-4),
        (21, 1e-3, 0.0),
        (31, 5e-4, 0.0),
        (38, 1e-4, 0.0),
    ),
    cam_threshold=0.3,
    published=_published(58.41, 43.60, 71.95),
    choices=(*_CHOICES, "The 40 epochs are divided like the 55 of AlexNet."),
)


def _row(
    base: ImageRecipe,
    name: str,
    what: str,
    published: dict[str, float],
    choices: tuple[str, ...] = (),
    **fields: Any,
) -> ImageRecipe:
    return dataclasses.replace(
        base,
        name=name,
        description=f"{what} on ILSVRC 2012.",
        published=published,
        choices=(*base.choices, *choices),
        **fields,
    )


def _hiding(base: ImageRecipe, suffix: str, sizes: tuple[int, ...], *figures: float) -> ImageRecipe:
    network = {"alexnet_gap": "AlexNet", "googlenet_gap": "GoogLeNet"}[base.model]
    return _row(
        base,
        f"{network.lower()}_has_{suffix}",
        f"{network}-HaS-{suffix} (Table 1)",
        _published(*figures),
        patch_size=sizes,
    )


_SALIENCY = (
    "Smoothed gradient saliency of the GAP network; the published row is of the network without "
    "GAP, which the paper copied from Zhou et al., CVPR 2016.",
)
_DROPOUT = (
    "All values of all channels are dropped independently and kept ones divided by 1/2, as in "
    "Torch; with dropout at test time, each view is one draw.",
)
_CONV1 = (
    "Hidden cells become 0 between the first batch normalization and its ReLU: the expected "
    "activation, up to the learned shift.",
)
_PROBABILITY = {
    25: _published(57.49, 37.77),
    33: _published(58.12, 38.05),
    50: _published(58.43, 37.34),
    66: _published(58.52, 35.72),
    75: _published(58.28, 34.21),
}

_RESNET = ImageRecipe(
    name="resnet50_gap",
    description="ResNet-50 with a 14 x 14 map on ILSVRC 2012, nothing hidden.",
    dataset="imagenet",
    model="ResNet50",
    map_stride=16,
    image_size=224,
    resize_size=256,
    epochs=90,
    batch_size=256,
    learning_rate=0.1,
    weight_decay=1e-4,
    published={"top1_clas": 76.15},
    choices=(
        "Schedule, crops and map: the sources give none. The published figure is torchvision's, "
        "for a 7 x 7 map and training with crops of random scale.",
    ),
)

RECIPES = (
    _ALEXNET,
    _hiding(_ALEXNET, "16", (16,), 57.86, 36.77, 57.97),
    _hiding(_ALEXNET, "32", (32,), 58.75, 37.33, 57.94),
    _hiding(_ALEXNET, "44", (44,), 58.55, 37.54, 58.10),
    _hiding(_ALEXNET, "56", (56,), 58.43, 37.34, 58.13),
    _hiding(_ALEXNET, "mixed", MIXED, 58.68, 37.65, 58.68),
    _GOOGLENET,
    _hiding(_GOOGLENET, "16", (16,), 59.83, 44.62, 70.49),
    _hiding(_GOOGLENET, "32", (32,), 60.29, 45.21, 70.70),
    _hiding(_GOOGLENET, "44", (44,), 60.11, 44.75, 70.34),
    _hiding(_GOOGLENET, "56", (56,), 59.93, 44.78, 70.37),
    _row(
        _ALEXNET,
        "alexnet_backprop",
        "Backprop on AlexNet (Table 2)",
        _published(None, 34.83),
        _SALIENCY,
        cam="backprop",
    ),
    _row(
        _GOOGLENET,
        "googlenet_backprop",
        "Backprop on GoogLeNet (Table 2)",
        _published(None, 38.69),
        _SALIENCY,
        cam="backprop",
    ),
    _row(
        _ALEXNET,
        "alexnet_dropout_trainonly",
        "AlexNet with half the input dropped while training (Table 3)",
        _published(42.17, 7.65),
        _DROPOUT,
        input_dropout=0.5,
    ),
    _row(
        _ALEXNET,
        "alexnet_dropout_traintest",
        "AlexNet with half the input dropped while training and at test (Table 3)",
        _published(53.48, 31.68),
        _DROPOUT,
        input_dropout=0.5,
        input_dropout_at_test=True,
    ),
    _row(
        _ALEXNET,
        "alexnet_gmp",
        "AlexNet-GMP: global maximum pooling, nothing hidden (Table 4)",
        _published(50.40, 32.52),
        pooling="max",
    ),
    _row(
        _ALEXNET,
        "alexnet_max_has",
        "AlexNet-Max-HaS: global maximum pooling, patches of 56 px (Table 4)",
        _published(59.27, 37.57),
        pooling="max",
        patch_size=(56,),
    ),
    _row(
        _ALEXNET,
        "alexnet_has_conv1_5",
        "AlexNet-HaS-conv1-5: patches of 5 hidden on the 55 x 55 map of conv1 (Table 5)",
        _published(57.36, 36.91),
        _CONV1,
        conv1_patch_size=(5,),
    ),
    _row(
        _ALEXNET,
        "alexnet_has_conv1_11",
        "AlexNet-HaS-conv1-11: patches of 11 hidden on the 55 x 55 map of conv1 (Table 5)",
        _published(58.33, 37.38),
        _CONV1,
        conv1_patch_size=(11,),
    ),
    *(
        _row(
            _ALEXNET,
            f"alexnet_has_p{percent}",
            f"AlexNet-HaS-56, hide probability {percent} % (Table 6)",
            published,
            patch_size=(56,),
            hide_probability=percent / 100,
        )
        for percent, published in _PROBABILITY.items()
        if percent != 50  # this is alexnet_has_56
    ),
    _RESNET,
    _row(
        _RESNET,
        "resnet50_has_mixed",
        "ResNet-50 with a 14 x 14 map, the paper's mixed patches",
        {"top1_clas": 77.20},
        patch_size=MIXED,
    ),
)
DEFAULT_RECIPES = {"imagenet": "alexnet_has_mixed"}
