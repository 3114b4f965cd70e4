import json

import ml_dtypes
import numpy as np
import pytest
from builders.hostile import FLAWED_SAFETENSORS, entry, safetensors
from hypothesis import given
from hypothesis import strategies as st
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save, save_file

from colintern.artifacts import limits
from colintern.artifacts.errors import ArtifactError
from colintern.artifacts.tensors.safetensors_file import DTYPE_BITS, read_safetensors_file

SOUND = {
    "no tensors": safetensors({}),
    "padded header": safetensors(json.dumps({"a": entry()}) + " " * 9, b"\0" * 16),
    "a scalar": safetensors({"a": entry(shape=(), offsets=(0, 4))}, b"\0" * 4),
    "no values": safetensors({"a": entry(shape=(0, 5), offsets=(0, 0))}),
    "unordered": safetensors({"b": entry(offsets=(16, 32)), "a": entry()}, b"\0" * 32),
    "metadata": safetensors({"__metadata__": {"format": "pt"}, "a": entry()}, b"\0" * 16),
    "half bytes": safetensors({"a": entry("F4", (2, 3), (0, 3))}, b"\0" * 3),
}


def read(tmp_path, content):
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    return read_safetensors_file(path, None)


def accepted_by_reference(path):
    try:
        with safe_open(path, "numpy") as file:
            return sorted(file.keys())
    except SafetensorError:
        return None


@pytest.mark.parametrize("name", FLAWED_SAFETENSORS)
def test_flaw_is_named(tmp_path, name):
    content, found = FLAWED_SAFETENSORS[name]
    with pytest.raises(ArtifactError) as raised:
        read(tmp_path, content)
    assert found in raised.value.found
    assert str(raised.value).isprintable()


@pytest.mark.parametrize("name", SOUND)
def test_sound_file_is_read(tmp_path, name):
    file = read(tmp_path, SOUND[name])
    assert sorted(file.entries) == accepted_by_reference(file.path)


def test_entries_match_reference(tmp_path):
    path = tmp_path / "model.safetensors"
    arrays = {
        "a": np.arange(12, dtype=np.float32).reshape(3, 4),
        "b": np.ones((2, 2), np.float16),
        "c": np.zeros(5, np.int64),
    }
    save_file(arrays, path, metadata={"format": "np"})
    file = read_safetensors_file(path, None)
    assert {name: found.shape for name, found in file.entries.items()} == {
        name: array.shape for name, array in arrays.items()
    }
    assert file.entries["a"].num_values == 12
    assert file.metadata == {"format": "np"}


def test_dtypes_have_numpy_sizes():
    widths = {"BF16": ml_dtypes.bfloat16, "F8_E4M3": ml_dtypes.float8_e4m3fn, "F64": np.float64}
    assert {name: DTYPE_BITS[name] // 8 for name in widths} == {
        name: np.dtype(kind).itemsize for name, kind in widths.items()
    }


def test_every_truncation_is_named(tmp_path):
    content = save({f"layer.{number}": np.ones((7, 9), np.float32) for number in range(20)})
    for percent in range(100):
        with pytest.raises(ArtifactError, match=r"truncated|header length|empty header"):
            read(tmp_path, content[: len(content) * percent // 100])


def test_more_tensors_than_the_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "SAFETENSORS_TENSORS", 3)
    header = {f"t{number}": entry(shape=(0,), offsets=(0, 0)) for number in range(3)}
    assert len(read(tmp_path, safetensors(header)).entries) == 3
    header = {f"t{number}": entry(shape=(0,), offsets=(0, 0)) for number in range(9)}
    with pytest.raises(ArtifactError, match="at most 3 tensors"):
        read(tmp_path, safetensors(header))


GOOD = save({"a.weight": np.ones((3, 4), np.float32), "b.weight": np.ones((2, 2), np.float16)})


@given(st.data())
def test_mutation_raises_nothing_else(tmp_path_factory, data):
    content = bytearray(GOOD)
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(0, len(content) - 1))
        content[position : position + data.draw(st.integers(0, 3))] = data.draw(
            st.binary(max_size=4)
        )
    folder = tmp_path_factory.getbasetemp()
    path = folder / "mutated.safetensors"
    path.write_bytes(content)
    try:
        file = read_safetensors_file(path, None)
    except ArtifactError:
        return
    # What we accept, the reference accepts too.
    assert sorted(file.entries) == accepted_by_reference(path)
