import io

import pytest

datasets = pytest.importorskip("datasets")
parquet = pytest.importorskip("pyarrow.parquet")

import numpy as np  # noqa: E402 - after the skip
from PIL import Image  # noqa: E402 - after the skip

from colintern.pages.dataset_folder import png_bytes, write_dataset_folder  # noqa: E402 - after the skip
from colintern.pages.world import retrieval_task  # noqa: E402 - after the skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("pages")
    write_dataset_folder(path, num_train_pairs=12)
    return path


@pytest.mark.parametrize(
    ("configuration", "columns", "rows"),
    [
        ("corpus", ["corpus-id", "image"], 300),
        ("queries", ["query-id", "query", "language"], 300),
        ("qrels", ["query-id", "corpus-id", "score"], 300),
        ("train", ["image", "image_filename", "query", "source"], 12),
    ],
)
def test_datasets_reads_it(folder, tmp_path, configuration, columns, rows):
    split = "train" if configuration == "train" else "test"
    loaded = datasets.load_dataset(str(folder), configuration, split=split, cache_dir=str(tmp_path))
    assert loaded.column_names == columns
    assert len(loaded) == rows


def test_images_are_the_pages(folder):
    table = parquet.read_table(folder / "corpus" / "test-00000-of-00001.parquet")
    stored = table.column("image")[7].as_py()
    page = retrieval_task().pages[7]
    assert stored["path"] == page.name
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(stored["bytes"]))), page.pixels())


def test_png_is_lossless():
    page = retrieval_task().pages[0]
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(png_bytes(page)))), page.pixels())
