"""The rows of the paper's tables, and the run or the ensemble behind each one."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from trainers.recipes import cifar, imagenet, imagenet_classification, small, videos
from trainers.recipes.recipe import Recipe

_ROWS: dict[str, Recipe] = {
    recipe.name: recipe
    for module in (imagenet, videos, cifar, imagenet_classification)
    for recipe in module.RECIPES
}
IMAGE_COLUMNS = (
    ("gt_known_loc", "GT-known Loc"),
    ("top1_loc", "Top-1 Loc"),
    ("top1_clas", "Top-1 Clas"),
)
IMAGE_OTHER_COLUMNS = (
    ("gt_known_loc_cross_fitted", "GT-known Loc, cross-fitted"),
    ("max_box_acc_v2", "MaxBoxAccV2"),
)
IMAGE_CSV_KEYS = ("gt_known_loc_best", "gt_known_loc_best_threshold", "max_box_acc", "centred_box")
VIDEO_COLUMNS = tuple(
    (f"temporal_map_at_{iou}", f"mAP at {iou}") for iou in (0.1, 0.2, 0.3, 0.4, 0.5)
)
VIDEO_OTHER_COLUMNS = (("top1_clas", "Top-1 Clas"),)
CLASSIFICATION_COLUMNS = (("best_top1_clas", "Top-1 Clas, best epoch"),)
CLASSIFICATION_OTHER_COLUMNS = (("top1_clas", "Top-1 Clas, last epoch"),)
GAP_ENSEMBLE = tuple(("alexnet_gap", seed) for seed in range(5))
HAS_MAPS = ("alexnet_has_16", "alexnet_has_32", "alexnet_has_44", "alexnet_has_56")
# Small datasets of sequences, and the prefix of their recipes.
VIDEO_DATASETS = {"phases": "phases", "watch_untrimmed": "watch"}


@dataclasses.dataclass(frozen=True)
class Row:
    """One row of a table.

    Args:
        title: Its name in the paper.
        recipe: Name of its recipe; "" for an ensemble.
        maps: For an ensemble: recipes of the networks whose maps are averaged, each with its seed,
            or `None` for the seed of the ensemble.
        probabilities: The same for the networks whose probabilities are averaged.
        published: Published figures in percent.
    """

    title: str
    recipe: str = ""
    maps: tuple[tuple[str, int | None], ...] = ()
    probabilities: tuple[tuple[str, int | None], ...] = ()
    published: Mapping[str, float] = dataclasses.field(default_factory=dict)

    @property
    def recipes(self) -> tuple[str, ...]:
        """Names of the recipes that the row needs."""
        members = dict.fromkeys(name for name, _ in (*self.maps, *self.probabilities))
        return (self.recipe,) if self.recipe else tuple(members)

    def members(self, seed: int) -> tuple[list[tuple[str, int]], list[tuple[str, int]]]:
        """Returns the runs whose maps and those whose probabilities are averaged."""

        def of_seed(runs: tuple[tuple[str, int | None], ...]) -> list[tuple[str, int]]:
            return [(name, seed if fixed is None else fixed) for name, fixed in runs]

        return of_seed(self.maps), of_seed(self.probabilities)


@dataclasses.dataclass(frozen=True)
class Table:
    """One table of the paper.

    Args:
        title: What it shows.
        rows: Its rows, in order.
        bases: For each row that is compared, the title of the row that it is compared to.
        columns: Keys of results and titles of the figures that the paper gives.
        other_columns: Keys of results and titles of figures that it does not give.
        csv_keys: Keys of further results in the CSV file.
        task: The name of the task in the registry.
        baseline: Title of a row that needs no network, and, for each of `columns`, the key of its
            figure in the results of any run; or `None`.
        published_on: The dataset of the published figures.
        small_table: The table at small scale, if its rows are not those of the paper.
        datasets: The small datasets that the rows can be run on.
    """

    title: str
    rows: tuple[Row, ...]
    bases: Mapping[str, str]
    columns: tuple[tuple[str, str], ...] = IMAGE_COLUMNS
    other_columns: tuple[tuple[str, str], ...] = IMAGE_OTHER_COLUMNS
    csv_keys: tuple[str, ...] = IMAGE_CSV_KEYS
    task: str = "image_localization"
    baseline: tuple[str, Mapping[str, str]] | None = None
    published_on: str = "ILSVRC 2012"
    small_table: "Table | None" = None
    datasets: tuple[str, ...] = tuple(small.BASES)

    def recipe_name(self, row: str, dataset: str | None) -> str:
        """Returns the name of a row's recipe on a small dataset; `None` for the paper's."""
        if dataset is None or self.task == "classification":
            return row
        if self.task == "temporal_localization":
            return row.replace("video", VIDEO_DATASETS[dataset])
        return small.small_name(row, dataset)


def _row(title: str, recipe: str) -> Row:
    return Row(title, recipe, published=_ROWS[recipe].published)


def _table(title: str, *rows: Row, base: str) -> Table:
    return Table(title, rows, {row.title: base for row in rows if row.title != base})


_GAP = _row("AlexNet-GAP", "alexnet_gap")
_GOOGLENET = _row("GoogLeNet-GAP", "googlenet_gap")
_OURS_ENSEMBLE = Row(
    "AlexNet-HaS-ensemble",
    maps=tuple((name, None) for name in HAS_MAPS),
    probabilities=tuple((name, None) for name in (*HAS_MAPS, "alexnet_gap")),
    published={"gt_known_loc": 60.14, "top1_loc": 40.40},
)
_GAP_ENSEMBLE = Row(
    "AlexNet-GAP-ensemble",
    maps=GAP_ENSEMBLE,
    probabilities=GAP_ENSEMBLE,
    published={"gt_known_loc": 56.91, "top1_loc": 38.58},
)


def _with_bases(table: Table, bases: Mapping[str, str], without: tuple[str, ...] = ()) -> Table:
    kept = {title: base for title, base in table.bases.items() if title not in without}
    return dataclasses.replace(table, bases={**kept, **bases})


def _classification_table(*rows: tuple[str, str, str], **fields: Any) -> Table:
    """Returns a table of accuracies from titles, names of recipes, and titles of their bases."""
    return Table(
        "Classification, Top-1 accuracy",
        tuple(Row(title, name, published=_ROWS[name].published) for title, name, _ in rows),
        {title: base for title, _, base in rows if base},
        columns=CLASSIFICATION_COLUMNS,
        other_columns=CLASSIFICATION_OTHER_COLUMNS,
        csv_keys=("top5_clas", "best_epoch", "most_frequent_class"),
        task="classification",
        baseline=(
            "most frequent class, no network",
            {key: "most_frequent_class" for key, _ in CLASSIFICATION_COLUMNS},
        ),
        **fields,
    )


def _table_8() -> Table:
    rows = []
    for dataset, title in (("cifar10", "CIFAR-10"), ("cifar100", "CIFAR-100")):
        for depth in cifar.PUBLISHED[dataset]:
            network = f"{title}, ResNet-{depth}"
            prefix = f"{'' if dataset == 'cifar10' else 'cifar100_'}resnet{depth}"
            rows.append((f"{network}, full", f"{prefix}_full", ""))
            rows.append((f"{network}, HaS", f"{prefix}_has", f"{network}, full"))
    rows.append(("ImageNet, ResNet-50, full", "resnet50_full", ""))
    rows.append(("ImageNet, ResNet-50, HaS", "resnet50_has", "ImageNet, ResNet-50, full"))
    base = "nothing hidden"
    peers = _classification_table(
        (base, "cifar10_small_full", ""),
        ("HaS, 8 px", "cifar10_small_has_8", base),
        ("HaS, mixed", "cifar10_small_has", base),
        ("random erasing", "cifar10_small_random_erasing", base),
        ("cutout", "cifar10_small_cutout", base),
        ("CutMix", "cifar10_small_cutmix", base),
        published_on="CIFAR-10",
        datasets=("cifar10",),
    )
    return _classification_table(
        *rows, published_on="CIFAR and ILSVRC 2012", small_table=peers, datasets=peers.datasets
    )


_GOOGLENET_ROWS = tuple(
    _row(f"GoogLeNet-HaS-{size}", f"googlenet_has_{size}") for size in (16, 32, 44, 56)
)
TABLES: dict[int, Table] = {
    1: _with_bases(
        _table(
            "Patch sizes",
            _GAP,
            *(_row(f"AlexNet-HaS-{size}", f"alexnet_has_{size}") for size in (16, 32, 44, 56)),
            _row("AlexNet-HaS-Mixed", "alexnet_has_mixed"),
            _GOOGLENET,
            *_GOOGLENET_ROWS,
            base="AlexNet-GAP",
        ),
        {row.title: "GoogLeNet-GAP" for row in _GOOGLENET_ROWS},
        without=("GoogLeNet-GAP",),
    ),
    2: _with_bases(
        _table(
            "Other methods and ensembles",
            _row("Backprop on AlexNet", "alexnet_backprop"),
            _GAP,
            _row("AlexNet-HaS-Mixed", "alexnet_has_mixed"),
            _GAP_ENSEMBLE,
            _OURS_ENSEMBLE,
            _row("Backprop on GoogLeNet", "googlenet_backprop"),
            _GOOGLENET,
            _row("GoogLeNet-HaS-32", "googlenet_has_32"),
            base="AlexNet-GAP",
        ),
        {
            "AlexNet-HaS-ensemble": "AlexNet-GAP-ensemble",
            "Backprop on GoogLeNet": "GoogLeNet-GAP",
            "GoogLeNet-HaS-32": "GoogLeNet-GAP",
        },
        without=("GoogLeNet-GAP",),
    ),
    3: _table(
        "Dropout on the input",
        _row("AlexNet-HaS-Mixed", "alexnet_has_mixed"),
        _row("AlexNet-dropout-trainonly", "alexnet_dropout_trainonly"),
        _row("AlexNet-dropout-traintest", "alexnet_dropout_traintest"),
        base="AlexNet-HaS-Mixed",
    ),
    4: _with_bases(
        _table(
            "Global average and global maximum pooling",
            _GAP,
            _row("AlexNet-Avg-HaS", "alexnet_has_56"),
            _row("AlexNet-GMP", "alexnet_gmp"),
            _row("AlexNet-Max-HaS", "alexnet_max_has"),
            base="AlexNet-GAP",
        ),
        {"AlexNet-Max-HaS": "AlexNet-GMP"},
    ),
    5: _table(
        "Hiding on the first convolution",
        _GAP,
        _row("AlexNet-HaS-conv1-5", "alexnet_has_conv1_5"),
        _row("AlexNet-HaS-conv1-11", "alexnet_has_conv1_11"),
        base="AlexNet-GAP",
    ),
    6: _table(
        "Hide probability",
        _row("AlexNet-HaS-25%", "alexnet_has_p25"),
        _row("AlexNet-HaS-33%", "alexnet_has_p33"),
        _row("AlexNet-HaS-50%", "alexnet_has_56"),
        _row("AlexNet-HaS-66%", "alexnet_has_p66"),
        _row("AlexNet-HaS-75%", "alexnet_has_p75"),
        base="AlexNet-HaS-50%",
    ),
    7: dataclasses.replace(
        _table(
            "Temporal action localization, mAP",
            _row("Video-full", "video_full"),
            _row("Video-HaS", "video_has"),
            base="Video-full",
        ),
        columns=VIDEO_COLUMNS,
        other_columns=VIDEO_OTHER_COLUMNS,
        csv_keys=(),
        task="temporal_localization",
        published_on="THUMOS'14",
        datasets=tuple(VIDEO_DATASETS),
        baseline=(
            "whole sequence, no network",
            {key: key.replace("temporal_map", "whole_sequence") for key, _ in VIDEO_COLUMNS},
        ),
    ),
    8: _table_8(),
}
