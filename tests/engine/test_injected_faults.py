"""Faults put into the bundled healthy run, one each: which rule is the root that names it."""

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from builders.results import task_result, whole
from safetensors.numpy import load_file, save_file
from support.auditing import CHECKS, audit

from colintern.artifacts.files import Enclosure
from colintern.artifacts.results.task_result import written_result
from colintern.artifacts.run.layout import Folder
from colintern.artifacts.tensors.store import read_tensor_store
from colintern.artifacts.tensors.weights_hash import weights_sha256
from colintern.diagnostics.results.benchmarks import VIDORE_V2
from colintern.diagnostics.weights.base_identity import layers_sha256

ASSETS = CHECKS.parent / "colintern" / "assets"
PROJECTION = "base_model.model.custom_text_proj"
PAGES = "ColInternPagesRetrieval.json"
RECORD = "results/colintern_eval.json"
ADAPTER = "adapter_model.safetensors"
LAYERS = "base_model.model.language_model.layers"


def write_run(folder):
    """Copy the healthy run, its base beside it, with every hash that a new run records."""
    run, base = folder / "run", folder / "base"
    shutil.copytree(ASSETS / "demo" / "healthy", run, ignore=shutil.ignore_patterns("checkpoint-*"))
    shutil.copytree(ASSETS / "tiny-base", base)
    edit_json(run / "adapter_config.json", base_model_name_or_path=str(base))
    recorded = json.loads((run / "colintern_run.json").read_text())["base"]
    hashed = layers_sha256(read_tensor_store(base / "model.safetensors", None))
    edit_json(run / "colintern_run.json", base=recorded | {"layers_sha256": hashed})
    evaluated(run)
    return run


