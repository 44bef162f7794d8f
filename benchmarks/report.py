"""Draws what the benchmarks found, and puts their tables into docs/generated/benchmarks.md.

  python -m benchmarks.report

Of each benchmark the last run on each device is taken. A table goes between the lines
`<!-- benchmark: NAME -->` and `<!-- end -->`; `aims` is the table of all targets.
"""

import argparse
import importlib.util
import re
from pathlib import Path

import numpy as np

from benchmarks.results import FACTOR, FILE, Row, latest, read
from keras_has.atomic_files import atomic_path, write_atomically

DOCS = Path(__file__).parent.parent / "docs"
MET, MISSED, PLAIN, BASE = "#009e73", "#d55e00", "#56b4e9", "#999999"  # Okabe and Ito

Comparisons = dict[tuple[str, str], list[Row]]


def draw(comparisons: list[list[Row]], path: Path) -> None:
    """Draws the ratios of comparisons as bars below one another, with their aims."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    counts = [len(rows) for rows in comparisons]
    figure, all_axes = plt.subplots(
        len(comparisons),
        1,
        figsize=(9, 0.9 + sum(0.28 * count + 0.75 for count in counts)),
        height_ratios=[count + 1 for count in counts],
        layout="constrained",
        squeeze=False,
    )
    for axes, rows in zip(all_axes[:, 0], comparisons, strict=True):
        rows = [row for row in rows if np.isfinite(row.ratio)]  # a base of 0 has no ratios
        ratios = [row.ratio for row in rows]
        is_wide = max(ratios) > 8 * max(min(ratios), 1e-3) and min(ratios) > 0
        low = min([1.0, *ratios, *(row.aim for row in rows if row.aim)]) / 2 if is_wide else 0
        for place, row in enumerate(rows):
            colour = PLAIN if row.aim is None else MET if row.is_met else MISSED
            if row.candidate == row.base:
                colour = BASE
            axes.barh(place, row.ratio - low, left=low, color=colour, height=0.7)
            quartiles = [[row.ratio - row.ratio_low], [row.ratio_high - row.ratio]]
            axes.errorbar(row.ratio, place, xerr=quartiles, color="black", linewidth=0.8)
            if row.aim is not None:
                axes.plot([row.aim] * 2, [place - 0.45, place + 0.45], color="black", linewidth=2)
            text = f" {row.ratio:.3g}   ({amount(row)})"
            axes.text(
                max(row.ratio_high, row.aim or low, low), place, text, va="center", fontsize=8
            )
        if is_wide:
            axes.set_xscale("log")
            axes.set_xlim(low, max(ratios) * 10)
        else:
            axes.set_xlim(min(0, *ratios), max(1, *ratios) * 1.45)
        axes.axvline(1, color="black", linewidth=0.6, linestyle=":")
        axes.set_yticks(range(len(rows)), [row.candidate for row in rows], fontsize=8)
        axes.invert_yaxis()
        axes.tick_params(axis="x", labelsize=8)
        axes.set_title(rows[0].comparison, fontsize=9, loc="left")
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_xlabel(f"time as a multiple of: {rows[0].base}", fontsize=8)
        if rows[0].unit == "MiB":
            axes.set_xlabel(f"memory as a multiple of: {rows[0].base}", fontsize=8)
    figure.legend(
        handles=[
            Patch(color=MET, label="aim met"),
            Patch(color=MISSED, label="aim not met"),
            Patch(color=PLAIN, label="no aim"),
            Patch(color=BASE, label="what ratios refer to"),
            Line2D([], [], color="black", linewidth=0.8, label="quartiles"),
            Line2D([], [], color="black", linewidth=2, label="aim (at most)"),
        ],
        loc="outside upper center",
        ncols=6,
        fontsize=8,
        frameon=False,
    )
    with atomic_path(path, keep_suffix=True) as partial:
        figure.savefig(partial, dpi=110)
    plt.close(figure)


def amount(row: Row) -> str:
    """Returns a row's median with its unit, and the rate where there is one."""
    median = f"{row.median:.3g}" if row.median < 1000 else f"{row.median:,.0f}"
    text = f"{median} {row.unit}".strip()
    if row.items:
        text += f", {_rate(row)} a second"
    return text


def _rate(row: Row) -> str:
    return f"{row.items * FACTOR[row.unit] / row.median:,.0f}"


