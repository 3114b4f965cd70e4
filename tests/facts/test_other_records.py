import pytest

from colintern.artifacts.model.adapter_config import AdapterConfig
from colintern.artifacts.run.manifest import LoraRecord
from colintern.facts.adapter_records import adapter_facts
from colintern.facts.config_sources import ConfigSource, merged_config
from colintern.facts.fact import Witness
from colintern.facts.optimiser_records import optimiser_facts
from colintern.facts.version_records import version_facts

ASKED = {"learning_rate": 7e-5, "lr_scheduler_type": "cosine", "warmup_steps": 60}
MODULES = frozenset({"layers.0.q_proj", "layers.1.q_proj"})


def named(facts):
    return [fact.name for fact in facts if fact is not None and not fact.agreed]


def optimiser(*, arguments=ASKED, card=None, logged=None, scalars=({}, {})):
    said = {"colintern_run.json": ASKED, "training_args.bin": arguments, "README.md": card or {}}
    sources = [ConfigSource(name, values) for name, values in said.items()]
    config = merged_config([*sources, ConfigSource("trainer_state.json", {"total_steps": 600})])
    stated = {each.name: merged_config([each]) for each in sources}
    files = dict(zip(said, scalars, strict=False))
    return named(optimiser_facts(stated, config, logged, files))


def log_of(rate, margin=0.0):
    return Witness(value=rate, source="trainer_state.json", margin=margin)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({}, []),
        ({"arguments": {**ASKED, "learning_rate": 2e-5}}, ["peak learning rate"]),
        ({"arguments": {**ASKED, "lr_scheduler_type": "SchedulerType.COSINE"}}, []),
        ({"arguments": {**ASKED, "lr_scheduler_type": "linear"}}, ["schedule"]),
        ({"arguments": {"warmup_ratio": 0.1}}, []),
        ({"arguments": {"warmup_steps": 0.1}}, []),
        ({"arguments": {"warmup_ratio": 0.3}}, ["warm-up"]),
        ({"card": {"learning_rate": 7e-05}}, []),
        ({"card": {"learning_rate": 1e-3}}, ["peak learning rate"]),
        ({"scalars": ({"optim": "adamw_torch"}, {"optim": "OptimizerNames.ADAMW_TORCH"})}, []),
        ({"scalars": ({"weight_decay": 0}, {"weight_decay": 0.0})}, []),
        ({"scalars": ({"weight_decay": 0.01}, {"weight_decay": 100.0})}, ["weight decay"]),
        ({"logged": log_of(6.9e-5)}, []),
        ({"logged": log_of(7.1e-5)}, []),
        ({"logged": log_of(7e-4)}, ["peak learning rate"]),
        ({"logged": log_of(3e-5)}, ["peak learning rate"]),
        ({"logged": log_of(3e-5, margin=5e-5)}, []),
        ({"logged": log_of(3e-5, margin=float("inf"))}, []),
    ],
)
def test_settings_of_the_optimiser_are_compared(said, expected):
    assert optimiser(**said) == expected


def lora(record, *, targets=None, modules=MODULES, count=100):
    adapter = AdapterConfig(peft_type="LORA", target_modules=targets) if targets else None
    return named(adapter_facts(LoraRecord(**record), adapter, modules, count))


@pytest.mark.parametrize(
    ("record", "targets", "expected"),
    [
        ({}, ["q_proj"], []),
        ({"target_modules": ("q_proj", "v_proj")}, ["v_proj", "q_proj"], []),
        ({"target_modules": ("q_proj",)}, ["q_proj", "v_proj"], ["target_modules"]),
        ({"target_modules": ".*q_proj"}, ".*q_proj", []),
        ({"target_modules": ".*q_proj"}, ".*v_proj", ["target_modules"]),
        ({"target_modules": "all-linear"}, ["q_proj"], []),
        ({"target_modules": ".*q_proj"}, ["q_proj"], []),
        ({"matched": tuple(sorted(MODULES))}, None, []),
        ({"matched": ("layers.0.q_proj",)}, None, ["adapted modules"]),
        ({"trainable_parameters": 100}, None, []),
        ({"trainable_parameters": 99}, None, ["trained parameters"]),
    ],
)
def test_what_lora_was_put_on_is_compared(record, targets, expected):
    assert lora(record, targets=targets) == expected


@pytest.mark.parametrize(
    ("adapter", "card", "expected"),
    [
        ({"peft": "0.20.0"}, {"pytorch": "2.13.0+cu121"}, []),
        ({"peft": "0.20.0.dev0"}, {"PEFT": "0.20"}, []),
        ({"peft": "0.15.2"}, {}, ["peft"]),
        ({}, {"transformers": "4.51.3"}, ["transformers"]),
        ({"peft": None}, {"pytorch": "unknown"}, []),
        ({}, {"numpy": "1.0"}, []),
    ],
)
def test_versions_are_compared_by_release(adapter, card, expected):
    trained = {"peft": "0.20.0", "torch": "2.13.0", "transformers": "5.23.0", "numpy": "2.4.6"}
    said = {"colintern_run.json": trained, "adapter_config.json": adapter, "README.md": card}
    assert named(version_facts(said)) == expected
