"""Text files that are never half written."""

from pathlib import Path


def write_aside(path: Path, text: str) -> None:
    """Writes a text file aside, and renames it when it is whole.

    Args:
        path: Where it belongs; its folder is made.
        text: What it holds.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f"{path.name}.tmp")
    aside.write_text(text, encoding="utf-8")
    aside.replace(path)
