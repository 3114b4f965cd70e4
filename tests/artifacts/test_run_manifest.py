import json
from contextlib import suppress

import pytest
from builders.manifest import manifest, write_manifest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from colintern.artifacts.errors import ArtifactError
from colintern.artifacts.run.manifest import read_run_manifest

NAME = "colintern_run.json"

SHARED_FOLDER = [HealthCheck.function_scoped_fixture]


def test_every_field_is_read(tmp_path):
    write_manifest(tmp_path, unknown={"kept": 1})
    record = read_run_manifest(tmp_path / NAME, None)
    assert record.family == "ColIntern3.5"
    assert record.arguments["learning_rate"] == 7e-5
    assert record.loss.class_name == "ColbertLoss"
    assert record.datasets[0].rows == 7680
    assert record.hardware.attention == "flash_attention_2"
    assert len(record.lora.matched) == 14


def test_every_field_but_the_schema_is_optional(tmp_path):
    (tmp_path / NAME).write_text('{"schema": "colintern.run/1"}')
    record = read_run_manifest(tmp_path / NAME, None)
    assert {getattr(record, name) for name in record.__struct_fields__} == {"colintern.run/1", None}


@pytest.mark.parametrize(
    ("schema", "found"), [("colintern.run/2", "colintern.run/2"), (1, '"1"'), (None, "no schema")]
)
def test_another_schema_is_refused(tmp_path, schema, found):
    (tmp_path / NAME).write_text(json.dumps({**manifest(), "schema": schema}))
    with pytest.raises(ArtifactError, match=r"colintern\.run/1") as raised:
        read_run_manifest(tmp_path / NAME, None)
    assert found in raised.value.found


def test_wrong_type_names_its_key(tmp_path):
    write_manifest(tmp_path, world_size="four")
    with pytest.raises(ArtifactError) as raised:
        read_run_manifest(tmp_path / NAME, None)
    assert "world_size" in str(raised.value)


def paths_of(value, path=()):
    yield path
    if isinstance(value, dict):
        for key, child in value.items():
            yield from paths_of(child, (*path, key))


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda child: (
        st.lists(child, max_size=2) | st.dictionaries(st.text(max_size=3), child, max_size=2)
    ),
    max_leaves=4,
)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(path=st.sampled_from(list(paths_of(manifest()))), value=ANYTHING)
def test_mutated_manifest_is_read_or_refused(tmp_path, path, value):
    document = manifest()
    holder = document
    for key in path[:-1]:
        holder = holder[key]
    if path:
        holder[path[-1]] = value
    else:
        document = value
    (tmp_path / NAME).write_text(json.dumps(document))
    with suppress(ArtifactError):
        read_run_manifest(tmp_path / NAME, None)
