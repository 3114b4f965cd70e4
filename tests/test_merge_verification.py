import pytest
from builders.adapter import (
    adapter_config,
    adapter_tensors,
    write_base,
    write_merged,
    write_tensors,
)

from colintern.artifacts.adapter_config import AdapterConfig
from colintern.artifacts.tensor_store import read_tensor_store
from colintern.diagnostics.adapter_tensors import sort_adapter_tensors
from colintern.diagnostics.merge_verification import verify_merge


def verified(folder, *, dtype="float32", config=None, **merge):
    write_base(folder / "base", dtype=dtype)
    write_merged(folder / "merged", folder, dtype=dtype, **merge)
    write_tensors(folder / "adapter.safetensors", adapter_tensors())
    merged, base, adapter = (
        read_tensor_store(folder / name, None)
        for name in ("merged/model.safetensors", "base/model.safetensors", "adapter.safetensors")
    )
    settings = AdapterConfig(**{**adapter_config(), **(config or {})})
    tensors = sort_adapter_tensors(adapter.entries)
    return verify_merge(merged, base, adapter, config=settings, tensors=tensors)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_exact_merge_passes(tmp_path, dtype):
    found = verified(tmp_path, dtype=dtype)
    assert len(found.modules) == 14
    assert found.wrong == ()
    assert all(abs(module.factor - 1) < 0.05 for module in found.modules)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize(
    ("merge", "cause"),
    [
        ({"times": 0.0}, "not applied"),
        ({"times": 2.0}, "applied twice"),
        ({"times": 8.0}, "wrong scale"),
        ({"times": -1.0}, "wrong scale"),
        ({"other_base": True}, "other base"),
    ],
)
def test_wrong_merge_is_named(tmp_path, dtype, merge, cause):
    assert verified(tmp_path, dtype=dtype, **merge).causes == {cause: 14}


def test_scale_of_the_configuration_counts(tmp_path):
    assert verified(tmp_path, config={"lora_alpha": 32}).causes == {"wrong scale": 14}


@pytest.mark.parametrize("config", [{"use_dora": True}, {"fan_in_fan_out": True}])
def test_what_cannot_be_compared(tmp_path, config):
    found = verified(tmp_path, config=config)
    assert found.modules == ()
    assert len(found.unverified) == 14
