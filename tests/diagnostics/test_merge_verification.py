import ml_dtypes
import numpy as np
import pytest
from builders.adapter import (
    PREFIX,
    PROJECTION,
    adapter_config,
    adapter_tensors,
    base_tensors,
    write_base,
    write_merged,
    write_tensors,
)

from colintern.artifacts.model.adapter_config import AdapterConfig
from colintern.artifacts.tensors.store import read_tensor_store
from colintern.diagnostics.adapter.tensors import sort_adapter_tensors
from colintern.diagnostics.merge import verification as merge_verification
from colintern.diagnostics.merge.verification import merge_text, verify_merge

EMBEDDING = "language_model.embed_tokens.weight"
OTHERS = 17
"""Tensors of the fixture without LoRA: vision tower, connector, embedding, projection."""


def verified(
    folder, *, dtype="float32", config=None, base_tensors=None, adapter_edit=None, **merge
):
    write_base(folder / "base", dtype=dtype)
    if base_tensors is not None:
        write_tensors(folder / "base" / "model.safetensors", base_tensors)
    write_merged(folder / "merged", folder, dtype=dtype, **merge)
    trained = adapter_tensors()
    if adapter_edit is not None:
        adapter_edit(trained)
    write_tensors(folder / "adapter.safetensors", trained)
    merged, base, adapter = (
        read_tensor_store(folder / name, None)
        for name in ("merged/model.safetensors", "base/model.safetensors", "adapter.safetensors")
    )
    settings = AdapterConfig(**{**adapter_config(), **(config or {})})
    tensors = sort_adapter_tensors(adapter.entries)
    return verify_merge(merged, base, adapter, config=settings, tensors=tensors)


def counts(found):
    return {cause: len(names) for cause, names in found.faults.items()}


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_exact_merge_passes(tmp_path, dtype):
    found = verified(tmp_path, dtype=dtype)
    assert (len(found.modules), found.copies.compared) == (14, OTHERS)
    assert found.faults == {}
    assert found.unverified == ()
    assert all(abs(module.factor - 1) < 0.05 for module in found.modules)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize(
    ("merge", "cause"),
    [
        ({"times": 0.0}, "not applied"),
        ({"times": 2.0}, "applied twice"),
        ({"times": 8.0}, "wrong scale"),
        ({"times": -1.0}, "wrong scale"),
    ],
)
def test_wrong_merge_is_named(tmp_path, dtype, merge, cause):
    assert counts(verified(tmp_path, dtype=dtype, **merge)) == {cause: 14}


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_other_base_shows_everywhere(tmp_path, dtype):
    found = verified(tmp_path, dtype=dtype, other_base=True)
    assert counts(found) == {"other base": 14, "unlike the base's": OTHERS - 2}


def test_scale_of_the_configuration_counts(tmp_path):
    assert counts(verified(tmp_path, config={"lora_alpha": 32})) == {"wrong scale": 14}


@pytest.mark.parametrize("config", [{"use_dora": True}, {"fan_in_fan_out": True}])
def test_what_cannot_be_compared(tmp_path, config):
    found = verified(tmp_path, config=config)
    assert found.modules == ()
    assert len(found.unverified) == 14
    assert "not compared: 14" in merge_text(found)


def without(*parts):
    def edit(tensors):
        for name in [name for name in tensors if any(part in name for part in parts)]:
            del tensors[name]

    return edit


def filled(name, value):
    def edit(tensors):
        tensors[name] = np.full_like(tensors[name], value)

    return edit


def base_projection(tensors):
    tensors[f"{PROJECTION}.weight"] = base_tensors()[f"{PROJECTION}.weight"]


def drawn_again(name):
    def edit(tensors):
        values = np.random.default_rng(99).standard_normal(tensors[name].shape)
        tensors[name] = values.astype(np.float32) * 0.02

    return edit


def narrower(tensors):
    tensors[f"{PROJECTION}.weight"] = tensors[f"{PROJECTION}.weight"][:64].copy()


