import importlib
import pkgutil
from pathlib import Path

import pytest

from colintern import families
from colintern.artifacts.model.adapter_config import AdapterConfig
from colintern.families.catalogue import FAMILIES, family_named
from colintern.families.family import Family
from colintern.families.traces import FamilyTraces, contradicting, families_named, tell_family

RETRIEVER = AdapterConfig(peft_type="LORA", task_type="FEATURE_EXTRACTION", path=Path("x"))
WRITER = AdapterConfig(peft_type="LORA", task_type="CAUSAL_LM", target_modules=["q_proj"])
ON_PROJECTION = AdapterConfig(peft_type="LORA", target_modules=".*q_proj|custom_text_proj")


@pytest.mark.parametrize(
    ("traces", "name"),
    [
        ({"option": "colqwen2.5", "manifest": "ColPali"}, "ColQwen2.5"),
        ({"option": "ColSmol"}, "ColIdefics3"),
        ({"manifest": "ColIntern3.5", "processor_class": "ColPaliProcessor"}, "ColIntern3.5"),
        ({"processor_class": "ColQwen2_5_Processor", "model_type": "paligemma"}, "ColQwen2.5"),
        ({"architectures": ("ColIdefics3",)}, "ColIdefics3"),
        ({"model_type": "internvl", "adapter": RETRIEVER}, "ColIntern3.5"),
        ({"base_id": "OpenGVLab/InternVL3_5-1B-HF", "adapter": RETRIEVER}, "ColIntern3.5"),
        ({"base_id": "Qwen/Qwen2-VL-2B-Instruct", "adapter": ON_PROJECTION}, "ColQwen2"),
        ({"base_id": "vidore/colqwen2-base"}, "ColQwen2"),
        ({"base_id": "vidore/colqwen2.5-base"}, "ColQwen2.5"),
        ({"base_id": "./models/base_models/colqwen2_5-base"}, "ColQwen2.5"),
        ({"base_id": "vidore/colqwen2.5omni-base"}, "ColQwen-Omni"),
        ({"base_id": "vidore/colpaligemma-3b-pt-448-base"}, "ColPali"),
        ({"base_id": "./models/paligemma-3b-mix-448", "adapter": ON_PROJECTION}, "ColPali"),
        ({"base_id": "vidore/ColSmolVLM-Instruct-256M-base"}, "ColIdefics3"),
        (
            {"base_id": "google/gemma-3-4b-it", "modules": frozenset({"custom_text_proj"})},
            "ColGemma3",
        ),
        (
            {"base_id": "colintern/tiny-base", "processor_class": "ColIntern3_5Processor"},
            "ColIntern-tiny",
        ),
        ({"base_id": "colintern/tiny-base", "option": "ColIntern3.5"}, "ColIntern3.5"),
        ({"base_id": "tiny-base", "processor_class": "ColQwen2Processor"}, "ColQwen2"),
        ({}, None),
        ({"base_id": "gpt2", "adapter": RETRIEVER}, None),
        ({"base_id": "HuggingFaceTB/SmolVLM-256M-Instruct", "adapter": RETRIEVER}, None),
        ({"model_type": "smolvlm", "adapter": ON_PROJECTION}, "ColIdefics3"),
        ({"model_type": "idefics3", "modules": frozenset({"linear"})}, "ColIdefics3"),
        ({"base_id": "HuggingFaceTB/SmolVLM-256M-Instruct", "adapter": WRITER}, None),
        ({"model_type": "qwen2_vl", "adapter": WRITER}, None),
        (
            {"processor_class": "BiQwen2Processor", "model_type": "qwen2_vl", "adapter": RETRIEVER},
            None,
        ),
        ({"base_id": "\x00" * 500}, None),
    ],
)
def test_family_is_told(traces, name):
    found = tell_family(FamilyTraces(**traces))
    assert (found.name if found else None) == name


@pytest.mark.parametrize(
    ("traces", "contradicts"),
    [
        ({"processor_class": "ColPaliProcessor", "model_type": "qwen2_vl"}, True),
        ({"processor_class": "ColQwen2Processor", "model_type": "qwen2_vl"}, False),
        ({"processor_class": "ColQwen2Processor", "base_id": "vidore/colqwen2.5-base"}, True),
        ({"manifest": "ColPali", "architectures": ("ColIntern3_5",)}, True),
        ({"manifest": "ColIntern-tiny", "processor_class": "ColIntern3_5Processor"}, False),
        ({"manifest": "ColPali", "option": "ColQwen2"}, False),
        ({"processor_class": "Qwen2VLProcessor", "model_type": "internvl"}, False),
        ({"base_id": "somebody/tuned", "model_type": "internvl"}, False),
        ({"model_type": "internvl", "processor_class": "ColIdefics3Processor"}, True),
        ({}, False),
    ],
)
def test_contradicting_traces_are_found(traces, contradicts):
    assert contradicting(families_named(FamilyTraces(**traces))) is contradicts


def test_every_name_finds_its_family():
    assert all(family_named(family.name) is family for family in FAMILIES)
    assert family_named("ColNothing") is None


@pytest.mark.parametrize(
    ("hub_id", "raw"),
    [
        ("OpenGVLab/InternVL3_5-1B-HF", True),
        ("somebody/InternVL3_5-1B-HF", False),
        ("OpenGVLab/colintern3_5-base", False),
        ("InternVL3_5-1B-HF", False),
    ],
)
def test_raw_base(hub_id, raw):
    assert family_named("ColIntern3.5").is_raw_base(hub_id) is raw


def test_learning_rate_by_size():
    family = family_named("ColIntern3.5")
    assert family.learning_rate_for(905_315_328)[1:] == (2e-5, 5e-5, 5e-5)
    assert family.learning_rate_for(None) is None
    assert family_named("ColPali").learning_rate_for(None)[1:] == (5e-5, 5e-5, None)


def test_every_size_has_a_learning_rate():
    for family in FAMILIES:
        assert family.learning_rate_for(10**15) is family.learning_rates[-1]
        if family.is_ours:
            assert all(each.low <= each.proposed <= each.high for each in family.learning_rates)


def test_every_entry_of_the_package_is_in_the_catalogue():
    found = []
    for module in pkgutil.iter_modules(families.__path__, "colintern.families."):
        members = vars(importlib.import_module(module.name)).values()
        found += [each for each in members if isinstance(each, Family)]
        found += [each for known in members if isinstance(known, tuple) for each in known]
    assert {each.name for each in found if isinstance(each, Family)} == {
        family.name for family in FAMILIES
    }
    assert len({family.name for family in FAMILIES}) == len(FAMILIES)
