"""Emotion, age and gender: the networks of the papers, and small ones for two cores."""

import dataclasses

from trainers.recipes.faces_recipe import TARGETS, FacesRecipe

# The variant of the authors' lab, of 2018.
_LAB_SIZES = (0, 1 / 9, 1 / 7, 1 / 5, 1 / 3)
_LAB_PROBABILITIES = (0.1, 0.2, 0.3, 0.4, 0.5)
_LAB_CHOICE = (
    "Patches and probabilities are those of code for faces that the authors' lab published in "
    "2018; that the journal paper used it is inferred. There the images are normalized by the mean "
    "and deviation of the training images."
)
_WHOLE_FRAMES = (
    "Frames are read as they are and resized: crop them to the faces first, as the paper did."
)

_EMOTION = FacesRecipe(
    name="ck_plus_full",
    description="CK+, the network of Khorrami et al., nothing hidden.",
    dataset="ck_plus",
    target="emotion",
    model="khorrami_cnn",
    image_size=96,
    resize_size=96,
    normalization="local_contrast",
    augmentation="khorrami",
    epochs=62,
    steps_per_epoch=500,
    batch_size=64,
    schedule="regimes",
    regimes=((0, 0.01, 0.0),),
    nesterov=False,
    published={"top1_clas": 93.65},
    choices=(
        "The windows of the local contrast normalization are uniform, images are shifted by up to "
        "a tenth of their side, and the dense layer has biases.",
        "The paper's figure is the mean over ten folds and 8 classes.",
        _WHOLE_FRAMES,
    ),
)
_AGE = FacesRecipe(
    name="adience_age_full",
    description="Adience, age, the network of Levi and Hassner, nothing hidden.",
    dataset="adience",
    target="age",
    model="levi_hassner_cnn",
    image_size=227,
    resize_size=256,
    mean=(123.675, 116.28, 103.53),
    std=(1.0, 1.0, 1.0),
    epochs=40,
    steps_per_epoch=500,
    batch_size=50,
    schedule="steps",
    learning_rate=1e-3,
    step_epochs=(20,),
    nesterov=False,
    weight_decay=5e-4,
    published={"top1_clas": 50.7, "one_off": 84.7},
    choices=(
        "Mean color, weight decay and 20,000 iterations; the fold after the test fold chooses the "
        "checkpoint. One crop, from the center, is evaluated, not ten.",
        "The published figures are the network's own, without hiding; those with hiding are not "
        "known.",
    ),
)
_GENDER = dataclasses.replace(
    _AGE,
    name="adience_gender_full",
    description="Adience, gender, the network of Levi and Hassner, nothing hidden.",
    target="gender",
    published={"top1_clas": 86.8},
)
_FER = dataclasses.replace(
    _EMOTION,
    name="fer2013_full",
    description="FER-2013, the network of Khorrami et al. at 48 px, nothing hidden.",
    dataset="fer2013",
    image_size=48,
    resize_size=48,
    published={},
    choices=(_EMOTION.choices[0], "That network on this dataset, with the schedule of CK+."),
)
_SMALL_EMOTION = dataclasses.replace(
    _EMOTION,
    name="ck_plus_small_full",
    description="CK+ at 48 px, a quarter of the kernels of Khorrami et al., nothing hidden.",
    image_size=48,
    resize_size=48,
    padding=4,
    widths=(16, 32, 64),
    normalization="",
    augmentation="",
    epochs=24,
    steps_per_epoch=0,
    batch_size=32,
    schedule="cosine",
    regimes=(),
    learning_rate=0.03,
    nesterov=True,
    weight_decay=5e-4,
    published={},
    choices=("All of it: a network and a schedule for two cores.",),
)
_SMALL_AGE = dataclasses.replace(
    _SMALL_EMOTION,
    name="utkface_age_small_full",
    description="UTKFace, age in decades, a small network at 48 px, nothing hidden.",
    dataset="utkface",
    target="age",
    model="small_gap",
    widths=(16, 32, 64),
    padding=0,
    resize_size=52,
    epochs=10,
    learning_rate=0.05,
    choices=(
        "All of it: a network and a schedule for two cores. There is no official split, and no "
        "person ids: a person may be on both sides.",
    ),
)
_SMALL_GENDER = dataclasses.replace(
    _SMALL_AGE,
    name="utkface_gender_small_full",
    description="UTKFace, gender, a small network at 48 px, nothing hidden.",
    target="gender",
)


def _with_hiding(full: FacesRecipe, published: dict[str, float]) -> tuple[FacesRecipe, ...]:
    """Returns a recipe, and the same with the paper's patches and with those of its lab."""
    base, description = full.name.removesuffix("full"), full.description
    scaled = tuple(size * full.image_size // 224 for size in (0, 16, 32, 44, 56))
    has = dataclasses.replace(
        full,
        name=f"{base}has",
        description=description.replace(
            "nothing hidden", f"patches of {', '.join(map(str, scaled))} px hidden"
        ),
        patch_size=scaled,
        published=published,
        choices=(*full.choices, "The paper's mixed sizes, scaled to the image; not tuned."),
    )
    lab = dataclasses.replace(
        full,
        name=f"{base}lab",
        description=description.replace("nothing hidden", "patches of the authors' lab hidden"),
        patch_size=_LAB_SIZES,
        hide_probabilities=_LAB_PROBABILITIES,
        normalization="",
        published={},
        choices=(*full.choices, _LAB_CHOICE),
    )
    return full, has, lab


RECIPES = (
    *_with_hiding(_EMOTION, {"top1_clas": 94.88}),
    *(
        recipe
        for full in (_FER, _AGE, _GENDER, _SMALL_EMOTION, _SMALL_AGE, _SMALL_GENDER)
        for recipe in _with_hiding(full, {})
    ),
)
DEFAULT_RECIPES = {
    "ck_plus": "ck_plus_small_has",
    "fer2013": "fer2013_has",
    "adience": "adience_age_has",
    "utkface": "utkface_age_small_has",
}
_GENDER_RECIPES = {"adience": "adience_gender_has", "utkface": "utkface_gender_small_has"}
_DATASETS = {"emotion": "ck_plus", "age": "utkface", "gender": "utkface"}


def recipe_name(target: str, dataset: str | None, recipe: str | None) -> str:
    """Returns the recipe to run, given what the command line says.

    Args:
        target: `"emotion"`, `"age"` or `"gender"`.
        dataset: The name of a dataset, or `None`.
        recipe: The name of a recipe, or `None` for the default of target and dataset.

    Raises:
        ValueError: If recipe or dataset is not for the target.
    """
    if recipe is not None:
        of_recipe = next((one.target for one in RECIPES if one.name == recipe), target)
        if of_recipe != target:
            raise ValueError(f"--recipe={recipe} is for --task={of_recipe}. Received: {target}")
        return recipe
    dataset = dataset or _DATASETS[target]
    if target not in TARGETS[dataset]:
        raise ValueError(
            f"--dataset={dataset} is for --task={' or '.join(TARGETS[dataset])}. Received: {target}"
        )
    return (_GENDER_RECIPES if target == "gender" else DEFAULT_RECIPES)[dataset]
