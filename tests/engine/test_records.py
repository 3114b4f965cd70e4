"""Records through the whole audit: what contradicts is named, what is only moved is not."""

import json
import shutil

import pytest
from builders.adapter import write_adapter
from builders.manifest import write_manifest
from builders.results import write_record
from builders.training_args import write_training_args
from builders.training_log import write_training_log
from cases.rec_cases import find_while_training, name_base, record_weights, stop_at_two_percent
from support.auditing import audit

from colintern.artifacts.files import Enclosure
from colintern.artifacts.run.layout import Folder
from colintern.artifacts.tensors.weights_hash import weights_sha256

SAME = "a" * 64


def sha256_of(folder):
    return weights_sha256(Folder.read(folder), Enclosure.around(folder))


def records(pytester, run, *options):
    result = audit(pytester, "--checkpoint", run, "--select", "REC", *options)
    return result.of_outcome("failed", "warned"), result


def renamed(run):
    record_weights(run)
    run.rename(run.with_name("another name"))
    return run.with_name("another name")


def trained_elsewhere(run):
    record_weights(run)
    name_base(run, trained="/home/trainer/bases/internvl")
    write_record(run, base={"id": "/mnt/models/base", "by_option": True, "layers_sha256": SAME})
    write_manifest(run, base={"id": "/home/trainer/bases/internvl", "layers_sha256": SAME})
    return run


def cached_batches(run):
    arguments = {"per_device_train_batch_size": 64, "gradient_accumulation_steps": 1}
    counts = {"contrastive_batch_size": 64, "candidates": 64}
    write_manifest(run, arguments=arguments, **counts)
    write_training_args(run, **arguments)
    write_training_log(run, batch_size=64, accumulation=1)
    (run / "README.md").unlink()
    return run


def stopped_early(run):
    saved = {
        "args": {"early_stopping_patience": 3},
        "attributes": {"early_stopping_patience_counter": 3},
    }
    callbacks = {"stateful_callbacks": {"EarlyStoppingCallback": saved}}
    write_training_log(run, steps=330, max_steps=600, edit_state=callbacks)
    return run


def interrupted_with_checkpoints(run):
    write_training_log(run, steps=330, max_steps=600)
    for step, change in ((200, 1.0), (300, 1.1)):
        folder = run / f"checkpoint-{step}"
        folder.mkdir()

        def moved(tensors, change=change):
            for name in tensors:
                tensors[name] *= change

        write_adapter(folder, edit=moved)
        write_manifest(folder, status="started", weights_sha256=sha256_of(folder))
    write_manifest(run, status="interrupted", weights_sha256=sha256_of(folder))
    return run


def one_of_its_checkpoints(run):
    return interrupted_with_checkpoints(run) / "checkpoint-200"


def resumed_at_another_rate(run):
    half = {"learning_rate": lambda at, rate: rate if at < 0.5 else rate * 0.98}
    write_training_log(run, **half)
    return run


def rounded_rates(run):
    def slow(rows):
        rows[-1] |= {
            "train_runtime": 96_000.0,
            "train_samples_per_second": 0.4,
            "train_steps_per_second": 0.006,
        }

    write_training_log(run, edit_rows=slow)
    return run


def merged_with_its_manifest(run):
    record_weights(run)
    (run / "adapter_model.safetensors").rename(run / "model.safetensors")
    (run / "adapter_config.json").unlink()
    return run


HEALTHY = (
    *(renamed, trained_elsewhere, cached_batches, stopped_early, interrupted_with_checkpoints),
    *(one_of_its_checkpoints, resumed_at_another_rate, rounded_rates, merged_with_its_manifest),
)


@pytest.mark.parametrize("change", HEALTHY, ids=lambda change: change.__name__)
def test_a_healthy_run_is_contradicted_by_nobody(pytester, healthy_run, change):
    found, result = records(pytester, change(healthy_run))
    assert found == [], result.output


def test_a_replaced_checkpoint_is_told_by_its_own_manifest(pytester, healthy_run):
    interrupted_with_checkpoints(healthy_run)
    run = one = healthy_run / "checkpoint-300"
    shutil.copy(one.with_name("checkpoint-200") / "adapter_model.safetensors", one)
    assert records(pytester, run)[0] == ["REC001"]


def test_broken_weights_are_nobodys(pytester, healthy_run):
    record_weights(healthy_run)
    weights = healthy_run / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    _, result = records(pytester, healthy_run)
    assert result.check("REC001")["blocked_by"] == "SEC003"


def test_stop_at_two_percent_is_the_cause_and_its_word_is_named(pytester, healthy_run):
    stop_at_two_percent(healthy_run)
    result = audit(pytester, "--checkpoint", healthy_run)
    assert result.roots[0] == "LOG013", result.output
    assert "REC003" in result.of_outcome("failed")


def test_a_log_that_the_run_outlived_is_the_cause(pytester, healthy_run):
    write_training_log(healthy_run, steps=330, max_steps=600)
    write_manifest(healthy_run, status="started")
    (healthy_run / "checkpoint-600").mkdir()
    result = audit(pytester, "--checkpoint", healthy_run, "--select", "REC003,LOG013")
    assert result.roots == ["REC003"], result.output


def test_another_base_in_evaluation_explains_low_scores(pytester, healthy_run):
    name_base(healthy_run)
    write_manifest(healthy_run, base={"layers_sha256": SAME})
    other = {"id": "/models/other", "by_option": True, "layers_sha256": "b" * 64}
    write_record(healthy_run, base=other)
    found, result = records(pytester, healthy_run)
    assert found == ["REC002"]
    assert result.check("REC002")["severity"] == "error"


def outcome_of_live(pytester, run):
    return audit(pytester, "--checkpoint", run, "--select", "REC010").check("REC010")


@pytest.mark.parametrize(
    ("rule", "changes", "outcome"),
    [
        ("TEAM001", {}, "failed"),
        ("TEAM001", {"severity": "warning"}, "warned"),
        ("LOG006", {}, "warned"),
        ("LOG006", {"last_step": 0}, "passed"),
        ("LOG006", {"holds": False}, "passed"),
        ("REC010", {}, "failed"),
    ],
)
def test_what_the_live_audit_left_open_is_named(pytester, healthy_run, rule, changes, outcome):
    find_while_training(healthy_run, rule, **changes)
    assert outcome_of_live(pytester, healthy_run)["outcome"] == outcome


def test_a_finding_of_both_audits_is_reported_once(pytester, healthy_run):
    write_training_log(healthy_run, loss=lambda at, loss: loss + max(0.0, 5 * (at - 0.5)))
    find_while_training(healthy_run, "LOG006")
    result = audit(pytester, "--checkpoint", healthy_run, "--select", "REC010,LOG006")
    assert result.of_outcome("failed", "warned") == ["LOG006"]


def test_more_steps_than_the_live_audit_saw_close_its_finding(pytester, healthy_run):
    find_while_training(healthy_run, "LOG006")
    path = healthy_run / "colintern_live.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"step": 400}))
    assert outcome_of_live(pytester, healthy_run)["outcome"] == "passed"


def test_a_finding_whose_evidence_is_gone_is_not(pytester, healthy_run):
    find_while_training(healthy_run, "LOG006")
    (healthy_run / "trainer_state.json").unlink()
    found = outcome_of_live(pytester, healthy_run)
    assert (found["outcome"], found["observed"].split()[0]) == ("failed", "LOG006")
