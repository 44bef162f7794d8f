"""ILSVRC 2012: the rows of Table 1 of the paper (ICCV 2017, arXiv:1704.04232)."""

import dataclasses

from trainers.recipes.recipe import Recipe

# The authors' training images: mean and mean of the images' standard deviations (meanstdCache.t7).
_MEAN = tuple(255 * value for value in (0.4853244376, 0.4553418486, 0.4039783091))
_STD = tuple(255 * value for value in (0.2278800863, 0.2234552988, 0.2226649762))
MIXED = (0, 16, 32, 44, 56)

_CHOICES = (
    "Kernels start from he_normal, and every batch normalization uses Keras' defaults.",
    "Testing: one view, the full image warped to 224 x 224, in place of ten crops.",
)

_ALEXNET = Recipe(
    name="alexnet_gap",
    description="AlexNet-GAP on ILSVRC 2012, nothing hidden (Table 1).",
    dataset="imagenet",
    model="alexnet_gap",
    image_size=224,
    resize_size=256,
    mean=_MEAN,
    std=_STD,
    epochs=55,
    steps_per_epoch=10_000,
    batch_size=128,
    schedule="regimes",
    # The authors' train.lua; its epochs count from 1.
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
    published={"gt_known_loc": 54.90, "top1_loc": 36.25, "top1_clas": 60.23},
    choices=_CHOICES,
)
_GOOGLENET = dataclasses.replace(
    _ALEXNET,
    name="googlenet_gap",
    description="GoogLeNet-GAP on ILSVRC 2012, nothing hidden (Table 1).",
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
    published={"gt_known_loc": 58.41, "top1_loc": 43.60, "top1_clas": 71.95},
    choices=(*_CHOICES, "The 40 epochs are divided as the 55 of AlexNet are."),
)


def _hidden(
    base: Recipe, suffix: str, patch_size: tuple[int, ...], gt_known: float, loc: float, clas: float
) -> Recipe:
    network = "AlexNet" if base.model == "alexnet_gap" else "GoogLeNet"
    return dataclasses.replace(
        base,
        name=f"{network.lower()}_has_{suffix}",
        description=f"{network}-HaS-{suffix} on ILSVRC 2012 (Table 1).",
        patch_size=patch_size,
        published={"gt_known_loc": gt_known, "top1_loc": loc, "top1_clas": clas},
    )


RECIPES = (
    _ALEXNET,
    _hidden(_ALEXNET, "16", (16,), 57.86, 36.77, 57.97),
    _hidden(_ALEXNET, "32", (32,), 58.75, 37.33, 57.94),
    _hidden(_ALEXNET, "44", (44,), 58.55, 37.54, 58.10),
    _hidden(_ALEXNET, "56", (56,), 58.43, 37.34, 58.13),
    _hidden(_ALEXNET, "mixed", MIXED, 58.68, 37.65, 58.68),
    _GOOGLENET,
    _hidden(_GOOGLENET, "16", (16,), 59.83, 44.62, 70.49),
    _hidden(_GOOGLENET, "32", (32,), 60.29, 45.21, 70.70),
    _hidden(_GOOGLENET, "44", (44,), 60.11, 44.75, 70.34),
    _hidden(_GOOGLENET, "56", (56,), 59.93, 44.78, 70.37),
)
