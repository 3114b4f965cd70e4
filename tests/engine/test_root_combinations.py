"""One fault as it really leaves its traces everywhere: settings, log, weights, scores. One root."""

import math
import shutil

import numpy as np
from builders.adapter import PROJECTION, base_tensors, outline, write_adapter, write_tensors
from builders.manifest import write_manifest
from builders.model_card import write_model_card
from builders.results import write_record, write_results
from builders.training_args import write_training_args
from builders.training_log import write_training_log
from cases import all_cases
from support.auditing import audit

from colintern.artifacts.files import Enclosure
from colintern.artifacts.run.layout import Folder
from colintern.artifacts.running.record import LiveRecord, write_live_record
from colintern.artifacts.tensors.weights_hash import weights_sha256
from colintern.diagnostics.results.benchmarks import VIDORE_V1

CHANCE = math.log(16)
SUFFIXES = "q_proj k_proj v_proj o_proj gate_proj up_proj down_proj"
WEIGHTS = "adapter_model.safetensors"


def scored(run, score):
    """Results of the weights as they are now; a score on every task of ViDoRe v1."""
    write_results(run, scores=dict.fromkeys(VIDORE_V1.task_names, score))


def at_chance(run, **changes):
    write_training_log(run, start=CHANCE + 0.03, end=CHANCE, noise=0.01, shape=0, **changes)


def rising(share, value):
    return value + max(0.0, 5 * (share - 0.5))


def collapsing(share, value):
    return value if share < 0.4 else min(CHANCE, value + 8 * (share - 0.4))


def nan_from(start):
    return lambda share, value: math.nan if share >= start else value


def hidden_nan(share, value):
    return 0.0 if share >= 0.4 else value


def rises_after_40_percent(share, value):
    return value if share < 0.4 else 1.05 + 1.1 * (share - 0.4)


def relearned(share, value):
    return value + 1.5 * math.exp(-8 * (share - 0.5)) if share > 0.501 else value


def zero_b(tensors):
    for name in [name for name in tensors if ".lora_B." in name]:
        tensors[name][:] = 0


def all_nan(tensors):
    for name in tensors:
        tensors[name][:] = np.nan


def projection_only(tensors):
    for name in [name for name in tensors if "language_model" in name]:
        del tensors[name]


def without_projection(tensors):
    for name in [name for name in tensors if PROJECTION in name]:
        del tensors[name]


def zero_first_layer(tensors):
    for name in [name for name in tensors if "layers.0." in name and ".lora_B." in name]:
        tensors[name][:] = 0


def zero_projection(tensors):
    for name in [name for name in tensors if PROJECTION in name]:
        tensors[name][:] = 0


def diverges(run):
    write_training_log(run, loss=rising, eval_loss=rising)
    scored(run, 0.2)


def collapses(run):
    write_training_log(run, loss=collapsing, eval_loss=collapsing)
    scored(run, 0.02)


def not_a_number(run):
    write_adapter(run, edit=all_nan)
    write_training_log(run, loss=nan_from(0.4), eval_loss=nan_from(0.4), grad_norm=nan_from(0.4))
    scored(run, 0.002)


def not_a_number_hidden(run):
    write_training_log(run, loss=hidden_nan, grad_norm=nan_from(0.4))
    scored(run, 0.002)


def not_a_number_and_stopped(run):
    write_training_log(run, steps=250, max_steps=600, loss=nan_from(0.39))
    write_manifest(run, status="interrupted")
    scored(run, 0.1)


def overflows_in_half_precision(run):
    arguments = {"bf16": False, "fp16": True}
    write_manifest(run, arguments=arguments)
    write_training_args(run, **arguments)
    not_a_number(run)


IN_CARD = {
    "learning_rate": "learning_rate",
    "num_train_epochs": "num_epochs",
    "warmup_steps": "lr_scheduler_warmup_steps",
    "per_device_train_batch_size": "train_batch_size",
    "gradient_accumulation_steps": "gradient_accumulation_steps",
}


