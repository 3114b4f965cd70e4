import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from support.auditing import audit

pytest.importorskip("peft")
import torch
from safetensors.torch import load_file, save_file
from support.vidore_copies import write_copy

from colintern.artifacts.run.layout import read_run_layout
from colintern.artifacts.tensors.store import read_tensor_store
from colintern.cli import main
from colintern.diagnostics.live_measurements import (
    BatchEffect,
    LoadReport,
    MergeEffect,
    Reproduction,
    Retrieval,
    Spread,
    VectorNorms,
    batch_effect,
    spread_of,
    vector_norms,
)
from colintern.diagnostics.weights.base_identity import layers_sha256
from colintern.engine.catalogue import shipped_rules
from colintern.evaluation.merged_model import write_merged
from colintern.training import manifest

pytestmark = [
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"),
    pytest.mark.filterwarnings("ignore:Could not find a config file in:UserWarning"),
    pytest.mark.filterwarnings("ignore:Found missing adapter keys:UserWarning"),
]
ASSETS = Path(main.callback.__code__.co_filename).parent / "assets"
RULES = [f"LIV{number:03}" for number in range(1, 11)]
PROJECTION = "base_model.model.custom_text_proj"


def write_run(folder):
    shutil.copytree(
        ASSETS / "demo" / "healthy", folder, ignore=shutil.ignore_patterns("checkpoint-*")
    )
    return folder


@pytest.fixture
def run(tmp_path):
    return write_run(tmp_path / "healthy")


def live(pytester, *arguments, rule="LIV"):
    return audit(pytester, "--live", "--select", rule, *arguments)


def change_adapter(run, change):
    path = run / "adapter_model.safetensors"
    tensors = load_file(path)
    save_file(change(tensors) or tensors, path, metadata={"format": "pt"})


def test_a_healthy_model_passes_every_live_rule(pytester, run):
    result = live(pytester, "--checkpoint", run)
    assert {rule: result.outcomes[rule] for rule in RULES} == dict.fromkeys(RULES, "passed"), (
        result.output
    )
    assert "NDCG@5 0.9" in result.check("LIV007")["observed"]


def zero_update(run):
    def change(tensors):
        for name, tensor in tensors.items():
            if "lora_B" in name:
                tensor.zero_()
        base = load_file(ASSETS / "tiny-base" / "model.safetensors")
        for part in ("weight", "bias"):
            tensors[f"{PROJECTION}.{part}"] = base[f"custom_text_proj.{part}"]

    change_adapter(run, change)


def renamed_keys(run):
    change_adapter(
        run,
        lambda tensors: {
            name.replace("language_model.layers", "layers"): t for name, t in tensors.items()
        },
    )


def nan_in_one_tensor(run):
    def change(tensors):
        next(iter(tensors.values())).view(-1)[0] = torch.nan

    change_adapter(run, change)


def copied_base(run):
    base = run.parent / "base"
    shutil.copytree(ASSETS / "tiny-base", base)
    config = json.loads((run / "adapter_config.json").read_text())
    config["base_model_name_or_path"] = str(base)
    (run / "adapter_config.json").write_text(json.dumps(config))
    return base, load_file(base / "model.safetensors")


def one_direction(run):
    def change(tensors):
        tensors[f"{PROJECTION}.weight"].mul_(1e-3)
        tensors[f"{PROJECTION}.bias"].fill_(1.0)

    change_adapter(run, change)


