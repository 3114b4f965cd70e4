import pytest

from colintern.diagnostics.log.learning_rate import learning_rates_of, size_in_name
from colintern.facts.config_sources import ConfigSource, merged_config
from colintern.facts.training_mode import (
    has_bfloat16_and_flash,
    planned_warmup,
    ran_on_gpu,
    reentrant_checkpointing,
    training_precision,
)
from colintern.families.catalogue import family_named
from colintern.families.colintern import COLINTERN


def config(**values):
    return merged_config([ConfigSource("training_args.bin", values)])


@pytest.mark.parametrize(
    ("gpu", "expected"),
    [
        ("NVIDIA A100-SXM4-80GB", True),
        ("NVIDIA GeForce RTX 5090", True),
        ("NVIDIA GeForce RTX 3060 Ti", True),
        ("NVIDIA H100 80GB HBM3", True),
        ("NVIDIA L40S", True),
        ("NVIDIA A10G", True),
        ("NVIDIA RTX 6000 Ada Generation", True),
        ("NVIDIA RTX PRO 6000 Blackwell Server Edition", True),
        ("Tesla T4", False),
        ("Tesla V100-SXM2-16GB", False),
        ("NVIDIA GeForce RTX 2080 Ti", False),
        ("Quadro RTX 6000", False),
        ("AMD Instinct MI300X", None),
        ("A" * 10_000, None),
        (None, None),
    ],
)
def test_generation_of_a_gpu(gpu, expected):
    assert has_bfloat16_and_flash(gpu) is expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"bf16": True, "dtype": "float32"}, "bf16"),
        ({"fp16": True, "bf16": False}, "fp16"),
        ({"bf16": False, "fp16": False, "dtype": "torch.bfloat16"}, "bf16"),
        ({"bf16": False, "fp16": False, "dtype": "float32"}, "fp32"),
        ({"bf16": False, "fp16": False}, None),
        ({"dtype": "int8"}, None),
    ],
)
def test_precision(values, expected):
    found = training_precision(config(**values))
    assert (found.value if found else None) == expected


ON = {"gradient_checkpointing": True}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, None),
        ({"gradient_checkpointing": False}, False),
        ({**ON, "gradient_checkpointing_kwargs": {"use_reentrant": True}}, True),
        ({**ON, "gradient_checkpointing_kwargs": {"use_reentrant": False}}, False),
        ({**ON, "gradient_checkpointing_kwargs": None, "transformers": "4.57.1"}, True),
        ({**ON, "gradient_checkpointing_kwargs": None, "transformers": "5.3.0"}, False),
        ({**ON, "gradient_checkpointing_kwargs": None}, None),
        ({**ON, "transformers": "4.30"}, None),
    ],
)
def test_reentry(values, expected):
    assert reentrant_checkpointing(config(**values)) is expected


@pytest.mark.parametrize(
    ("warmup", "total", "short"),
    [(0, 600, True), (100, 600, False), (12, 600, False), (11, 600, True), (50, None, None)],
)
def test_short_warmup(warmup, total, short):
    values = {"num_train_epochs": 5, "total_steps": total} if total else {}
    assert planned_warmup(config(warmup_steps=warmup, **values)).is_shorter(100, 0.1) is short


def test_gpu_of_the_run():
    assert ran_on_gpu(config(_n_gpu=1)) is True
    assert ran_on_gpu(config(_n_gpu=0)) is False
    assert ran_on_gpu(config(device="cpu", _n_gpu=1)) is False
    assert ran_on_gpu(config()) is None


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("OpenGVLab/InternVL3_5-1B-HF", 1e9),
        ("HuggingFaceTB/SmolVLM-256M-Instruct", 256e6),
        ("Qwen/Qwen2.5-VL-3B-Instruct", 3e9),
        ("gpt2", None),
        ("../base", None),
    ],
)
def test_size_in_a_name(name, size):
    assert size_in_name(name) == size


def test_learning_rate_interval():
    assert learning_rates_of(COLINTERN, 905_315_328).factor_off(5e-5) == 1
    assert learning_rates_of(COLINTERN, 905_315_328).factor_off(5e-4) == pytest.approx(10)
    assert learning_rates_of(COLINTERN, None).factor_off(1e-5) == 1
    assert learning_rates_of(family_named("ColQwen2.5"), None).factor_off(1e-4) == pytest.approx(2)
    assert str(learning_rates_of(family_named("ColQwen2.5"), None)) == "0.0002 for ColQwen2.5"
    assert learning_rates_of(COLINTERN, 1).factor_off(0) == float("inf")
