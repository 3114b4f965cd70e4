"""Small copies of benchmark data, as `hf download` leaves them: the generated pages in disguise."""

import pyarrow as pa
from pyarrow import parquet

from colintern.pages.dataset_folder import png_bytes
from colintern.pages.world import retrieval_task

LANGUAGES = ("english", "french", "german", "spanish", "italian", "portuguese")


def write_copy(folder, *, num_pages, languages=("english",), readme=True):
    """Write queries, corpus and qrels in the form of ViDoRe v1 and v2."""
    task = retrieval_task()
    pages = task.pages[:num_pages]
    asked = [(q, p) for q, p in zip(task.queries, task.relevant, strict=True) if p < num_pages]
    corpus = [
        {"corpus-id": n, "image": {"bytes": png_bytes(page), "path": page.name}}
        for n, page in enumerate(pages)
    ]
    queries = [
        {"query-id": n, "query": query, "language": languages[n % len(languages)]}
        for n, (query, _) in enumerate(asked)
    ]
    qrels = [{"query-id": n, "corpus-id": page, "score": 1} for n, (_, page) in enumerate(asked)]
    parts = {"corpus": corpus, "queries": queries, "qrels": qrels}
    write_parts(folder, parts, readme=readme)


def write_version_3(folder, *, num_pages):
    """Write the form of ViDoRe v3: a configuration of each part for each language."""
    task = retrieval_task()
    pages = [
        {"id": f"corpus-{n}", "image": {"bytes": png_bytes(page), "path": page.name}}
        for n, page in enumerate(task.pages[:num_pages])
    ]
    asked = [(q, p) for q, p in zip(task.queries, task.relevant, strict=True) if p < num_pages]
    parts = {}
    for language in LANGUAGES:
        parts[f"{language}-corpus"] = pages
        parts[f"{language}-queries"] = [
            {"id": f"query-{n}", "text": query} for n, (query, _) in enumerate(asked)
        ]
        parts[f"{language}-qrels"] = [
            {"query-id": f"query-{n}", "corpus-id": f"corpus-{page}", "score": 2}
            for n, (_, page) in enumerate(asked)
        ]
    write_parts(folder, parts, readme=True)


def write_parts(folder, parts, *, readme=True):
    for name, rows in parts.items():
        (folder / name).mkdir(parents=True)
        table = pa.Table.from_pylist(rows)
        if "image" in rows[0]:
            described = '{"info": {"features": {"image": {"_type": "Image"}, "%s": {"dtype": "%s", "_type": "Value"}}}}'  # noqa: E501
            key = next(iter(rows[0]))
            kind = "int64" if isinstance(rows[0][key], int) else "string"
            table = table.replace_schema_metadata({"huggingface": described % (key, kind)})
        parquet.write_table(table, folder / name / "test-00000-of-00001.parquet")
    if readme:
        lines = ["---", "configs:"]
        for name in parts:
            lines += [f"- config_name: {name}", "  data_files:", "  - split: test"]
            lines += [f"    path: {name}/test-*"]
        (folder / "README.md").write_text("\n".join([*lines, "---", ""]))
