"""CUB-200-2011, or a part of it: a pretrained network, fine-tuned."""

import dataclasses

from trainers.recipes.image_recipe import ImageRecipe
from trainers.recipes.imagenet import MIXED

_GAP = ImageRecipe(
    name="cub_gap",
    description="CUB-200-2011, EfficientNet-Lite0 with a 14 x 14 map, nothing hidden.",
    dataset="cub",
    model="efficientnet_lite0",
    map_stride=16,
    image_size=224,
    resize_size=256,
    # What the network was trained with: pixels scaled to [-1, 1].
    mean=(127.5, 127.5, 127.5),
    std=(127.5, 127.5, 127.5),
    # The mean colour of ImageNet's images on that scale.
    fill_value=(-0.0293, -0.0893, -0.1921),
    batch_norm_momentum=0.9,
    epochs=20,
    batch_size=32,
    learning_rate=0.01,
    weight_decay=1e-4,
    choices=("All of it: the paper does not fine-tune on small sets.",),
)
_HAS = dataclasses.replace(
    _GAP,
    name="cub_has",
    description="CUB-200-2011, EfficientNet-Lite0 with a 14 x 14 map, the paper's mixed patches.",
    patch_size=MIXED,
)
RECIPES = (_GAP, _HAS)
