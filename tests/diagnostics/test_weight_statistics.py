import ml_dtypes
import numpy as np
import pytest
from builders.hostile import entry, safetensors
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file

from colintern.artifacts.tensors.store import PIECE_BYTES, read_tensor_store
from colintern.diagnostics.weights.statistics import measure_weights

KINDS = {
    "BF16": ml_dtypes.bfloat16,
    "F16": np.float16,
    "F32": np.float32,
    "F64": np.float64,
    "F8_E4M3": ml_dtypes.float8_e4m3fn,
    "F8_E5M2": ml_dtypes.float8_e5m2,
}
VALUES = st.lists(
    st.one_of(st.floats(width=16), st.sampled_from([0.0, -0.0, 1e30, -3.5])), min_size=1
)


def measured(path, arrays):
    save_file(arrays, path)
    return measure_weights(read_tensor_store(path, None)).tensors


def written(path, dtype, array):
    content = array.tobytes()
    path.write_bytes(safetensors({"a": entry(dtype, array.shape, (0, len(content)))}, content))
    return measure_weights(read_tensor_store(path, None)).tensors["a"]


@pytest.mark.parametrize("dtype", KINDS)
@given(values=VALUES)
def test_statistics_match_numpy(tmp_path_factory, dtype, values):
    with np.errstate(over="ignore", invalid="ignore"):
        array = np.array(values).astype(KINDS[dtype])
    numbers = array.astype(np.float64)
    found = written(tmp_path_factory.getbasetemp() / "values.safetensors", dtype, array)
    finite = numbers[np.isfinite(numbers)]
    assert found.num_values == len(values)
    assert found.num_non_finite == len(values) - len(finite)
    assert found.largest_magnitude == (abs(finite).max() if len(finite) else None)
    assert found.is_zero == (not numbers.any())
    wrong = np.flatnonzero(~np.isfinite(numbers))
    assert found.first_non_finite == (wrong[0] if len(wrong) else None)


@pytest.mark.parametrize("dtype", ["BF16", "F16", "F8_E4M3", "F8_E5M2"])
def test_every_bit_pattern_of_small_types(tmp_path, dtype):
    kind = np.dtype(KINDS[dtype])
    bits = np.arange(2 ** (8 * kind.itemsize), dtype=f"u{kind.itemsize}")
    with np.errstate(invalid="ignore"):
        numbers = bits.view(kind).astype(np.float64)
    found = written(tmp_path / "bits.safetensors", dtype, bits.view(kind))
    finite = numbers[np.isfinite(numbers)]
    assert found.num_non_finite == len(numbers) - len(finite)
    assert found.largest_magnitude == abs(finite).max()


@pytest.mark.parametrize(
    ("array", "largest", "is_zero"),
    [
        (np.array([1, -7, 3], np.int8), 7, False),
        (np.array([-128], np.int8), 128, False),
        (np.zeros(3, np.int64), 0, True),
        (np.array([2**64 - 1], np.uint64), float(2**64 - 1), False),
        (np.array([False, True]), 1, False),
        (np.zeros((0, 3), np.float32), None, False),
    ],
)
def test_integers_and_no_values(tmp_path, array, largest, is_zero):
    found = measured(tmp_path / "model.safetensors", {"a": array})["a"]
    assert (found.largest_magnitude, found.is_zero) == (largest, is_zero)


@pytest.mark.parametrize(
    ("dtype", "kind"),
    [
        ("F8_E8M0", ml_dtypes.float8_e8m0fnu),
        ("F8_E4M3FNUZ", ml_dtypes.float8_e4m3fnuz),
        ("F8_E5M2FNUZ", ml_dtypes.float8_e5m2fnuz),
    ],
)
def test_single_nan_of_a_byte_is_found(tmp_path, dtype, kind):
    bits = np.arange(256, dtype="u1")
    numbers = bits.view(kind).astype(np.float64)
    found = written(tmp_path / "bits.safetensors", dtype, bits)
    assert (found.num_non_finite, found.first_non_finite) == (1, np.flatnonzero(np.isnan(numbers)))
    assert found.largest_magnitude == np.nanmax(abs(numbers))
    finite = written(tmp_path / "finite.safetensors", dtype, bits[:8])
    assert (finite.num_non_finite, finite.is_zero, finite.is_measured) == (0, False, True)


def test_types_without_numbers_are_not_measured(tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(safetensors({"a": entry("F4", (4,), (0, 2))}, b"\0\0"))
    statistics = measure_weights(read_tensor_store(path, None))
    found = statistics.tensors["a"]
    assert found.largest_magnitude is None
    assert not found.is_zero
    assert statistics.unmeasured == (found,)


def test_large_tensor_is_located_over_pieces(tmp_path):
    array = np.zeros(3 * PIECE_BYTES // 4 + 5, np.float32)
    array[[2 * PIECE_BYTES // 4 + 7, -1]] = np.nan, np.inf
    array[10] = -6.5
    found = measured(tmp_path / "m.safetensors", {"a": array, "b": np.zeros(4, np.float32)})
    assert found["a"].num_non_finite == 2
    assert found["a"].first_non_finite == 2 * PIECE_BYTES // 4 + 7
    assert found["a"].largest_magnitude == 6.5
    assert found["b"].is_zero


def test_order_is_that_of_the_data(tmp_path):
    arrays = {f"t{number}": np.full(3, number, np.float32) for number in range(40)}
    found = measured(tmp_path / "m.safetensors", arrays)
    assert {name: tensor.largest_magnitude for name, tensor in found.items()} == {
        name: float(name[1:]) for name in arrays
    }