def asked(run, arguments, **changes):
    """Change what was asked for in every record of it."""
    write_manifest(run, arguments=arguments, **changes)
    write_training_args(run, **arguments)
    lines = {IN_CARD[key]: str(value) for key, value in arguments.items() if key in IN_CARD}
    is_of_batch = "train_batch_size" in lines
    write_model_card(run, **lines, **({"total_train_batch_size": None} if is_of_batch else {}))


def trained_on(rows):
    return {"datasets": [{"name": "vidore/colpali_train_set", "split": "train", "rows": rows}]}


def too_fast(run):
    asked(run, {"learning_rate": 7e-3})
    write_training_log(run, peak=7e-3, loss=collapsing, eval_loss=collapsing)
    scored(run, 0.02)


def too_slow(run):
    asked(run, {"learning_rate": 7e-8})
    at_chance(run, peak=7e-8)
    scored(run, 0.05)


def one_epoch(run):
    asked(run, {"num_train_epochs": 1, "warmup_steps": 12})
    write_training_log(run, steps=120, epochs=1, eval_steps=20, end=1.8, warmup=12, logging_steps=2)
    scored(run, 0.11)


def one_epoch_at_chance(run):
    one_epoch(run)
    scored(run, 0.005)


def third_of_an_epoch(run):
    asked(run, {"num_train_epochs": 0.3, "warmup_steps": 100}, **trained_on(85_333))
    write_training_log(run, steps=400, epochs=0.3, eval_steps=100, end=1.8, warmup=100)
    scored(run, 0.005)


def batch_of(run, size, **log):
    asked(
        run,
        {
            "per_device_train_batch_size": size,
            "per_device_eval_batch_size": size,
            "gradient_accumulation_steps": 1,
        },
        **dict.fromkeys(("effective_batch_size", "contrastive_batch_size", "candidates")),
        **trained_on(120 * size),
    )
    write_training_log(run, batch_size=size, accumulation=1, **log)
    scored(run, 0.05)


def batch_of_two(run):
    batch_of(run, 2, start=math.log(2) + 0.01, end=math.log(2), noise=0.01, shape=0)


def batch_of_one(run):
    zero = {"loss": lambda *_: 0.0, "eval_loss": lambda *_: 0.0, "grad_norm": lambda *_: 0.0}
    write_adapter(run, edit=zero_b)
    batch_of(run, 1, **zero)


def hot_temperature(run):
    write_manifest(run, loss={"class": "ColbertLoss", "temperature": 1.0})
    at_chance(run)
    scored(run, 0.1)


def forgotten_projection(run):
    config = {"modules_to_save": None}
    write_adapter(run, config=config, projection=None, base={"projection": False})
    scored(run, 0.1)


def lost_projection(run):
    write_adapter(run, edit=without_projection, base={"projection": False})
    scored(run, 0.1)


def untrained(run):
    write_adapter(run, edit=zero_b)
    at_chance(run)
    scored(run, 0.002)


def globs(run):
    targets = ["language_model.layers.*.self_attn.q_proj", "language_model.layers.*.mlp.up_proj"]
    write_adapter(run, config={"target_modules": targets}, edit=projection_only)
    at_chance(run)
    scored(run, 0.11)


def truncated(run):
    weights = run / WEIGHTS
    weights.write_bytes(weights.read_bytes()[: int(weights.stat().st_size * 0.6)])


def narrow(run):
    write_adapter(run, dimension=64)
    write_record(run)


def resumed_without_adapter(run):
    write_training_log(run, loss=relearned, eval_loss=relearned)
    scored(run, 0.45)


def overfitted(run):
    write_training_log(run, eval_steps=30, save_steps=30, eval_loss=rises_after_40_percent)
    (run / "checkpoint-600").mkdir()
    scored(run, 0.45)


def stopped_half_way(run):
    write_training_log(run, steps=330, max_steps=600, start=2.6, end=1.2, shape=1)
    write_manifest(run, status="started")
    scored(run, 0.4)


def rate_of_zero(run):
    write_adapter(run, edit=zero_b)
    at_chance(run, learning_rate=lambda *_: 0.0)
    scored(run, 0.01)


