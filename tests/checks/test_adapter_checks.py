import json
import time

import numpy as np
import pytest
from builders.adapter import PREFIX, PROJECTION, TARGETS, write_adapter, write_base
from builders.full_size_lora import GLOBS, write_full_size_lora
from builders.hostile import entry, safetensors
from support.adapter_judging import judge_adapter

from colintern.artifacts import limits

HUB = "OpenGVLab/InternVL3_5-1B-HF"
ON_PROJECTION = {"target_modules": f"{TARGETS}|{PROJECTION}", "modules_to_save": None}
CONSEQUENCES = {"ADP004", "ADP009", "ADP012", "PRJ002"}


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    write_adapter(folder)
    return folder


def named(outcomes, *severities):
    return {rule for rule, (outcome, _) in outcomes.items() if outcome in severities}


def only_projection(tensors):
    for name in [name for name in tensors if "language_model" in name]:
        del tensors[name]


def zero_b(tensors):
    for name in [name for name in tensors if "lora_B" in name]:
        tensors[name] = tensors[name] * 0


def one_nan(tensors):
    values = tensors[f"{PREFIX}language_model.layers.9.mlp.up_proj.lora_A.weight"]
    values[0, 0] = np.nan


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_full_size_adapter_is_healthy(tmp_path, dtype):
    outcomes = judge_adapter(write_full_size_lora(tmp_path / "run", dtype=dtype))
    assert named(outcomes, "error", "warning", "info", "malformed") == set()
    assert "197 modules" in outcomes["ADP003"][1]
    assert "905,315,328" in outcomes["ADP006"][1]


@pytest.mark.parametrize(
    ("edit", "config", "first"),
    [
        (zero_b, {}, "ADP011"),
        (one_nan, {}, "ADP010"),
        (only_projection, {"target_modules": GLOBS}, "ADP003"),
        (only_projection, {"target_modules": [PROJECTION]}, "ADP004"),
        (only_projection, {}, "ADP004"),
    ],
)
def test_fault_of_a_full_size_adapter(tmp_path, edit, config, first):
    outcomes = judge_adapter(write_full_size_lora(tmp_path / "run", edit=edit, config=config))
    failed = named(outcomes, "error", "warning")
    assert first in failed
    assert failed <= {first} | CONSEQUENCES


def test_glob_list_counts_what_it_reached(tmp_path):
    run = write_full_size_lora(
        tmp_path / "run", edit=only_projection, config={"target_modules": GLOBS}
    )
    observed = judge_adapter(run)["ADP003"][1]
    assert "7 of 8 entries" in observed
    assert "LoRA reached 1 module" in observed


@pytest.mark.parametrize(
    ("base", "outcome"),
    [
        (HUB, "error"),
        ("Somebody/InternVL3_5-1B-HF", "no evidence"),
        ("somebody/colintern3_5-base", "ok"),
        ("/home/somebody/base", "no evidence"),
        (None, "no evidence"),
    ],
)
def test_projection_when_the_base_is_not_here(run, base, outcome):
    write_adapter(run, config={**ON_PROJECTION, "base_model_name_or_path": base}, projection="lora")
    assert judge_adapter(run, family="ColIntern3.5")["PRJ001"][0] == outcome


def test_manifest_hash_keeps_the_projection(run):
    write_adapter(run, config={**ON_PROJECTION, "base_model_name_or_path": HUB}, projection="lora")
    base = {"id": HUB, "projection_sha256": "0" * 64}
    manifest = {"schema": "colintern.run/1", "base": base}
    (run / "colintern_run.json").write_text(json.dumps(manifest))
    assert judge_adapter(run)["PRJ001"][0] == "ok"


