"""CUB-200-2011, or a part of it: fine-tunes a pretrained network."""

import dataclasses

from trainers.recipes.image_recipe import ImageRecipe

_GAP = ImageRecipe(
    name="cub_gap",
    description="CUB-200-2011, EfficientNet-Lite0, 160 px, 10 x 10 map, nothing hidden.",
    dataset="cub",
    model="efficientnet_lite0",
    map_stride=16,
    image_size=160,
    resize_size=183,
    # The scaling that the network was trained with: pixels in [-1, 1].
    mean=(127.5, 127.5, 127.5),
    std=(127.5, 127.5, 127.5),
    # The mean color of ImageNet on that scale.
    fill_value=(-0.0293, -0.0893, -0.1921),
    batch_norm_momentum=0.9,
    epochs=20,
    batch_size=32,
    learning_rate=0.01,
    weight_decay=1e-4,
    choices=(
        "Everything: the paper does not fine-tune on small datasets. Size and epochs are what two "
        "cores can do in ten minutes; nothing was chosen on the test images.",
    ),
)
_HAS = dataclasses.replace(
    _GAP,
    name="cub_has",
    description="CUB-200-2011, EfficientNet-Lite0, 160 px, 10 x 10 map, mixed patches.",
    # The paper's sizes, scaled by 160 / 224 and rounded down.
    patch_size=(0, 11, 22, 31, 40),
)
RECIPES = (_GAP, _HAS)
DEFAULT_RECIPES = {"cub": "cub_has"}
