import json

import pytest

from colintern.artifacts.folder.remote_code import read_remote_code

PADDING = {"padding": "x" * (70 << 10)}
"""Beyond the size up to which every configuration is parsed."""


def references(folder, name, document):
    path = folder / name
    path.write_text(json.dumps(document))
    found = read_remote_code([path], None)
    assert found.faults == ()
    return [f"{reference.key} = {reference.target}" for reference in found.references]


@pytest.mark.parametrize(
    ("name", "document", "expected"),
    [
        ("config.json", {"auto_map": {"AutoModel": "x.Model"}}, ["auto_map.AutoModel = x.Model"]),
        (
            "tokenizer_config.json",
            {"auto_map": ["x.Slow", None]},
            ["auto_map.AutoTokenizer = x.Slow"],
        ),
        (
            "tokenizer_config.json",
            {"auto_map": {"AutoTokenizer": ["x.Slow", "x.Fast"]}},
            ["auto_map.AutoTokenizer = x.Slow", "auto_map.AutoTokenizer = x.Fast"],
        ),
        ("config.json", {"custom_pipelines": {"p": {"impl": "x.P"}}}, ["custom_pipelines.p = x.P"]),
        ("modules.json", [{"type": "custom.Pooling"}], ["type = custom.Pooling"]),
        ("modules.json", [{"type": "sentence_transformers.models.Pooling"}], []),
        ("config.json", {"auto_map": {}}, []),
        ("config.json", {"auto_map": None}, []),
        ("config.json", {"type": "custom.Pooling"}, []),
    ],
)
@pytest.mark.parametrize("is_long", [False, True])
def test_code_is_found(tmp_path, name, document, expected, is_long):
    if is_long:
        document = [*document, PADDING] if isinstance(document, list) else {**document, **PADDING}
    assert references(tmp_path, name, document) == expected


def test_key_in_escapes_is_found(tmp_path):
    path = tmp_path / "config.json"
    text = json.dumps({"auto_map": {"AutoModel": "x.Model"}, **PADDING})
    path.write_text(text.replace("auto_map", "auto\\u005fmap"))
    assert len(read_remote_code([path], None).references) == 1
