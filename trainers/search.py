"""Ranks the images of a folder by their similarity to a query, with an exported model.

  python -m trainers.search --model=RUN/saved_model --gallery=DIR --query=FILE --out=DIR

The model is one that `python -m trainers.reid` exported. --query is an image or a folder of images.
Writes ranking.csv with the columns query, rank, image and distance, and one picture for each query
with the images most similar to it. A query that is itself in the gallery is left out of its own
ranking. Files that cannot be decoded are listed.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from absl import app, flags, logging

from keras_has.data.folders import find_images, printable
from trainers.engine.command import exit_on_error, refuse_arguments
from trainers.engine.console import print_problems, progress

_MODEL = flags.DEFINE_string("model", None, "Folder of an exported model: RUN/saved_model.")
_GALLERY = flags.DEFINE_string("gallery", None, "Folder to search for images to rank.")
_QUERY = flags.DEFINE_string("query", None, "An image, or a folder to search for images.")
_OUT = flags.DEFINE_string("out", "search", "Folder for ranking.csv and the pictures.")
_COUNT = flags.DEFINE_integer("count", 10, "Images to list for each query.", lower_bound=1)
_RERANK = flags.DEFINE_boolean("rerank", False, "Whether to re-rank with k-reciprocal neighbors.")
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 32, "Images per batch.", lower_bound=1)
flags.mark_flags_as_required(["model", "gallery", "query"])


def main(argv: Sequence[str]) -> None:
    """Ranks the gallery for each query, and writes the table and the pictures."""
    refuse_arguments(argv)
    logging.set_verbosity(logging.WARNING)
    from keras_has import drawing
    from keras_has.export import load_embedder
    from trainers.engine.gallery_search import (
        draw_ranking,
        embed_files,
        rank_gallery,
        write_rankings,
    )

    out, gallery, query = Path(_OUT.value), Path(_GALLERY.value), Path(_QUERY.value)
    with exit_on_error(FileNotFoundError, ValueError, interrupted=""):
        model, _ = load_embedder(_MODEL.value)
        (gallery_files, not_ranked), (query_files, not_searched) = (
            find_images(folder, out) for folder in (gallery, query)
        )
    embedded = [
        embed_files(model, files, _BATCH_SIZE.value, progress(f"embedding the {title}", "image"))
        for title, files in (("gallery", gallery_files), ("queries", query_files))
    ]
    (images, vectors, bad_images), (queries, query_vectors, bad_queries) = embedded
    print_problems("kinds of files are no images", [*not_ranked, *not_searched])
    print_problems(
        "files could not be read and were left out", [*bad_images, *bad_queries], limit=None
    )
    if not images or not queries:
        sys.exit("error: no image could be read in --gallery or in --query.")
    rankings = list(rank_gallery(queries, query_vectors, images, vectors, _RERANK.value))
    out.mkdir(parents=True, exist_ok=True)
    root = gallery if gallery.is_dir() else gallery.parent
    write_rankings(out / "ranking.csv", rankings, root, _COUNT.value)
    query_root = query if query.is_dir() else query.parent
    for one in rankings:
        name = printable(one.query.relative_to(query_root))
        drawing.write_png(out / f"{name}.ranking.png", draw_ranking(one, _COUNT.value))
    print(f"{len(rankings)} pictures and ranking.csv written to {out}: {len(images)} images ranked")


if __name__ == "__main__":
    app.run(main)
