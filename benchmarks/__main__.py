"""Runs all benchmarks, each in a process of its own, and sums up.

python -m benchmarks
"""

import subprocess
import sys

from benchmarks.results import FILE, latest, read

# Names and flags.
ALL = (
    "hiding",
    "temporal_hiding",
    "input_pipeline",
    "evaluation",
    "boxes",
    "max_box_accuracy",
    "training_step",
    "determinism",
    "startup --demo",
)


def main() -> None:
    """Runs the benchmarks one after another, and continues if one of them fails."""
    try:
        before = len(read()) if FILE.exists() else 0
    except ValueError as error:
        sys.exit(f"{error}. Fix the line, or move the file away.")
    failed = []
    for number, name in enumerate(ALL, start=1):
        print(f"\n== {name} ({number} of {len(ALL)})", flush=True)
        module, *flags = name.split()
        command = [sys.executable, "-m", f"benchmarks.{module}", *flags]
        if subprocess.run(command).returncode:  # noqa: S603 (Python itself, and a name from above)
            failed.append(name)
    found = latest(read()[before:]) if FILE.exists() else {}
    asked = [row for rows in found.values() for row in rows if row.aim is not None]
    missed = [row for row in asked if not row.is_met]
    print(f"\n{len(asked) - len(missed)} of {len(asked)} aims met; all rows: {FILE}")
    for row in missed:
        print(
            f"  {row.verdict}: {row.comparison}: {row.candidate}: {row.ratio:.3g}, aim {row.aim:g}"
        )
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
