"""Texts and turns of the adapter's rules that no case shows."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from builders.adapter import PREFIX, base_config, write_adapter, write_base
from support.adapter_judging import judge_adapter

from colintern.artifacts.errors import ArtifactError
from colintern.artifacts.hub_cache import find_snapshot
from colintern.artifacts.model.adapter_config import AdapterConfig
from colintern.diagnostics.adapter.close_targets import close_targets
from colintern.diagnostics.adapter.coverage import AdapterCoverage
from colintern.diagnostics.adapter.faults import lost_biases
from colintern.diagnostics.adapter.tensors import sort_adapter_tensors
from colintern.engine.catalogue import shipped_rules
from colintern.engine.evidence.safety import Integrity
from colintern.engine.providers import shipped_providers
from colintern.engine.resolver import Resolver
from colintern.engine.subjects import AuditOptions, Subject
from colintern.families.catalogue import FAMILIES

LAYER = f"{PREFIX}language_model.layers.1"


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    write_adapter(folder)
    return folder


def evidence(run, name, **options):
    given = {"subject": Subject(run, run.name), "options": AuditOptions(**options)}
    return Resolver(shipped_providers(), given).get(name)


@pytest.mark.parametrize(
    ("names", "outcome"),
    [
        (["adapter_model.safetensors"], "error"),
        (["pytorch_model-00001-of-00002.bin"], "no evidence"),
        (["training_args.bin"], "no evidence"),
        ([], "no evidence"),
        (["README.md"], "no evidence"),
    ],
)
def test_adapter_is_missed_beside_weights_only(tmp_path, names, outcome):
    for name in ["trainer_state.json", *names]:
        (tmp_path / name).write_bytes(b"")
    judged = judge_adapter(tmp_path, family="ColIntern3.5")["ADP001"]
    assert judged[0] == outcome
    if outcome == "error":
        assert judged[1] == f"only {names[0]}"


def test_adapter_in_a_folder_below_is_pointed_at(run):
    folder = run.parent / "runs"
    folder.mkdir()
    (folder / "notes.txt").touch()
    assert judge_adapter(folder)["ADP007"][1].startswith("needs adapter_config.json for")
    shutil.copytree(run, folder / "inner\x1b[31m")
    assert judge_adapter(folder)["ADP016"][1].endswith("(found one in inner\\x1b[31m)")


def test_lost_configuration_is_mended_not_trained_again(run):
    (run / "adapter_config.json").unlink()
    given = {"layout": evidence(run, "layout"), "family": FAMILIES[0]}
    lost = shipped_rules()["ADP001"].check(**given)
    assert lost.fix is not None
    assert lost.fix.startswith("The adapter's weights are here: copy adapter_config.json")


@pytest.mark.parametrize(
    ("names", "text"),
    [
        (["a.json"], "a.json: empty"),
        (["a.json", "b.json"], "a.json: empty; also in b.json"),
        (["a.json", "d.json", "c.json", "b.json"], "a.json: empty; also in b.json, c.json and 1"),
    ],
)
@pytest.mark.parametrize("rule", ["SEC003", "SEC004"])
def test_several_broken_files_are_named(tmp_path, names, text, rule):
    faults = tuple(
        ArtifactError(tmp_path / name, expected="JSON", found="empty", remedy="Fetch it.")
        for name in names
    )
    given = {"malformed": faults, "escaping": faults, "num_files": 9, "is_complete": True}
    verdict = shipped_rules()[rule].check(Integrity(**given))
    assert verdict.observed.startswith(text)
    assert (verdict.ok, verdict.where) == (False, tmp_path / "a.json")


def test_every_contradiction_is_told(run):
    def contradict(tensors):
        del tensors[f"{LAYER}.mlp.up_proj.lora_B.weight"]
        for part, axis in (("A", 0), ("B", 1)):
            name = f"{LAYER}.mlp.gate_proj.lora_{part}.weight"
            tensors[name] = tensors[name].take(range(8), axis=axis)

    write_adapter(run, edit=contradict, config={"modules_to_save": ["custom_text_proj", "other"]})
    outcome, observed = judge_adapter(run)["ADP009"]
    assert outcome == "error"
    assert observed.split("; ") == [
        "1 without their A or B: language_model.layers.1.mlp.up_proj",
        "1 of another rank than 16: language_model.layers.1.mlp.gate_proj",
        "1 of modules_to_save without a tensor: other",
    ]


def test_own_configuration_comes_before_the_base(run):
    assert evidence(run, "model_config").text.num_hidden_layers == 2
    (run / "config.json").write_text(json.dumps(base_config(layers=3)))
    assert evidence(run, "model_config").text.num_hidden_layers == 3
    (run / "config.json").unlink()
    write_base(run.parent / "other", layers=4)
    config = evidence(run, "model_config", base=run.parent / "other")
    assert config.text.num_hidden_layers == 4


@pytest.mark.parametrize(("family", "severity"), [("ColIntern3.5", "warning"), ("ColPali", "info")])
def test_scale_is_a_warning_by_the_guide_alone(run, family, severity):
    write_adapter(run, config={"lora_alpha": 32})
    assert judge_adapter(run, family=family)["ADP007"][0] == severity


def test_unnamed_base_is_called_that(run):
    write_adapter(run, config={"base_model_name_or_path": None})
    assert judge_adapter(run)["ADP015"] == ("warning", "the base is not named")


ONE, TWO = "1" * 40, "2" * 40


@pytest.fixture
def cached(tmp_path, monkeypatch):
    def write(*commits, main=None):
        model = tmp_path / "hub" / "models--org--tiny"
        for commit in commits:
            write_base(model / "snapshots" / commit)
        (model / "refs").mkdir()
        if main is not None:
            (model / "refs" / "main").write_text(main)
        monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
        return model / "snapshots"

    return write


@pytest.mark.parametrize(
    ("revision", "main", "found"),
    [
        (None, TWO, TWO),
        (None, None, None),
        ("main", TWO, TWO),
        (ONE, TWO, ONE),
        ("3" * 40, TWO, None),
        ("v1", TWO, None),
        ("../..", TWO, None),
    ],
)
def test_snapshot_is_of_the_revision(cached, revision, main, found):
    snapshots = cached(ONE, TWO, main=main)
    expected = snapshots / found if found else None
    assert find_snapshot("org/tiny", revision) == expected


@pytest.mark.parametrize(
    ("revision", "found"), [(ONE, ONE), (TWO, None), ("2" * 8, None), ("unsloth", ONE), (None, ONE)]
)
def test_pinned_base_is_no_other_revision(run, cached, revision, found):
    snapshots = cached(ONE)
    write_adapter(run, config={"base_model_name_or_path": "org/tiny", "revision": revision})
    reference = evidence(run, "base_reference")
    assert reference.folder == (snapshots / found if found else None)
    assert judge_adapter(run)["ADP015"][0] == ("ok" if found else "no evidence")


@pytest.mark.parametrize(
    ("config", "outcome"),
    [
        ({"lora_alpha": 0}, "error"),
        ({"lora_alpha": -16}, "error"),
        ({"lora_alpha": 0, "alpha_pattern": {"q_proj": 16}}, "warning"),
        ({"lora_alpha": 32}, "warning"),
        ({"lora_alpha": 16}, "ok"),
    ],
)
def test_scale_of_zero_is_error(run, config, outcome):
    write_adapter(run, config=config)
    assert judge_adapter(run)["ADP007"][0] == outcome


@pytest.mark.parametrize(("factor", "outcome"), [(0, "error"), (1, "ok")])
@pytest.mark.parametrize("base_is_here", [True, False])
def test_projection_of_zeros_is_named(run, factor, outcome, base_is_here):
    def scaled(tensors):
        tensors[f"{PREFIX}custom_text_proj.weight"] *= factor

    write_adapter(run, edit=scaled)
    if not base_is_here:
        shutil.rmtree(run.parent / "base")
    found, text = judge_adapter(run, family="ColIntern3.5")["PRJ002"]
    assert found == (outcome if base_is_here or not factor else "no evidence")
    assert ("saved as zeros" in text) is (factor == 0)


@pytest.mark.parametrize(
    ("config", "outcome"),
    [
        ({"target_modules": "([unclosed"}, "error"),
        ({"exclude_modules": "*vision"}, "error"),
        ({"target_modules": "(a+)+x"}, "no evidence"),
        ({}, "ok"),
    ],
)
def test_invalid_pattern_is_error(run, config, outcome):
    write_adapter(run, config=config)
    assert judge_adapter(run)["ADP003"][0] == outcome


@pytest.mark.parametrize("lost", [(), (0,), (0, 1)])
def test_lost_dora_magnitudes_are_named(run, lost):
    def with_magnitudes(tensors):
        ends = [name for name in tensors if name.endswith(".lora_B.weight")]
        for number, name in enumerate(ends):
            if number not in lost:
                magnitude = np.ones(len(tensors[name]), np.float32)
                tensors[name.replace("lora_B.weight", "lora_magnitude_vector")] = magnitude

    write_adapter(run, edit=with_magnitudes, config={"use_dora": True})
    found, text = judge_adapter(run)["ADP009"]
    assert found == ("error" if lost else "ok")
    assert (f"{len(lost)} without DoRA's magnitude" in text) is bool(lost)


def test_saved_module_is_found_by_whole_name(run):
    write_adapter(run, config={"modules_to_save": ["custom_text_proj", "text_proj"]})
    found, text = judge_adapter(run)["ADP009"]
    assert found == "error"
    assert "1 of modules_to_save without a tensor: text_proj" in text


def sorted_tensors(names):
    return sort_adapter_tensors(
        {name: SimpleNamespace(name=name, shape=(8, 8), num_values=64) for name in names}
    )


@pytest.mark.parametrize(
    ("bias", "biased", "lost"),
    [
        ("lora_only", (0, 1), [0, 1]),
        ("all", (1,), [1]),
        ("lora_only", (), []),
        ("none", (0, 1), []),
    ],
)
def test_trained_biases_that_nobody_saved(bias, biased, lost):
    layers = "language_model.layers"
    pairs = {f"{layers}.{number}.self_attn.q_proj": number for number in (0, 1)}
    names = [f"base_model.model.{name}.lora_{part}.weight" for name in pairs for part in "AB"]
    config = AdapterConfig(peft_type="LORA", bias=bias, target_modules=["q_proj"])
    coverage = AdapterCoverage(Path(), config, sorted_tensors(names), None, None)
    base = {f"model.{layers}.{number}.self_attn.q_proj.bias" for number in biased}
    found = lost_biases(coverage, {*base, "model.norm.bias"})
    assert [pairs[name] for name in found] == lost
    names += [f"base_model.model.{name}.base_layer.bias" for name in pairs]
    saved = AdapterCoverage(Path(), config, sorted_tensors(names), None, None)
    assert lost_biases(saved, base) == ()


@pytest.mark.parametrize(
    ("written", "meant", "has_tensors"),
    [
        (["v_prj", "q_proj"], "v_proj", True),
        (["self_attn.v_porj", "q_proj"], "self_attn.v_proj", True),
        (["fc1", "q_proj"], None, None),
        (["*.v_proj", "q_proj"], None, None),
        ([r"v_proj|o_proj"], None, None),
        (["x" * 200, "q_proj"], None, None),
    ],
)
def test_slip_in_a_target_offers_what_was_meant(run, written, meant, has_tensors):
    write_adapter(run, config={"target_modules": written})
    found = close_targets(evidence(run, "coverage"))
    assert [(one.meant, one.has_tensors) for one in found] == (
        [(meant, has_tensors)] if meant else []
    )


def test_slip_before_training_is_trained_again(run):
    def without(tensors):
        for name in [name for name in tensors if "v_proj" in name]:
            del tensors[name]

    write_adapter(run, config={"target_modules": ["v_prj", "q_proj"]}, edit=without)
    (found,) = close_targets(evidence(run, "coverage"))
    assert found.fix.startswith("write `v_proj` for `v_prj`, and train again")
