import json
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from colintern.artifacts.errors import ArtifactError
from colintern.artifacts.model.adapter_config import read_adapter_config
from colintern.artifacts.model.model_config import read_model_config

GOOD = {
    "peft_type": "LORA",
    "base_model_name_or_path": "org/base",
    "r": 16,
    "lora_alpha": 16,
    "lora_dropout": 0,
    "target_modules": ["q_proj", "v_proj", "q_proj"],
    "init_lora_weights": "gaussian",
    "use_dora": None,
    "task": "added by hand",
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)


def write(folder, document, name="adapter_config.json"):
    path = folder / name
    path.write_text(json.dumps(document))
    return path


def test_fields_and_raw(tmp_path):
    config = read_adapter_config(write(tmp_path, GOOD), None)
    assert config.is_lora
    assert config.target_entries == ("q_proj", "v_proj")
    assert config.raw["task"] == "added by hand"
    assert config.path == tmp_path / "adapter_config.json"
    assert config.b_starts_at_zero
    assert not config.use_dora


@pytest.mark.parametrize(
    ("init", "expected"),
    [(True, True), ("gaussian", True), (False, False), ("pissa_niter_4", False), (None, False)],
)
def test_where_b_starts(tmp_path, init, expected):
    config = read_adapter_config(write(tmp_path, {**GOOD, "init_lora_weights": init}), None)
    assert config.b_starts_at_zero is expected


def test_other_peft_type_is_read(tmp_path):
    assert not read_adapter_config(write(tmp_path, {"peft_type": "IA3"}), None).is_lora


@pytest.mark.parametrize(
    ("document", "found"),
    [
        ({"config": {}, "model_class": "Bert", "version": "adapters.1"}, "an AdapterHub adapter"),
        ({"base_model": "lerobot/smolvla_base"}, "an adapter reference of lerobot"),
        ({}, "an empty object"),
        ({"a\x1b[31m": 1}, r"the keys a\x1b[31m"),
    ],
)
def test_file_of_another_library(tmp_path, document, found):
    with pytest.raises(ArtifactError) as caught:
        read_adapter_config(write(tmp_path, document), None)
    assert caught.value.found == found


@pytest.mark.parametrize(
    "change",
    [
        {"r": 0},
        {"r": "16"},
        {"r": 10**30},
        {"lora_alpha": float("nan")},
        {"target_modules": 3},
        {"target_modules": ["q_proj", 3]},
        {"modules_to_save": "classifier"},
        {"rank_pattern": {"q_proj": -1}},
        {"peft_type": None},
    ],
)
def test_wrong_type_names_the_key(tmp_path, change):
    with pytest.raises(ArtifactError) as caught:
        read_adapter_config(write(tmp_path, {**GOOD, **change}), None)
    assert next(iter(change)) in str(caught.value)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from([*GOOD, "path", "raw", "layers_to_transform", "bias"]), JSON)
def test_any_value_reads_or_is_an_artifact_error(tmp_path_factory, key, value):
    path = write(tmp_path_factory.mktemp("fuzz"), {**GOOD, key: value})
    with suppress(ArtifactError):
        read_adapter_config(path, None)


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(["model_type", "text_config", "vision_config", "hidden_size", "path", "dim"]),
    JSON,
)
def test_any_model_config_reads_or_is_an_artifact_error(tmp_path_factory, key, value):
    path = write(tmp_path_factory.mktemp("fuzz"), {"model_type": "internvl", key: value})
    with suppress(ArtifactError):
        read_model_config(path, None)
