import json
import math

import numpy as np
import pytest
from safetensors.numpy import save_file

from colintern.artifacts.model.adapter_config import read_adapter_config
from colintern.artifacts.tensors.store import read_tensor_store
from colintern.diagnostics.adapter.tensors import sort_adapter_tensors
from colintern.diagnostics.adapter.update import measure_updates, singular_values

PREFIX = "base_model.model.language_model.layers"


@pytest.mark.parametrize("rank", [1, 2, 4, 16, 32, 64, 100])
@pytest.mark.parametrize("width", [1, 7, 300, 1024])
def test_spectrum_equals_full_matrix(rank, width):
    random = np.random.default_rng(rank * width)
    a = random.standard_normal((rank, width)).astype(np.float32)
    b = random.standard_normal((50, rank)).astype(np.float32)
    full = np.linalg.svd(b.astype(float) @ a, compute_uv=False)
    full = np.pad(full, (0, rank))[:rank]
    ours = singular_values(a, b)
    # The jitter of the Cholesky step leaves up to a thousandth of the largest where zero is true.
    assert np.allclose(ours, full, atol=2e-3 * full[0], rtol=1e-3)
    assert math.isclose(np.linalg.norm(ours), np.linalg.norm(full), rel_tol=1e-4)


def test_spectrum_of_hostile_values():
    a = np.ones((4, 8), np.float32)
    assert np.isnan(singular_values(a * np.float32(np.nan), a.T)).all()
    assert np.isnan(singular_values(a * np.float32(1e30), a.T)).all()
    assert (singular_values(a * 0, a.T) == 0).all()
    assert (singular_values(a, a.T * 0) == 0).all()


def write_adapter(folder, scales, *, rank=4, alpha=8, **settings):
    random = np.random.default_rng(0)
    tensors = {}
    for layer, scale in enumerate(scales):
        name = f"{PREFIX}.{layer}.mlp.up_proj"
        tensors[f"{name}.lora_A.weight"] = random.standard_normal((rank, 16)).astype(np.float32)
        b = random.standard_normal((32, rank)) * scale
        tensors[f"{name}.lora_B.weight"] = b.astype(np.float32)
    save_file(tensors, folder / "adapter_model.safetensors")
    settings = {"peft_type": "LORA", "r": rank, "lora_alpha": alpha, **settings}
    (folder / "adapter_config.json").write_text(json.dumps(settings))
    return tensors


def measured(folder):
    store = read_tensor_store(folder / "adapter_model.safetensors", None)
    config = read_adapter_config(folder / "adapter_config.json", None)
    return measure_updates(store, sort_adapter_tensors(store.entries), config)


def test_norm_has_the_scale(tmp_path):
    tensors = write_adapter(tmp_path, [1.0])
    update = measured(tmp_path).modules[0]
    name = f"{PREFIX}.0.mlp.up_proj"
    product = tensors[f"{name}.lora_B.weight"] @ tensors[f"{name}.lora_A.weight"]
    assert math.isclose(update.norm, 2 * np.linalg.norm(product), rel_tol=1e-4)
    assert 1 < update.effective_rank <= 4


def test_outlier_among_its_kind(tmp_path):
    scales = [1.0 + 0.1 * layer for layer in range(20)]
    write_adapter(tmp_path, scales)
    assert measured(tmp_path).outliers[0].z < 14
    scales[7] *= 100
    write_adapter(tmp_path, scales)
    worst = measured(tmp_path).outliers[0]
    assert worst.z > 14
    assert worst.ratio > 50
    assert worst.update.place.layer == 7


def test_too_few_of_a_kind(tmp_path):
    write_adapter(tmp_path, [1.0, 1.0, 100.0, 1.0])
    assert measured(tmp_path).outliers == ()


def test_unknown_scale_is_left_out(tmp_path):
    write_adapter(tmp_path, [1.0, 1.0], alpha_pattern={"(a*)*b": 3})
    updates = measured(tmp_path)
    assert updates.modules == ()
    assert len(updates.left_out) == 2


def test_collapsed_rank(tmp_path):
    tensors = write_adapter(tmp_path, [1.0])
    for name in tensors:
        tensors[name][:] = 1.0
    save_file(tensors, tmp_path / "adapter_model.safetensors")
    assert measured(tmp_path).modules[0].effective_rank < 1.05