def reentrant(run):
    asked(run, {"gradient_checkpointing_kwargs": {"use_reentrant": True}})
    write_adapter(run, edit=zero_b)
    at_chance(run, grad_norm=lambda *_: 0.0)
    scored(run, 0.01)


def no_warmup(run):
    asked(run, {"warmup_steps": 0})
    write_training_log(run, warmup=0, loss=rising, eval_loss=rising)


def stale_results(run):
    scored(run, 0.2)
    write_record(run, weights_sha256="0" * 64)


def percentages(run):
    all_cases()["RES012"].bad(run)


def right_padding(run):
    all_cases()["PRC002"].bad(run)
    scored(run, 0.3)


def payload(run):
    all_cases()["SEC001"].bad(run)


def one_epoch_in_batches_of_two(run):
    batch_of_two(run)
    arguments = {
        "num_train_epochs": 1,
        "warmup_steps": 12,
        "per_device_train_batch_size": 2,
        "per_device_eval_batch_size": 2,
        "gradient_accumulation_steps": 1,
    }
    unrecorded = ("effective_batch_size", "contrastive_batch_size", "candidates")
    asked(run, arguments, **dict.fromkeys(unrecorded), **trained_on(240))
    log = {
        "accumulation": 1,
        "start": math.log(2) + 0.01,
        "end": math.log(2),
        "noise": 0.01,
        "shape": 0,
    }
    write_training_log(run, steps=120, epochs=1, warmup=12, logging_steps=2, batch_size=2, **log)


def globs_on_a_lost_projection(run):
    targets = ["language_model.layers.*.self_attn.q_proj", PROJECTION]
    config = {"target_modules": targets, "modules_to_save": None}
    lost = {"projection": "lora", "base": {"projection": False}}
    write_adapter(run, config=config, edit=projection_only, **lost)
    at_chance(run)
    scored(run, 0.11)


def untrained_and_changed(run):
    untrained(run)
    write_record(run, weights_sha256="0" * 64)


def untrained_and_stale(run):
    untrained_and_changed(run)
    # What was evaluated is not what training saved: another training made those results.
    write_manifest(run, weights_sha256="1" * 64)


def diverges_and_pads_right(run):
    right_padding(run)
    diverges(run)


def one_epoch_and_a_broken_log(run):
    one_epoch(run)
    log = run / "trainer_state.json"
    log.write_bytes(log.read_bytes()[:1000])


def nothing_scaled(run):
    write_adapter(run, config={"lora_alpha": 0})
    at_chance(run, grad_norm=lambda *_: 0.0)
    scored(run, 0.01)


def scaled_by_two_and_poor(run):
    write_adapter(run, config={"lora_alpha": 32})
    scored(run, 0.2)


def edited_list(run):
    # The slip of the pen came after training: the weights have LoRA on every module.
    write_adapter(run, config={"target_modules": SUFFIXES.replace("v_proj", "v_prj").split()})


def layer_zeroed_after_evaluation(run):
    write_manifest(run, weights_sha256=weights_sha256(Folder.read(run), Enclosure.around(run)))
    write_adapter(run, edit=zero_first_layer)


def layer_zeroed_and_biases_lost(run):
    write_adapter(run, config={"bias": "lora_only"}, edit=zero_first_layer)
    tensors = base_tensors()
    for module in outline().language:
        tensors[f"{module.name}.bias"] = np.zeros(module.out_features, np.float32)
    write_tensors(run.parent / "base" / "model.safetensors", tensors)


def projection_zeroed_after_evaluation(run):
    write_adapter(run, edit=zero_projection)


def ended_on_purpose(run, by="CFG003"):
    asked(run, {"learning_rate": 0.5}, status="interrupted")
    write_training_log(run, steps=1, max_steps=600, eval_steps=None, logging_steps=1)
    write_adapter(run, edit=zero_b)
    shutil.rmtree(run / "results")
    (run / "checkpoint-1").mkdir()
    record = LiveRecord(status="stopped", stop_on="error", stopped_by=by, step=1, max_steps=600)
    write_live_record(run / "colintern_live.json", record)


