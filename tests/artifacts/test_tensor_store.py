import json
import os

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save_file

from colintern.artifacts import limits
from colintern.artifacts.errors import ArtifactError
from colintern.artifacts.files import Enclosure
from colintern.artifacts.tensors.store import PIECE_BYTES, read_tensor_store
from colintern.artifacts.tensors.values import as_float32

RANDOM = np.random.default_rng(0)


def write_shards(folder, weight_map=None):
    save_file({"a": np.ones((2, 3), np.float32)}, folder / "model-1.safetensors")
    save_file({"b": np.full((4,), 2, np.float16)}, folder / "model-2.safetensors")
    index = folder / "model.safetensors.index.json"
    named = {"a": "model-1.safetensors", "b": "model-2.safetensors"}
    index.write_text(
        json.dumps({"metadata": {}, "weight_map": named if weight_map is None else weight_map})
    )
    return index


def test_single_file_is_read_as_float32(tmp_path):
    path = tmp_path / "adapter_model.safetensors"
    arrays = {
        "f32": RANDOM.normal(size=(3, 5)).astype(np.float32),
        "f16": RANDOM.normal(size=(4,)).astype(np.float16),
        "bf16": RANDOM.normal(size=(2, 2)).astype(ml_dtypes.bfloat16),
        "i64": np.array([1, -2, 3]),
    }
    save_file(arrays, path)
    store = read_tensor_store(path, None)
    for name, array in arrays.items():
        values = store.read_float32(name)
        assert values.dtype == np.float32
        np.testing.assert_array_equal(values, array.astype(np.float32))


@pytest.mark.parametrize("name", ["F8_E4M3", "F8_E5M2"])
def test_float8_is_read(name):
    kinds = {"F8_E4M3": ml_dtypes.float8_e4m3fn, "F8_E5M2": ml_dtypes.float8_e5m2}
    content = np.arange(256, dtype=np.uint8)
    expected = content.view(kinds[name]).astype(np.float32)
    np.testing.assert_array_equal(as_float32(name, content), expected)


def test_types_without_numbers_are_told():
    assert as_float32("F4", np.zeros(4, np.uint8)) is None


def test_pieces_join_to_the_tensor(tmp_path):
    path = tmp_path / "model.safetensors"
    array = RANDOM.integers(0, 255, 2 * PIECE_BYTES + 1000, dtype=np.uint8)
    save_file({"small": np.zeros(3, np.uint8), "large": array}, path)
    store = read_tensor_store(path, None)
    pieces = [piece.tobytes() for piece in store.pieces("large")]
    assert len(pieces) == 3
    assert b"".join(pieces) == array.tobytes()


def test_whole_tensor_has_a_limit(tmp_path, monkeypatch):
    path = tmp_path / "model.safetensors"
    save_file({"a": np.zeros(11, np.float32)}, path)
    monkeypatch.setattr(limits, "TENSOR_VALUES", 10)
    with pytest.raises(ArtifactError, match="11 values"):
        read_tensor_store(path, None).read_float32("a")


def test_file_cut_after_its_header_was_read(tmp_path):
    path = tmp_path / "model.safetensors"
    save_file({"a": np.zeros(100, np.float32)}, path)
    store = read_tensor_store(path, None)
    os.truncate(path, path.stat().st_size - 1)
    with pytest.raises(ArtifactError, match="the end of the file"):
        store.read_float32("a")


def test_shards_are_joined(tmp_path):
    store = read_tensor_store(write_shards(tmp_path), Enclosure.around(tmp_path))
    assert list(store.entries) == ["a", "b"]
    assert store.read_float32("b").tolist() == [2, 2, 2, 2]
    assert store.num_bytes == 24 + 8


@pytest.mark.parametrize(
    ("weight_map", "message", "escapes"),
    [
        ({"a": "../model-1.safetensors"}, "../model-1.safetensors", True),
        ({"a": "/etc/passwd"}, "/etc/passwd", True),
        ({"a": "inner/model-1.safetensors"}, "inner/model-1.safetensors", False),
        ({"a": ".."}, "`..`", True),
        ({"a": "model-1\0.safetensors"}, r"\\x00", False),
        ({"a": "model-3.safetensors"}, "no such file", False),
        ({"a": 1}, "no string", False),
        ([], "no such object", False),
        ({"a": "model-1.safetensors"}, None, False),
        ({"a": "model-1.safetensors", "c": "model-1.safetensors"}, "c in a shard", False),
        (
            {"a": "model-2.safetensors", "b": "model-1.safetensors"},
            "a, b in the shard of the index",
            False,
        ),
    ],
)
def test_index_is_checked(tmp_path, weight_map, message, escapes):
    index = write_shards(tmp_path, weight_map)
    if message is None:
        assert list(read_tensor_store(index, Enclosure.around(tmp_path)).entries) == ["a"]
        return
    with pytest.raises(ArtifactError, match=message) as raised:
        read_tensor_store(index, Enclosure.around(tmp_path))
    assert raised.value.escapes == escapes


def test_shard_may_not_be_a_link_outside(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    index = write_shards(folder)
    (folder / "model-1.safetensors").rename(tmp_path / "outside.safetensors")
    (folder / "model-1.safetensors").symlink_to(tmp_path / "outside.safetensors")
    with pytest.raises(ArtifactError) as raised:
        read_tensor_store(index, Enclosure.around(folder))
    assert raised.value.escapes


def test_tensor_in_two_shards(tmp_path):
    index = write_shards(tmp_path)
    save_file({"a": np.ones(1), "b": np.ones(1)}, tmp_path / "model-2.safetensors")
    with pytest.raises(ArtifactError, match="a copy in model-2"):
        read_tensor_store(index, None)


def test_tensor_that_the_index_leaves_out(tmp_path):
    index = write_shards(tmp_path)
    save_file({"b": np.ones(1), "c": np.ones(1)}, tmp_path / "model-2.safetensors")
    with pytest.raises(ArtifactError, match="nothing of c"):
        read_tensor_store(index, None)


def test_number_of_shards_has_a_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "SHARDS", 1)
    with pytest.raises(ArtifactError, match="at most 1 shards"):
        read_tensor_store(write_shards(tmp_path), None)