def lost_projection(run):
    base, tensors = copied_base(run)
    kept = {name: t for name, t in tensors.items() if not name.startswith("custom_text_proj")}
    save_file(kept, base / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((run / "adapter_config.json").read_text())
    (run / "adapter_config.json").write_text(json.dumps(config | {"modules_to_save": None}))
    change_adapter(
        run, lambda tensors: {n: t for n, t in tensors.items() if not n.startswith(PROJECTION)}
    )


FAULTS = {
    zero_update: ("ADP011", "LIV004"),
    renamed_keys: ("ADP017", "LIV006"),
    nan_in_one_tensor: ("ADP010", "LIV001"),
    one_direction: ("LIV009", "LIV009"),
    lost_projection: ("ADP002", "LIV005"),
}
"""The root of each fault, and the rule that the model itself fails."""


def test_each_fault_is_named_under_its_root(pytester, tmp_path):
    runs = {fault.__name__: write_run(tmp_path / fault.__name__) for fault in FAULTS}
    for fault in FAULTS:
        fault(runs[fault.__name__])
    named = [word for run in runs.values() for word in ("--checkpoint", run)]
    result = audit(pytester, "--live", "--skip-rules", "RES,LIV007,LIV010", *named)
    found = {}
    for root in result.document["root_causes"]:
        # The first one: files that were changed by hand contradict the run's manifest as well.
        name = root["subject"].partition("/")[0]
        found.setdefault(name, (root["rule"], {root["rule"], *root["explains"]}))
    assert {name: root for name, (root, _) in found.items()} == {
        fault.__name__: root for fault, (root, _) in FAULTS.items()
    }, result.output
    for fault, (_, rule) in FAULTS.items():
        assert rule in found[fault.__name__][1]


def test_dropout_left_on_is_named(pytester, run, monkeypatch):
    monkeypatch.setattr(torch.nn.Module, "eval", lambda self: self)
    result = live(pytester, "--checkpoint", run, rule="LIV002")
    assert result.outcomes["LIV002"] == "failed", result.output


def test_a_merge_at_the_wrong_scale_is_named(pytester, run, tmp_path):
    merged = tmp_path / "merged"
    write_merged(str(run), merged)
    arguments = ("--checkpoint", run, "--merged", merged)
    passed = live(pytester, *arguments, rule="LIV008")
    assert passed.outcomes["LIV008"] == "passed", passed.output
    tensors = load_file(merged / "model.safetensors")
    for name, tensor in tensors.items():
        if name.endswith("_proj.weight") and "language_model" in name:
            tensor.mul_(1.5)
    save_file(tensors, merged / "model.safetensors", metadata={"format": "pt"})
    assert live(pytester, *arguments, rule="LIV008").outcomes["LIV008"] == "warned"


def test_own_pages_are_used(pytester, run, tmp_path):
    write_copy(tmp_path / "own", num_pages=20)
    result = live(pytester, "--checkpoint", run, "--live-pages", tmp_path / "own")
    assert "20 pages" in result.check("LIV007")["observed"]
    empty = tmp_path / "empty"
    empty.mkdir()
    result = live(pytester, "--checkpoint", run, "--live-pages", empty)
    assert set(result.outcomes.values()) == {"no_evidence"}
    assert result.exit_code == 5


def test_without_the_flag_nothing_is_loaded(pytester, run):
    result = audit(pytester, "--checkpoint", run)
    assert not set(RULES) & set(result.outcomes)
    asked = audit(pytester, "--checkpoint", run, "--select", "LIV")
    assert asked.exit_code == 4
    assert "need --live" in asked.output
    pages = audit(pytester, "--checkpoint", run, "--live-pages", run)
    assert pages.exit_code == 4


def test_without_the_extra_there_is_no_evidence(pytester, run, monkeypatch):
    monkeypatch.setattr("colintern.live.evidence.find_spec", lambda _: None)
    result = live(pytester, "--checkpoint", run)
    assert set(result.outcomes.values()) == {"no_evidence"}
    assert "train" in result.check("LIV006")["observed"]


BAD = {
    "LIV001": {"live_norms": VectorNorms(4, 0, 0.02, 0.0)},
    "LIV002": {"live_repeat_difference": 1e-3},
    "LIV003": {"live_batch_effect": BatchEffect(0.99, 0.0)},
    "LIV004": {"live_adapter_effect": 1e-4},
    "LIV005": {"live_load_difference": 1e-3},
    "LIV006": {"live_load": LoadReport(num_tensors=1, absent=("a",))},
    "LIV007": {"live_retrieval": Retrieval(0.023, 300, 300)},
    "LIV008": {"live_merge_effect": MergeEffect(0.03)},
    "LIV009": {"live_spread": Spread(0.5, 1e-4)},
    "LIV010": {"live_reproduction": Reproduction(0.3, 0.97)},
}
GOOD = {
    "LIV001": {"live_norms": VectorNorms(4, 0, 0.003, 0.0)},
    "LIV002": {"live_repeat_difference": 0.0},
    "LIV003": {"live_batch_effect": BatchEffect(0.999, 0.002)},
    "LIV004": {"live_adapter_effect": 0.02},
    "LIV005": {"live_load_difference": 0.0},
    "LIV006": {"live_load": LoadReport(num_tensors=1)},
    "LIV007": {"live_retrieval": Retrieval(0.025, 300, 300)},
    "LIV008": {"live_merge_effect": MergeEffect(0.003)},
    "LIV009": {"live_spread": Spread(0.5, 0.05)},
    "LIV010": {"live_reproduction": Reproduction(0.968, 0.9705)},
}


@pytest.mark.parametrize("rule_id", RULES)
def test_each_rule_tells_bad_from_good(rule_id, tmp_path):
    check = shipped_rules()[rule_id].check
    layout = read_run_layout(tmp_path)
    assert not check(**BAD[rule_id], layout=layout).ok
    assert check(**GOOD[rule_id], layout=layout).ok


def test_norms_tell_padding_from_tokens():
    vectors = np.array([[1, 0], [0.5, 0], [np.nan, 0], [0, 0.25]], np.float32)
    found = vector_norms(vectors, np.array([True, True, True, False]))
    assert (found.num_not_finite, found.largest_deviation, found.largest_padding) == (1, 0.5, 0.25)


def test_padding_that_is_no_number_is_nobodys_vector():
    vectors = np.array([[1, 0], [np.nan, np.nan]], np.float32)
    found = vector_norms(vectors, np.array([True, False]))
    assert (found.num_vectors, found.num_not_finite, found.largest_padding) == (1, 0, 0)


@pytest.mark.parametrize(("pages", "tells"), [(5, False), (8, False), (30, True), (300, True)])
def test_few_pages_tell_nothing(pages, tells):
    assert Retrieval(0.0, pages, pages).tells is tells


def test_batches_that_differ_are_measured():
    alone = [np.array([[1.0, 0.0]], np.float32)]
    turned = [np.array([[0.0, 1.0]], np.float32)]
    scores = (np.array([[2.0]], np.float32), np.array([[1.0]], np.float32))
    assert batch_effect(alone, alone, (scores[0], scores[0])).largest_score_change == 0
    found = batch_effect(alone, turned, scores)
    assert (found.smallest_cosine, found.largest_score_change) == (0, 0.5)


def test_equal_pages_have_no_spread():
    page = np.array([[1.0, 0.0], [1.0, 0.0]], np.float32)
    other = np.array([[0.0, 1.0]], np.float32)
    assert spread_of([page, page], np.ones((2, 2), np.float32)).mean_cosine == 1
    assert spread_of([page, page], np.ones((2, 2), np.float32)).score_variation == 0
    assert spread_of([page, other], np.array([[1, 0]], np.float32)).mean_cosine == 0


def test_a_model_without_room_is_no_evidence(pytester, run, monkeypatch):
    memory = SimpleNamespace(available=1_000_000)
    monkeypatch.setattr("colintern.live.bounds.psutil.virtual_memory", lambda: memory)
    result = live(pytester, "--checkpoint", run, rule="LIV006")
    assert result.outcomes["LIV006"] == "no_evidence"
    assert "0.0 are free" in result.check("LIV006")["observed"]


def test_progress_is_told_while_it_runs(pytester, run):
    result = live(pytester, "--checkpoint", run, rule="LIV006")
    assert "live: healthy: loading" in result.output


def test_training_records_the_layers_that_the_audit_compares():
    base = read_tensor_store(ASSETS / "tiny-base" / "model.safetensors", None)
    assert manifest._layers_sha256("colintern/tiny-base") == layers_sha256(base)
    assert manifest._layers_sha256("nobody/nothing") is None
