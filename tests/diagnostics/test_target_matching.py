from pathlib import Path

import pytest

from colintern.artifacts.model.adapter_config import AdapterConfig
from colintern.diagnostics.adapter.targets import TargetMatcher, rank_of, scaling_of


def config(**fields):
    return AdapterConfig(peft_type="LORA", path=Path("adapter_config.json"), **fields)


Q3 = "language_model.layers.3.self_attn.q_proj"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"target_modules": ["q_proj"]}, True),
        ({"target_modules": ["self_attn.q_proj"]}, True),
        ({"target_modules": [Q3]}, True),
        ({"target_modules": ["proj"]}, False),
        ({"target_modules": ["language_model.layers.*.self_attn.q_proj"]}, False),
        ({"target_modules": ".*q_proj"}, True),
        ({"target_modules": "q_proj"}, False),
        ({"target_modules": "all-linear"}, True),
        ({"target_modules": "(a*)*b"}, None),
        ({"target_modules": ["q_proj"], "exclude_modules": ["q_proj"]}, False),
        ({"target_modules": ["q_proj"], "exclude_modules": ".*layers.3.*"}, False),
        ({"target_modules": ["q_proj"], "exclude_modules": ".*vision.*"}, True),
        ({"target_modules": ["q_proj"], "modules_to_save": ["q_proj"]}, False),
        ({"target_modules": ["q_proj"], "modules_to_save": ["language_model"]}, False),
        ({"target_modules": ["q_proj"], "layers_to_transform": 3}, True),
        ({"target_modules": ["q_proj"], "layers_to_transform": [0, 1]}, False),
        ({"target_modules": ["q_proj"], "layers_to_transform": []}, True),
        (
            {
                "target_modules": ["q_proj"],
                "layers_to_transform": [3],
                "layers_pattern": "layers",
            },
            True,
        ),
        (
            {"target_modules": ["q_proj"], "layers_to_transform": [3], "layers_pattern": "blocks"},
            False,
        ),
        ({"target_modules": None}, False),
    ],
)
def test_matching_of_one_module(fields, expected):
    assert TargetMatcher(config(**fields)).matches(Q3) is expected


def test_rank_and_alpha_patterns():
    patterned = config(
        r=8,
        lora_alpha=16,
        rank_pattern={"q_proj": 4, r".*layers\.3\..*": 2},
        alpha_pattern={"up_proj": 32},
    )
    assert rank_of(patterned, Q3) == 4
    assert rank_of(patterned, "language_model.layers.3.mlp.up_proj") == 2
    assert rank_of(patterned, "language_model.layers.2.mlp.up_proj") == 8
    assert scaling_of(patterned, "language_model.layers.2.mlp.up_proj", 8) == 4
    assert scaling_of(patterned, Q3, 4) == 4
    assert scaling_of(config(r=16, lora_alpha=16, use_rslora=True), Q3, 16) == 4
    assert rank_of(config(rank_pattern={"(a*)*b": 2}), Q3) is None
