import math

import ml_dtypes
import numpy as np
import pytest
from builders.full_size_lora import GLOBS
from builders.full_size_run import write_full_size_run
from support.auditing import audit


def zero_lora_b(tensors):
    for name, values in tensors.items():
        if ".lora_B." in name:
            values[:] = 0


def one_nan(tensors):
    name = next(name for name in tensors if ".layers.7.self_attn.q_proj.lora_B." in name)
    tensors[name][3, 5] = ml_dtypes.bfloat16(np.nan)


def projection_only(tensors):
    for name in [name for name in tensors if ".layers." in name]:
        del tensors[name]


def wild(share, value):
    return max(0.05, value + 0.7 * math.sin(2 * math.pi * 40 * share))


def overfit(share, value):
    return value if share < 0.4 else 1.05 + 1.1 * (share - 0.4)


def nan_from_40_percent(share, value):
    return math.nan if share > 0.4 else value


FAULTS = {
    "untrained lora_B": ({"adapter": {"edit": zero_lora_b}}, ["ADP011"]),
    "NaN in one tensor": ({"adapter": {"edit": one_nan}}, ["ADP010"]),
    "glob targets, projection only": (
        {"adapter": {"edit": projection_only, "config": {"target_modules": GLOBS}}},
        ["ADP003"],
    ),
    "projection only": (
        {"adapter": {"edit": projection_only, "config": {"target_modules": ["custom_text_proj"]}}},
        ["ADP004"],
    ),
    "truncated": ({}, ["SEC003"]),
    "1 epoch x batch 2": (
        # ln 2 among two pages; the evaluation has sixteen, whose chance is four times that.
        {
            "epochs": 1,
            "batch_size": 2,
            "steps": 14_775,
            "start": 0.7,
            "end": 0.6,
            "eval_loss": lambda _, value: 4 * value,
        },
        ["CFG001", "CFG002"],
    ),
    "NaN loss": ({"loss": nan_from_40_percent}, ["LOG001"]),
    "flat 2.40 to 2.35": ({"start": 2.4, "end": 2.35, "shape": 0}, ["LOG003"]),
    "oscillating": ({"loss": wild}, ["LOG005"]),
    "overfit": ({"eval_loss": overfit}, ["LOG007"]),
}
"""Changes of the healthy run, and its root causes: two where two settings are wrong."""


def test_the_healthy_full_size_run_passes(pytester):
    run = write_full_size_run(pytester.path / "run")
    result = audit(pytester, "--checkpoint", run)
    assert result.of_outcome("failed", "warned", "error") == [], result.output
    assert result.exit_code == 0


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_gates_and_is_the_root(pytester, fault):
    changes, rules = FAULTS[fault]
    run = write_full_size_run(pytester.path / "run", **changes)
    if fault == "truncated":
        weights = run / "adapter_model.safetensors"
        weights.write_bytes(weights.read_bytes()[: int(weights.stat().st_size * 0.6)])
    result = audit(pytester, "--checkpoint", run)
    assert result.exit_code == 1, result.output
    assert sorted(result.roots) == rules, result.output
    assert result.check(rules[0])["outcome"] == "failed"