def table(comparisons: list[list[Row]]) -> str:
    """Returns the comparisons of one benchmark as Markdown tables, each run with its versions."""
    parts = []
    origins: dict[str, None] = {}
    for rows in comparisons:
        first = rows[0]
        origins[f"{first.date}; {first.machine}; {first.device}; {first.versions}."] = None
        has_cores = any(row.cores is not None for row in rows)
        columns = ["", f"median, {first.unit}", "ratio", "quartiles", "aim"]
        columns += ["cores busy"] * has_cores + ["a second"] * bool(first.items)
        lines = [f"**{first.comparison}** ({first.repeats} rounds)", ""]
        lines += [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
        for row in rows:
            cells = [
                row.candidate,
                f"{row.median:.4g}",
                f"{row.ratio:.3g}",
                f"{row.ratio_low:.3g} to {row.ratio_high:.3g}",
                _aim(row),
            ]
            if has_cores:
                cells.append("" if row.cores is None else f"{row.cores:.1f}")
            if first.items:
                cells.append(_rate(row))
            lines.append(f"| {' | '.join(cells)} |")
        parts.append("\n".join(lines))
    return "\n\n".join([*parts, *origins])


def _aim(row: Row) -> str:
    if row.aim is None:
        return ""
    return f"{row.aim:g}: {row.verdict if row.is_met else f'**{row.verdict}**'}"


def table_of_aims(comparisons: Comparisons) -> str:
    """Returns all targets, and whether they are met, as a Markdown table."""
    lines = ["| benchmark | what | ratio | quartiles | aim (at most) |", "|---|---|---|---|---|"]
    asked: dict[str, list[Row]] = {}
    for (benchmark, comparison), rows in comparisons.items():
        for row in rows:
            if row.aim is not None:
                asked.setdefault(row.device, []).append(row)
                lines.append(
                    f"| {benchmark} | {comparison}: {row.candidate} | {row.ratio:.3g} | "
                    f"{row.ratio_low:.3g} to {row.ratio_high:.3g} | {_aim(row)} |"
                )
    for device, rows in asked.items():
        met = sum(bool(row.is_met) for row in rows)
        unsure = sum("noise" in row.verdict for row in rows)
        lines += ["", f"{device}: {met} of {len(rows)} are met; {unsure} of all are within noise."]
    return "\n".join(lines)


def insert(text: str, tables: dict[str, str]) -> tuple[str, list[str]]:
    """Returns a document with the tables between its marks, and the marks that have no table.

    Raises:
        ValueError: Where the document has no marks at all.
    """
    pattern = re.compile(r"(<!-- benchmark: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
    names = [match[1] for match in pattern.findall(text)]
    if not names:
        raise ValueError("no line such as <!-- benchmark: hiding --> says where tables belong")

    def filled(match: re.Match[str]) -> str:
        if match[2] not in tables:
            return match[0]
        return f"{match[1]}{tables[match[2]]}\n{match[3]}"

    return pattern.sub(filled, text), [name for name in names if name not in tables]


def main() -> None:
    """Draws all and rewrites the document."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=FILE, help="the CSV that was written")
    parser.add_argument("--docs", type=Path, default=DOCS, help="the docs folder")
    flags = parser.parse_args()
    if not flags.results.exists():
        raise SystemExit(f"{flags.results}: no such file; `make bench` writes it.")
    if importlib.util.find_spec("matplotlib") is None:
        raise SystemExit('Plots need matplotlib: pip install "matplotlib>=3.8".')
    document = flags.docs / "generated" / "benchmarks.md"
    try:
        comparisons = latest(read(flags.results))
        tables = {"aims": table_of_aims(comparisons)}
        groups: dict[str, list[list[Row]]] = {}
        for (benchmark, _), rows in comparisons.items():
            groups.setdefault(benchmark, []).append(rows)
        tables.update((name, table(group)) for name, group in groups.items())
        text, without = insert(document.read_text(encoding="utf-8"), tables)
    except (OSError, ValueError) as error:
        raise SystemExit(f"{document}: {error}") from error
    for name, group in groups.items():
        path = flags.docs / "pictures" / f"benchmark_{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        draw(group, path)
        print(path)
    write_atomically(document, text)
    print(document)
    if without:
        print(f"Left as they are, for {flags.results} has no such results: {', '.join(without)}")


if __name__ == "__main__":
    main()