def edit_json(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def edit_tensors(path, edit):
    tensors = dict(load_file(path))
    save_file(edit(tensors) or tensors, path, metadata={"format": "pt"})


def evaluated(run):
    """Record the weights and results that are there now, as an evaluation of them would."""
    digest = weights_sha256(Folder.read(run), Enclosure.around(run))
    edit_json(run / RECORD, weights_sha256=digest, results=written_result(run / "results" / PAGES))


def redrawn(values, seed=7):
    random = np.random.default_rng(seed)
    return (random.standard_normal(values.shape) * values.std()).astype(values.dtype)


def keys_of_no_layout(run):
    edit_tensors(
        run / ADAPTER, lambda all_: {n.replace(LAYERS, f"x.{LAYERS}"): t for n, t in all_.items()}
    )
    evaluated(run)


def never_trained(run):
    def edit(tensors):
        for name in tensors:
            if "lora_B" in name:
                tensors[name] = np.zeros_like(tensors[name])

    edit_tensors(run / ADAPTER, edit)
    evaluated(run)


def another_base(run):
    edit_tensors(
        run.parent / "base" / "model.safetensors",
        lambda all_: {n: redrawn(t) if t.ndim == 2 else t for n, t in all_.items()},
    )


def base_of_other_layers(run):
    edit_tensors(
        run.parent / "base" / "model.safetensors",
        lambda all_: {n: redrawn(t) if ".layers." in n else t for n, t in all_.items()},
    )


def projection_drawn_again(run):
    def edit(tensors):
        tensors[f"{PROJECTION}.weight"] = redrawn(tensors[f"{PROJECTION}.weight"])

    edit_tensors(run / ADAPTER, edit)
    evaluated(run)


def base_projection_drawn_again(run):
    def edit(tensors):
        tensors["custom_text_proj.weight"] = redrawn(tensors["custom_text_proj.weight"])

    edit_tensors(run.parent / "base" / "model.safetensors", edit)


def nan_in_one_tensor(run):
    def edit(tensors):
        name = min(tensors)
        tensors[name] = tensors[name].copy()
        tensors[name].flat[0] = np.nan

    edit_tensors(run / ADAPTER, edit)
    evaluated(run)


def prefix_in_evaluation(run):
    edit_json(run / RECORD, query_prefix="Query: ")


def prefix_in_the_processor(run):
    edit_json(run / "processor_config.json", query_prefix="Query: ")


def padding_in_evaluation(run):
    edit_json(run / RECORD, padding_side="right")


def half_the_resolution(run):
    recorded = json.loads((run / RECORD).read_text())["max_num_visual_tokens"]
    edit_json(run / RECORD, max_num_visual_tokens=recorded // 2)


def results_of_yesterday(run):
    edit_json(run / RECORD, weights_sha256=hashlib.sha256(b"yesterday").hexdigest())


def task_of_another_model(run):
    other = ASSETS / "demo" / "poor-settings" / "results" / PAGES
    shutil.copy(other, run / "results" / PAGES)


def french_only(run):
    for task in VIDORE_V2.task_names:
        document = task_result(task, whole(task, 0.6))
        entries = document["scores"]["test"]
        document["scores"]["test"] = [one for one in entries if one["hf_subset"] == "french"]
        (run / "results" / f"{task}.json").write_text(json.dumps(document))


def edited_scores(run, *, record=True):
    path = run / "results" / PAGES
    document = json.loads(path.read_text())
    document["scores"]["test"][0] |= {"ndcg_at_5": 0.995, "main_score": 0.995}
    path.write_text(json.dumps(document))
    if not record:
        edit_json(run / RECORD, results=None)


def scores_edited_without_a_record(run):
    edited_scores(run, record=False)


def nothing(run):
    """Leave the run healthy."""


FAULTS = {
    keys_of_no_layout: "ADP017",
    never_trained: "ADP011",
    another_base: "ADP022",
    base_of_other_layers: "ADP022",
    projection_drawn_again: "PRJ002",
    base_projection_drawn_again: "ADP022",
    nan_in_one_tensor: "ADP010",
    prefix_in_evaluation: "PRC003",
    prefix_in_the_processor: "PRC003",
    padding_in_evaluation: "PRC002",
    half_the_resolution: "PRC004",
    results_of_yesterday: "RES007",
    task_of_another_model: "RES007",
    french_only: "RES003",
    edited_scores: "RES004",
    scores_edited_without_a_record: "RES004",
    nothing: None,
}


@pytest.fixture(scope="module")
def static_roots(tmp_path_factory):
    """The roots of each fault, every one in a copy of its own, audited together."""
    folder = tmp_path_factory.mktemp("faults")
    runs = {fault.__name__: write_run(folder / fault.__name__) for fault in FAULTS}
    for fault in FAULTS:
        fault(runs[fault.__name__])
    report = folder / "audit.json"
    named = [f"--checkpoint={run}" for run in runs.values()]
    command = [sys.executable, "-m", "pytest", str(CHECKS), "-q", "-p", "no:cacheprovider"]
    command += [*named, f"--audit-json={report}"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 1, done.stdout + done.stderr
    document = json.loads(report.read_text())
    found = {name: [] for name in runs}
    for root in document["root_causes"]:
        found[Path(root["subject"]).parts[0]].append(root["rule"])
    return found


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_each_fault_has_its_root(static_roots, fault):
    expected = FAULTS[fault]
    assert static_roots[fault.__name__] == ([expected] if expected else [])


def merged(run, *, times=1.0, base=None):
    """Merge the adapter by hand: base + `times` s·B·A, s being 1, and its own projection."""
    tensors = dict(load_file(base or run.parent / "base" / "model.safetensors"))
    adapter = load_file(run / ADAPTER)
    for name in (name for name in adapter if name.endswith("lora_A.weight")):
        module = name.removeprefix("base_model.model.").removesuffix(".lora_A.weight")
        b = adapter[name.replace("lora_A", "lora_B")]
        tensors[f"{module}.weight"] = tensors[f"{module}.weight"] + times * (b @ adapter[name])
    for part in ("weight", "bias"):
        tensors[f"custom_text_proj.{part}"] = adapter[f"{PROJECTION}.{part}"]
    return tensors


def merged_elsewhere(run):
    base = run.parent / "base" / "model.safetensors"
    aside = run.parent / "aside.safetensors"
    shutil.copy(base, aside)
    edit_tensors(
        aside, lambda all_: {n: redrawn(t) if ".layers." in n else t for n, t in all_.items()}
    )
    return merged(run, base=aside)


def merged_with_another_projection(run):
    tensors = merged(run)
    tensors["custom_text_proj.weight"] = redrawn(tensors["custom_text_proj.weight"])
    return tensors


MERGES = {
    "right": (merged, None),
    "not applied": (lambda run: merged(run, times=0.0), "not applied"),
    "twice": (lambda run: merged(run, times=2.0), "applied twice"),
    "wrong scale": (lambda run: merged(run, times=1.5), "wrong scale"),
    "another base": (merged_elsewhere, "other base"),
    "projection drawn again": (merged_with_another_projection, "custom_text_proj"),
}


@pytest.fixture(scope="module")
def merge_run(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("merges"))


@pytest.mark.parametrize("merge", MERGES)
def test_each_wrong_merge_is_named(pytester, merge_run, tmp_path, merge):
    make, words = MERGES[merge]
    shutil.copy(ASSETS / "tiny-base" / "config.json", tmp_path)
    save_file(make(merge_run), tmp_path / "model.safetensors", metadata={"format": "pt"})
    result = audit(pytester, "--checkpoint", merge_run, "--merged", tmp_path, "--select", "ADP020")
    assert result.outcomes["ADP020"] == ("failed" if words else "passed"), result.output
    assert words is None or words in result.check("ADP020")["observed"]


def another_base_unrecorded(run):
    another_base(run)
    edit_json(run / "colintern_run.json", base=None)


def projection_drawn_again_unrecorded(run):
    projection_drawn_again(run)
    edit_json(run / "colintern_run.json", base=None, weights_sha256=None)


LIVE = {
    nothing: None,
    another_base_unrecorded: "LIV007",
    projection_drawn_again_unrecorded: "LIV010",
}
"""Faults that no file tells of: only the model itself."""


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
def test_the_model_itself_tells(pytester, tmp_path):
    pytest.importorskip("peft")
    runs = {fault: write_run(tmp_path / fault.__name__) for fault in LIVE}
    for fault, run in runs.items():
        fault(run)
    named = [word for run in runs.values() for word in ("--checkpoint", run)]
    result = audit(pytester, "--live", *named)
    found = {fault.__name__: None for fault in LIVE}
    for root in result.document["root_causes"]:
        found[Path(root["subject"]).parts[0]] = root["rule"]
    assert found == {fault.__name__: rule for fault, rule in LIVE.items()}, result.output
    assert len(result.document["root_causes"]) == len(LIVE) - 1
