import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

tf = pytest.importorskip("tensorflow")

import keras_has  # noqa: E402
from keras_has.export import export_embedder, load_embedder  # noqa: E402
from trainers.engine.gallery_search import (  # noqa: E402
    draw_ranking,
    embed_files,
    rank_gallery,
    write_rankings,
)


@pytest.fixture
def gallery(tmp_path):
    """Four pictures that get brighter, and a file that is none."""
    folder = tmp_path / "gallery"
    folder.mkdir()
    for number in range(4):
        pixels = np.zeros((8, 6, 3), "uint8")
        pixels[:, : 2 + number] = 250
        Image.fromarray(pixels).save(folder / f"{number}.png")
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    return folder


def test_an_exported_model_ranks_a_folder(gallery, tmp_path):
    export_embedder(keras_has.models.SmallGAP(2, (32, 16, 3), widths=(4, 4)), tmp_path / "model")
    model, _ = load_embedder(tmp_path / "model")
    files = sorted(gallery.iterdir())
    images, vectors, bad = embed_files(model, files, 3)
    assert [path.name for path in images] == ["0.png", "1.png", "2.png", "3.png"]
    assert vectors.shape == (4, 4)
    assert len(bad) == 1 and bad[0].startswith(f"{gallery / 'broken.jpg'}: ")
    copy = tmp_path / "query.png"
    copy.write_bytes(images[2].read_bytes())
    (found,) = rank_gallery([copy], vectors[[2]], images, vectors)
    assert found.images[0] == images[2]
    assert found.distances[0] == pytest.approx(0, abs=1e-3)
    expected = np.linalg.norm(vectors - vectors[2], axis=1)
    np.testing.assert_allclose(found.distances, np.sort(expected), atol=1e-3)
    # A query in the gallery does not find itself.
    (found,) = rank_gallery([images[2]], vectors[[2]], images, vectors)
    assert len(found.images) == 3 and images[2] not in found.images

    write_rankings(tmp_path / "ranking.csv", [found], gallery, 2)
    rows = list(csv.DictReader((tmp_path / "ranking.csv").read_text().splitlines()))
    assert [row["image"] for row in rows] == [path.name for path in found.images[:2]]
    assert [row["rank"] for row in rows] == ["1", "2"]
    assert float(rows[0]["distance"]) == pytest.approx(found.distances[0], abs=1e-6)
    assert rows[0]["query"] == str(images[2])
    picture = draw_ranking(found, 2)
    assert picture.dtype == np.uint8 and picture.shape[1] > 3 * 100


def test_reranking_sees_the_neighbors():
    angles = np.array([0.0, 0.1, 0.12, 0.2, 2.0, 2.1])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype("float32")
    paths = [Path(f"/none/{n}.png") for n in range(6)]
    (plain,) = rank_gallery(paths[:1], vectors[:1], paths[1:], vectors[1:])
    (again,) = rank_gallery(paths[:1], vectors[:1], paths[1:], vectors[1:], is_reranked=True)
    assert [path.name for path in plain.images[:3]] == ["1.png", "2.png", "3.png"]
    assert set(again.images) == set(plain.images)
    assert not np.allclose(again.distances, plain.distances)