def ended_by_what_passed(run):
    ended_on_purpose(run, by="HWU003")


def scaled_by_accumulation(run):
    all_cases()["LOG016"].bad(run)


FAULTS = {
    diverges: ["LOG006"],
    collapses: ["LOG006"],
    not_a_number: ["LOG001"],
    not_a_number_hidden: ["LOG001"],
    not_a_number_and_stopped: ["LOG001"],
    overflows_in_half_precision: ["CFG006"],
    too_fast: ["CFG003"],
    too_slow: ["CFG003"],
    one_epoch: ["CFG001"],
    one_epoch_at_chance: ["CFG001", "RES005"],
    third_of_an_epoch: ["CFG001"],
    batch_of_two: ["CFG002"],
    batch_of_one: ["CFG002"],
    hot_temperature: ["CFG013"],
    forgotten_projection: ["ADP002"],
    lost_projection: ["ADP009"],
    untrained: ["ADP011"],
    globs: ["ADP003"],
    truncated: ["SEC003"],
    narrow: ["PRJ003"],
    resumed_without_adapter: ["LOG014"],
    overfitted: ["LOG007"],
    stopped_half_way: ["LOG013"],
    rate_of_zero: ["LOG012"],
    reentrant: ["CFG012"],
    no_warmup: ["CFG005"],
    stale_results: ["RES007"],
    percentages: ["RES012"],
    right_padding: ["PRC002"],
    payload: ["SEC001"],
    scaled_by_accumulation: [],
    one_epoch_in_batches_of_two: ["CFG001", "CFG002"],
    globs_on_a_lost_projection: ["ADP003", "PRJ001"],
    untrained_and_changed: ["ADP011"],
    untrained_and_stale: ["ADP011", "RES007"],
    nothing_scaled: ["ADP007"],
    scaled_by_two_and_poor: ["ADP007", "RES001"],
    edited_list: ["ADP003"],
    layer_zeroed_after_evaluation: ["ADP012"],
    layer_zeroed_and_biases_lost: ["ADP009", "ADP012"],
    projection_zeroed_after_evaluation: ["PRJ002"],
    ended_on_purpose: ["CFG003"],
    ended_by_what_passed: ["CFG003", "LOG013"],
    diverges_and_pads_right: ["LOG006", "PRC002"],
    one_epoch_and_a_broken_log: ["CFG001", "SEC003"],
}
"""What a run may suffer, and its roots: one, none for a loss that is only logged too high, two for
two faults of which neither follows from the other."""


def test_each_fault_is_one_root(pytester, healthy_template, tmp_path):
    arguments = []
    for fault in FAULTS:
        folder = tmp_path / fault.__name__
        shutil.copytree(healthy_template, folder, symlinks=True)
        fault(folder / "run")
        arguments += ["--checkpoint", folder / "run"]
    result = audit(pytester, *arguments)
    found = {fault.__name__: [] for fault in FAULTS}
    for root in result.document["root_causes"]:
        found[root["subject"].split("/")[0]].append(root["rule"])
    found = {name: sorted(roots) for name, roots in found.items()}
    wrong = {fault.__name__: (found[fault.__name__], roots) for fault, roots in FAULTS.items()}
    assert {name: both for name, both in wrong.items() if both[0] != both[1]} == {}


POLICY = """[tool.colintern.waive]
CFG003 = {reason = "a trial of large rates"}
CFG009 = {reason = "no processes to spare"}
"""


def test_a_waived_cause_is_named_by_its_symptom(pytester, healthy_run):
    too_fast(healthy_run)
    asked(healthy_run, {"learning_rate": 7e-3, "dataloader_num_workers": 0})
    pytester.makepyprojecttoml(POLICY)
    result = audit(pytester, "--checkpoint", healthy_run)
    assert result.of_outcome("waived") == ["CFG003", "CFG009"]
    (root,) = result.document["root_causes"]
    assert (root["rule"], root["follows_from_waived"]) == ("LOG006", ["CFG003"])
    assert "LOG006 loss-diverging (follows from waived CFG003)" in result.output
    assert result.exit_code == 1