@pytest.mark.parametrize(
    ("recorded", "outcome"),
    [
        ("../base", "ok"),
        ("/nowhere/base", "warning"),
        ("../../..", "warning"),
        (None, "warning"),
        ("a\x00b/c", "warning"),
        ("x" * 5_000, "warning"),
        (HUB, "no evidence"),
        ("gpt2", "no evidence"),
    ],
)
def test_base_is_resolvable(run, recorded, outcome):
    write_adapter(run, config={"base_model_name_or_path": recorded})
    assert judge_adapter(run)["ADP015"][0] == outcome


def test_named_base_resolves(run):
    write_adapter(run, config={"base_model_name_or_path": "/nowhere/base"})
    assert judge_adapter(run, base=run.parent / "base")["ADP015"][0] == "ok"


def test_adapter_on_an_adapter(run):
    (run.parent / "base" / "adapter_config.json").write_text("{}")
    assert judge_adapter(run)["ADP015"][0] == "error"


def test_base_in_the_hub_cache(run, tmp_path, monkeypatch):
    model = tmp_path / "hub" / "models--org--tiny"
    write_base(model / "snapshots" / ("c" * 40))
    (model / "refs").mkdir()
    (model / "refs" / "main").write_text("c" * 40)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    write_adapter(run, config={"base_model_name_or_path": "org/tiny"})
    outcomes = judge_adapter(run)
    assert outcomes["ADP015"][0] == outcomes["ADP004"][0] == "ok"


@pytest.mark.parametrize(
    ("document", "outcome"),
    [
        ({"peft_type": "IA3", "target_modules": ["q_proj"]}, "no evidence"),
        ({"base_model": "lerobot/smolvla_base"}, "malformed"),
    ],
)
def test_file_that_is_no_lora(run, document, outcome):
    (run / "adapter_config.json").write_text(json.dumps(document))
    outcomes = judge_adapter(run)
    assert outcomes["ADP003"][0] == outcomes["ADP007"][0] == outcome
    assert "crash" not in named(outcomes, "error")


@pytest.mark.parametrize(
    ("config", "rule", "outcome"),
    [
        ({"init_lora_weights": "pissa"}, "ADP011", "no evidence"),
        ({"init_lora_weights": False}, "ADP011", "no evidence"),
        ({"target_modules": "(a*)*b"}, "ADP003", "no evidence"),
        ({"target_modules": "(a*)*b", "modules_to_save": None}, "ADP002", "no evidence"),
        ({"target_modules": "all-linear"}, "ADP002", "ok"),
        ({"alpha_pattern": {"(a*)*b": 2}}, "ADP007", "no evidence"),
        ({"lora_alpha": 32}, "ADP007", "warning"),
    ],
)
def test_what_cannot_be_told(run, config, rule, outcome):
    write_adapter(run, config=config)
    assert judge_adapter(run)[rule][0] == outcome


def test_narrow_recipe_of_another_family(run):
    def queries_only(tensors):
        for name in [name for name in tensors if "lora" in name and "q_proj" not in name]:
            del tensors[name]

    write_adapter(run, edit=queries_only, config={"target_modules": ["q_proj"]})
    assert judge_adapter(run)["ADP004"][0] == "error"
    assert judge_adapter(run, family="ColQwen2")["ADP004"][0] == "warning"


def test_unknown_family_is_no_evidence(run):
    write_adapter(run, config={"task_type": "CAUSAL_LM", "modules_to_save": None}, projection=None)
    outcomes = judge_adapter(run)
    told = {"ADP002", "ADP004", "PRJ001", "PRJ002", "PRJ003"}
    assert {outcomes[rule][0] for rule in told} == {"no evidence"}


def test_run_without_peft(run):
    (run / "adapter_config.json").unlink()
    assert judge_adapter(run)["ADP001"][0] == "no evidence"
    assert judge_adapter(run, family="ColIntern3.5")["ADP001"][0] == "error"