QUERY = "language_model.layers.1.self_attn.q_proj.weight"


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        (without("layers.1."), {"missing": 7}),
        (without(PROJECTION), {"missing": 2}),
        (without("embed_tokens"), {"missing": 1}),
        (without("vision_tower.encoder.layer.1."), {"missing": 6}),
        (filled(f"{PROJECTION}.weight", 0), {"all zero": 1}),
        (filled(QUERY, 0), {"all zero": 1}),
        (filled(QUERY, np.nan), {"not finite": 1}),
        (filled(EMBEDDING, np.nan), {"not finite": 1}),
        (drawn_again(EMBEDDING), {"unlike the base's": 1}),
        (drawn_again(f"{PROJECTION}.weight"), {"unlike the adapter's": 1}),
        (base_projection, {"the base's instead of the adapter's": 1}),
        (narrower, {"of another shape": 1}),
    ],
)
def test_damage_beside_lora(tmp_path, dtype, edit, expected):
    assert counts(verified(tmp_path, dtype=dtype, edit=edit)) == expected


def test_text_names_the_layer_and_the_cause(tmp_path):
    text = merge_text(verified(tmp_path, edit=without("layers.1.")))
    assert text.startswith("missing: 7 weights in language layer 1 (")


def renamed(old, new):
    def edit(tensors):
        for name in [name for name in tensors if name.startswith(old)]:
            tensors[new + name.removeprefix(old)] = tensors.pop(name)

    return edit


def one_more_token(tensors):
    row = np.ones((1, tensors[EMBEDDING].shape[1]), np.float32)
    tensors[EMBEDDING] = np.concatenate([tensors[EMBEDDING], row])


def with_output_layer(tensors):
    tensors["lm_head.weight"] = tensors[EMBEDDING].copy()


@pytest.mark.parametrize(
    "edit",
    [
        renamed("language_model.", "model.language_model."),
        renamed("language_model.", "language_model.model."),
        renamed("vision_tower.", "model.vision_tower.vision_model."),
        renamed("", "model."),
        one_more_token,
        with_output_layer,
    ],
)
def test_healthy_merge_of_another_form(tmp_path, edit):
    found = verified(tmp_path, edit=edit)
    assert (found.faults, found.unverified) == ({}, ())


@pytest.mark.parametrize(
    ("name", "expected"), [("lm_head.weight", {}), ("language_model.norm.weight", {"missing": 1})]
)
def test_what_only_the_base_has(tmp_path, name, expected):
    tensors = {**base_tensors(), name: np.ones((64, 64), np.float32)}
    assert counts(verified(tmp_path, base_tensors=tensors)) == expected


def test_unknown_names_are_not_called_missing(tmp_path):
    found = verified(tmp_path, edit=renamed("vision_tower.encoder.layer.", "vision_tower.trunk."))
    assert found.faults == {}
    assert len(found.unverified) == 24


def through(kind):
    def edit(tensors):
        for name, values in tensors.items():
            tensors[name] = values.astype(kind).astype(np.float32)

    return edit


@pytest.mark.parametrize("kind", [ml_dtypes.bfloat16, np.float16])
def test_merge_in_a_coarser_type(tmp_path, kind):
    assert verified(tmp_path, edit=through(kind)).faults == {}


def test_noise_of_rounding_size_is_no_rounding(tmp_path):
    def noisy(tensors):
        tensors[EMBEDDING] = tensors[EMBEDDING] * np.float32(1 + 2**-12)

    assert counts(verified(tmp_path, edit=noisy)) == {"unlike the base's": 1}


def test_projection_that_the_adapter_brings(tmp_path):
    """LoRA on a projection that the base lacks: its matrix lies beside A and B."""

    def brought(tensors):
        matrix = tensors.pop(f"{PREFIX}{PROJECTION}.weight")
        del tensors[f"{PREFIX}{PROJECTION}.bias"]
        tensors[f"{PREFIX}{PROJECTION}.base_layer.weight"] = matrix
        tensors[f"{PREFIX}{PROJECTION}.lora_A.weight"] = np.ones((16, 64), np.float32) * 0.01
        tensors[f"{PREFIX}{PROJECTION}.lora_B.weight"] = np.ones((128, 16), np.float32) * 0.01

    plain = base_tensors(projection=False)
    unmerged = verified(tmp_path, base_tensors=plain, adapter_edit=brought)
    assert unmerged.faults["not applied"] == (PROJECTION,)


def test_beyond_the_budget_is_not_compared(tmp_path, monkeypatch):
    monkeypatch.setattr(merge_verification.limits, "WEIGHT_SCAN_BYTES", 100_000)
    found = verified(tmp_path, edit=filled(EMBEDDING, np.nan))
    assert 0 < found.compared < 14 + OTHERS
    assert found.compared + len(found.unverified) == 14 + OTHERS
