"""Score maps in files: one `.npy` file of floats, (height, width), per image."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from keras_has.data.array_files import open_npy
from keras_has.data.folders import IMAGE_EXTENSIONS
from keras_has.error_causes import cause_of


@dataclass
class ScoreMaps:
    """The file with the score map of each image.

    Attributes:
        files: The file of each image that has a score map.
        missing: The images without a score map.
        surplus: The files that belong to no image.
    """

    files: dict[str, Path]
    missing: list[str]
    surplus: list[Path]


def find_score_maps(folder: Path, image_ids: Sequence[str]) -> ScoreMaps:
    """Finds the score map of each image: `ID.npy`, or `ID` with its extension replaced by `.npy`.

    Args:
        folder: The folder, which is searched recursively.
        image_ids: The ids of the images.

    Raises:
        FileNotFoundError: If the folder contains no `.npy` file at all.
        ValueError: If a file belongs to two images.
    """
    existing = {file.relative_to(folder).as_posix(): file for file in sorted(folder.rglob("*.npy"))}
    if not existing:
        raise FileNotFoundError(f"{folder} contains no score map (.npy).")
    files: dict[str, Path] = {}
    missing: list[str] = []
    used: set[str] = set()
    # Masks are named without the extension of the image, maps perhaps with it: a.jpg.npy for a.
    others: dict[str, list[str]] = {}
    for name in existing:
        named_image = Path(name).with_suffix("")
        if named_image.suffix.lower() in IMAGE_EXTENSIONS:
            others.setdefault(named_image.with_suffix("").as_posix(), []).append(name)
    for image in image_ids:
        short = Path(image).with_suffix(".npy").as_posix()
        names = [f"{image}.npy", short, *others.get(image, ())]
        found = next((candidate for candidate in names if candidate in existing), None)
        if found is None:
            missing.append(image)
        elif found in used:
            raise ValueError(
                f"{existing[found]} belongs to two images, one of which is {image}: name the maps "
                f"after the complete file names, such as {image}.npy."
            )
        else:
            files[image] = existing[found]
            used.add(found)
    return ScoreMaps(files, missing, [file for name, file in existing.items() if name not in used])


def load_score_map(file: Path) -> np.ndarray:
    """Reads a score map.

    Args:
        file: A `.npy` file.

    Returns:
        Scores, floats (height, width).

    Raises:
        ValueError: If the file is not an array of floats of rank 2. Nothing is unpickled.
    """
    try:
        score_map = open_npy(file)
    except (OSError, ValueError) as error:
        raise ValueError(f"cannot be read: {cause_of(error)}") from error
    if score_map.ndim != 2 or not score_map.size:
        raise ValueError(f"should be of rank 2, received shape {np.shape(score_map)}")
    if score_map.dtype.kind != "f":
        raise ValueError(f"should have floats, received {score_map.dtype}")
    return np.array(score_map)