def test_weights_of_packed_types_are_not_judged(run):
    name = f"{PREFIX}language_model.layers.0.mlp.up_proj"
    a, b = f"{name}.lora_A.weight", f"{name}.lora_B.weight"
    header = {a: entry("F4", (16, 64), (0, 512)), b: entry("F4", (128, 16), (512, 1536))}
    (run / "adapter_model.safetensors").write_bytes(safetensors(header, bytes(1536)))
    outcomes = judge_adapter(run)
    assert outcomes["ADP010"] == ("ok", "0 tensors are finite; 2 are of a type without NaN")
    assert outcomes["ADP011"][0] == outcomes["ADP012"][0] == "no evidence"


@pytest.mark.parametrize(("rank", "outcome"), [(20, "no evidence"), (21, "warning")])
def test_small_rank_cannot_collapse(run, rank, outcome):
    def one_direction(tensors):
        for name in [name for name in tensors if "lora_B" in name]:
            tensors[name][:, 1:] = 0

    write_adapter(run, rank=rank, config={"r": rank, "lora_alpha": rank}, edit=one_direction)
    assert judge_adapter(run)["ADP014"][0] == outcome


def test_weights_above_the_limit_are_not_judged(run, monkeypatch):
    assert judge_adapter(run)["ADP010"][0] == "ok"
    monkeypatch.setattr(limits, "WEIGHT_SCAN_BYTES", 1_000)
    outcomes = judge_adapter(run)
    on_values = ("ADP010", "ADP011", "ADP012", "ADP013", "ADP014", "PRJ002")
    assert {outcomes[rule][0] for rule in on_values} == {"no evidence"}


def test_replicated_layers_are_not_compared(run):
    write_adapter(run, layers=3, config={"layer_replication": [[0, 2], [1, 2]]})
    write_base(run.parent / "base", layers=2)
    outcomes = judge_adapter(run, merged=run.parent / "base")
    assert {outcomes[rule][0] for rule in ("ADP004", "ADP006", "ADP020")} == {"no evidence"}
    assert named(outcomes, "error", "warning", "malformed") == set()
    write_adapter(run, layers=1, config={"layer_replication": [[0, 1]]})
    write_base(run.parent / "base", layers=2)
    assert named(judge_adapter(run), "error", "warning", "malformed") == set()


@pytest.mark.parametrize(
    ("projection", "text"), [("lora", "has only its change"), (None, "neither has the adapter")]
)
def test_lost_projection_says_what_is_there(run, projection, text):
    write_adapter(run, config=ON_PROJECTION, projection=projection, base={"projection": False})
    outcome, observed = judge_adapter(run)["PRJ001"]
    assert outcome == "error"
    assert text in observed


HOSTILE = {
    "many entries": {"target_modules": [f"layers.{index}.up" for index in range(50_000)]},
    "slow expression": {"target_modules": ".*.*.*.*.*x"},
    "many ranks": {"rank_pattern": {f"a{index}.b": 4 for index in range(50_000)}},
    "slow ranks": {"rank_pattern": {f".*.*.*{index}x": 4 for index in range(200)}},
    "slow saves": {"modules_to_save": [f".*.*{index}x" for index in range(100)]},
    "many layers": {"layers_to_transform": list(range(50_000)), "target_modules": ["up_proj"]},
    "strange layers": {"layers_to_transform": [0], "layers_pattern": ["(a*)*b", "la.ers"]},
}


@pytest.mark.parametrize("config", HOSTILE.values(), ids=HOSTILE)
def test_hostile_configuration_ends_soon(run, config):
    def names(tensors):
        values = tensors[f"{PREFIX}language_model.layers.0.mlp.up_proj.lora_A.weight"]
        for index in range(1_000):
            tensors[f"{PREFIX}{'a.' * 40}{index}\n.lora_A.weight"] = values
        tensors[f"{PREFIX}{'.layers.1.' * 20_000}\n.lora_A.weight"] = values

    write_adapter(run, config=config, edit=names)
    start = time.process_time()
    judge_adapter(run)
    assert time.process_time() - start < 5
