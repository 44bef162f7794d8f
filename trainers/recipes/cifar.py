"""Table 8: CIFAR-10 and CIFAR-100 with residual networks, at full and at small scale."""

import dataclasses

from trainers.recipes.classification_recipe import ClassificationRecipe

# Networks of the paper: the published figure without and with hiding, for each dataset and depth.
PUBLISHED = {
    "cifar10": {44: (94.19, 94.97), 56: (94.66, 95.41), 110: (94.87, 95.53)},
    "cifar100": {44: (74.37, 75.82), 56: (75.24, 76.47), 110: (77.44, 78.13)},
}
_PATCHES = (0, 4, 8)
_PATCHES_CHOICE = "Patches of 0, 4 or 8 px: no source gives those for CIFAR; they were not tuned."

_FULL = ClassificationRecipe(
    name="resnet44_full",
    description="CIFAR-10, bottleneck ResNet-44 (65 weight layers), nothing hidden.",
    dataset="cifar10",
    model="cifar_resnet",
    depth=44,
    block="bottleneck",
    image_size=32,
    resize_size=32,
    padding=4,
    mean=(125.307, 122.961, 113.8575),
    std=(51.5865, 50.847, 51.255),
    epochs=300,
    batch_size=128,
    schedule="steps",
    learning_rate=0.1,
    step_epochs=(150, 225),
    nesterov=False,
    weight_decay=5e-4,
    choices=(
        "The paper gives no recipe: this is the one of the Random Erasing code, whose baselines "
        "match the paper's. Its mean and deviation of CIFAR-10 serve CIFAR-100 as well.",
        "The last, incomplete batch of an epoch is carried over into the next epoch.",
    ),
)


def _full_scale(dataset: str, depth: int) -> tuple[ClassificationRecipe, ClassificationRecipe]:
    """Returns the recipes without and with hiding of one column of Table 8."""
    title = {"cifar10": "CIFAR-10", "cifar100": "CIFAR-100"}[dataset]
    prefix = "" if dataset == "cifar10" else f"{dataset}_"
    layers = {44: 65, 56: 83, 110: 164}[depth]
    network = f"{title}, bottleneck ResNet-{depth} ({layers} weight layers)"
    full, has = PUBLISHED[dataset][depth]
    base = dataclasses.replace(
        _FULL,
        name=f"{prefix}resnet{depth}_full",
        description=f"{network}, nothing hidden.",
        dataset=dataset,
        depth=depth,
        published={"best_top1_clas": full},
    )
    hiding = dataclasses.replace(
        base,
        name=f"{prefix}resnet{depth}_has",
        description=f"{network}, patches of 0, 4 or 8 px hidden.",
        patch_size=_PATCHES,
        published={"best_top1_clas": has},
        choices=(*base.choices, _PATCHES_CHOICE),
    )
    return base, hiding


_SMALL = dataclasses.replace(
    _FULL,
    name="cifar10_small_full",
    description="CIFAR-10, a residual network of 8 layers, nothing hidden.",
    depth=8,
    block="basic",
    mean=(),
    std=(),
    epochs=30,
    schedule="cosine",
    step_epochs=(),
    nesterov=True,
    choices=("All of it: the paper's CIFAR networks and schedules take hours on a GPU.",),
)


def _small(name: str, change: str, choice: str, **fields: object) -> ClassificationRecipe:
    return dataclasses.replace(
        _SMALL,
        name=f"cifar10_small_{name}",
        description=f"CIFAR-10, a residual network of 8 layers, {change}.",
        choices=(*_SMALL.choices, choice),
        **fields,
    )


def _on_cifar100(recipe: ClassificationRecipe) -> ClassificationRecipe:
    return dataclasses.replace(
        recipe,
        name=recipe.name.replace("cifar10_", "cifar100_"),
        description=recipe.description.replace("CIFAR-10", "CIFAR-100"),
        dataset="cifar100",
    )


_SMALL_HAS = _small("has", "patches of 0, 4 or 8 px hidden", _PATCHES_CHOICE, patch_size=_PATCHES)
RECIPES = (
    _SMALL,
    _SMALL_HAS,
    _on_cifar100(_SMALL),
    _on_cifar100(_SMALL_HAS),
    _small("has_8", "patches of 8 px hidden", "The patch size; it was not tuned.", patch_size=(8,)),
    _small(
        "random_erasing",
        "a random rectangle of half of the images erased",
        "Keras' layer, which draws both sides independently; probability and area are the Random "
        "Erasing paper's, the fill is the mean.",
        augmentation="random_erasing",
    ),
    _small(
        "cutout",
        "a square of 16 px cut out of every image",
        "The square lies inside the image; in the cutout paper it may reach beyond it.",
        augmentation="cutout",
    ),
    _small(
        "cutmix",
        "a rectangle of every image replaced by that of another",
        "Every batch is mixed, and areas are drawn from Beta(1, 1), as for ImageNet in the paper.",
        augmentation="cutmix",
    ),
    *(
        recipe
        for name, depths in PUBLISHED.items()
        for d in depths
        for recipe in _full_scale(name, d)
    ),
)
DEFAULT_RECIPES = {"cifar10": "cifar10_small_has", "cifar100": "cifar100_small_has"}
