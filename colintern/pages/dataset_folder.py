"""The generated world as a folder in ViDoRe's form: queries, corpus and qrels; and train pairs.

`datasets.load_dataset(FOLDER, "corpus", split="test")` reads it, as MTEB does with ViDoRe.
"""

import io
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from colintern.pages.page import Page
from colintern.pages.world import Pair, RetrievalTask, retrieval_task, training_pairs

_IMAGE: Final = {"_type": "Image"}
_INTEGER: Final = {"dtype": "int64", "_type": "Value"}
_STRING: Final = {"dtype": "string", "_type": "Value"}

_FEATURES: Final[dict[str, dict[str, dict[str, str]]]] = {
    "corpus": {"corpus-id": _INTEGER, "image": _IMAGE},
    "queries": {"query-id": _INTEGER, "query": _STRING, "language": _STRING},
    "qrels": {"query-id": _INTEGER, "corpus-id": _INTEGER, "score": _INTEGER},
    "train": {"image": _IMAGE, "image_filename": _STRING, "query": _STRING, "source": _STRING},
}
"""Columns of each configuration, as `datasets` describes them; `train` is that of ColPali's
training set."""

_SPLITS: Final = {"corpus": "test", "queries": "test", "qrels": "test", "train": "train"}


def write_dataset_folder(folder: Path, *, num_train_pairs: int, seed: int = 0) -> None:
    """Write the evaluation task and `num_train_pairs` training pairs below `folder`."""
    task = retrieval_task()
    _write(folder, "corpus", _corpus_rows(task))
    _write(folder, "queries", _query_rows(task))
    _write(folder, "qrels", _qrels_rows(task))
    _write(folder, "train", _train_rows(training_pairs(num_train_pairs, seed=seed)))
    (folder / "README.md").write_text(_card())


def png_bytes(page: Page) -> bytes:
    """Return the page as a PNG file."""
    from PIL import Image  # noqa: PLC0415 - of the train extra

    stream = io.BytesIO()
    Image.fromarray(page.pixels()).save(stream, format="png")
    return stream.getvalue()


def _image(page: Page) -> dict[str, Any]:
    return {"bytes": png_bytes(page), "path": page.name}


def _corpus_rows(task: RetrievalTask) -> list[dict[str, Any]]:
    return [{"corpus-id": index, "image": _image(page)} for index, page in enumerate(task.pages)]


def _query_rows(task: RetrievalTask) -> list[dict[str, Any]]:
    return [
        {"query-id": index, "query": query, "language": "english"}
        for index, query in enumerate(task.queries)
    ]


def _qrels_rows(task: RetrievalTask) -> list[dict[str, Any]]:
    return [
        {"query-id": query, "corpus-id": page, "score": 1}
        for query, page in enumerate(task.relevant)
    ]


def _train_rows(pairs: Iterable[Pair]) -> list[dict[str, Any]]:
    return [
        {
            "image": _image(pair.page),
            "image_filename": pair.page.name,
            "query": pair.query,
            "source": "colintern/pages",
        }
        for pair in pairs
    ]


def _write(folder: Path, configuration: str, rows: list[dict[str, Any]]) -> None:
    import pyarrow as pa  # noqa: PLC0415 - of the train extra
    from pyarrow import parquet  # noqa: PLC0415 - of the train extra

    types: Mapping[str, Any] = {
        "Image": pa.struct([("bytes", pa.binary()), ("path", pa.string())]),
        "int64": pa.int64(),
        "string": pa.string(),
    }
    features = _FEATURES[configuration]
    fields = [
        (name, types[feature.get("dtype", feature["_type"])]) for name, feature in features.items()
    ]
    described = json.dumps({"info": {"features": features}})
    table = pa.Table.from_pylist(
        rows, schema=pa.schema(fields, metadata={"huggingface": described})
    )
    (folder / configuration).mkdir(parents=True, exist_ok=True)
    parquet.write_table(table, folder / configuration / _file_name(configuration))


def _file_name(configuration: str) -> str:
    return f"{_SPLITS[configuration]}-00000-of-00001.parquet"


def _card() -> str:
    lines = ["---", "configs:"]
    for configuration, split in _SPLITS.items():
        lines += [
            f"- config_name: {configuration}",
            "  data_files:",
            f"  - split: {split}",
            f"    path: {configuration}/{split}-*",
        ]
    return "\n".join([*lines, "---", "", "# Generated pages", ""])
