import csv
import json
import math
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.auditing import audit
from support.live_series import HEALTHY, SHUFFLED
from support.running_runs import ARGUMENTS, log_of, manifest, rows_of, subject

import colintern
from colintern.artifacts.logs.resource_log import ResourceLog, ResourceRow
from colintern.artifacts.logs.trainer_state import as_trainer_state
from colintern.artifacts.run.manifest import read_run_manifest
from colintern.artifacts.running.log import append_row
from colintern.artifacts.running.record import LiveRecord, read_live_record, write_live_record
from colintern.diagnostics.adapter.trained_parts import TrainedParts
from colintern.diagnostics.log.evaluation_loss import evaluation_loss
from colintern.engine.catalogue import shipped_rules
from colintern.engine.policy import Policy, Waiver
from colintern.engine.running.findings import LiveFindings
from colintern.engine.running.judge import asked_about, asked_at, judge_live, live_rules

AT_START, ON_COURSE = asked_at("start"), asked_at("course")


def findings(rules, described, rows=(), **more):
    results = judge_live(rules, subject(described, **more), log_of(list(rows)))
    assert [each for each in results if each.outcome == "error"] == []
    return {each.rule: each.severity.value for each in results if each.is_finding}


def test_a_healthy_run_has_no_finding_at_any_step():
    assert findings(AT_START, manifest()) == {}
    for step in range(1, len(HEALTHY) + 1):
        assert findings(ON_COURSE, manifest(), rows_of(HEALTHY)[:step]) == {}, step


@pytest.mark.parametrize(
    ("described", "rule"),
    [
        (manifest(learning_rate=0.2), {"CFG003": "error"}),
        (manifest(learning_rate=4e-3), {}),
        (manifest(temperature=1.0), {"CFG013": "error"}),
        (manifest(temperature=0.02), {}),
        (manifest(per_device_train_batch_size=1), {"CFG002": "error", "CFG004": "error"}),
        (manifest(num_train_epochs=1), {"CFG001": "error"}),
        (manifest(max_grad_norm=0.0), {"CFG010": "warning"}),
    ],
)
def test_configuration_is_judged_before_the_first_step(described, rule):
    assert findings(AT_START, described) == rule


def exploding(step, value):
    return value * (1000 if step > 20 else 1)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (rows_of(SHUFFLED), {"LOG002": "warning"}),
        (rows_of(SHUFFLED[:40]), {}),
        (rows_of(HEALTHY, norm=exploding), {"LOG010": "warning"}),
        (rows_of(HEALTHY, norm=lambda _, value: 100 * value), {"LOG010": "warning"}),
        (rows_of(HEALTHY, norm=lambda _, value: 2 * value), {}),
        (
            rows_of(HEALTHY, norm=lambda step, value: 0.0 if step > 30 else value),
            {"LOG011": "warning"},
        ),
        (rows_of(HEALTHY, loss=lambda step, v: math.nan if step == 7 else v), {"LOG001": "error"}),
        (rows_of(HEALTHY, loss=lambda *_: 0.0), {"LOG009": "error"}),
    ],
)
def test_the_first_tenth_names_the_fault(rows, expected):
    found = findings(ON_COURSE, manifest(), rows)
    assert expected.items() <= found.items()
    assert bool(found) == bool(expected)


@pytest.mark.parametrize(
    ("steps", "max_steps", "is_named"),
    [(44, 400, False), (45, 400, True), (45, 500, True), (45, 501, False)],
)
def test_a_run_has_the_steps_that_it_takes_to_learn(steps, max_steps, is_named):
    log = log_of(rows_of(SHUFFLED[:steps], peak=2e-3), max_steps=max_steps)
    found = judge_live(("LOG002",), subject(manifest()), log)
    assert [each.is_finding for each in found] == [is_named]


@pytest.mark.parametrize(
    ("peak", "candidates", "is_named"),
    [(2e-3, 64, True), (8e-3, 64, False), (2e-3, 16, False)],
)
def test_chance_is_not_called_during_a_long_warmup_or_on_another_scale(peak, candidates, is_named):
    described = manifest(learning_rate=peak, per_device_train_batch_size=candidates)
    rows = rows_of(SHUFFLED)
    assert ("LOG002" in findings(ON_COURSE, described, rows)) is is_named


def test_log_rows_of_ten_steps_tell_it_too():
    def means(series):
        blocks = [series[start : start + 10] for start in range(0, len(series), 10)]
        return [(sum(loss for loss, _ in each) / 10, each[-1][1]) for each in blocks]

    for series, expected in ((HEALTHY, {}), (SHUFFLED, {"LOG002": "warning"})):
        rows = rows_of([*means(series), means(series)[-1]])
        log = log_of([{**row, "step": 10 * row["step"], "learning_rate": 1e-3} for row in rows])
        results = judge_live(ON_COURSE, subject(manifest()), log)
        found = {each.rule: each.severity.value for each in results if each.is_finding}
        assert found == expected


PROJECTION = "custom_text_proj"


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (TrainedParts({f"model.{PROJECTION}.weight": True}), {}),
        (TrainedParts({f"model.{PROJECTION}.weight": False}), {"PRJ002": "error"}),
        (TrainedParts({"head.weight": False}), {}),
        (
            TrainedParts({f"{PROJECTION}.weight": True}, {f"{PROJECTION}.weight": 3}, 3),
            {"PRJ002": "error"},
        ),
        (TrainedParts({f"{PROJECTION}.weight": True}, {f"{PROJECTION}.weight": 2}, 2), {}),
        (
            TrainedParts(
                {f"{PROJECTION}.lora_A.weight": True, f"{PROJECTION}.lora_B.weight": True},
                {f"{PROJECTION}.lora_A.weight": 3},
                3,
            ),
            {},
        ),
    ],
)
def test_a_frozen_projection_is_told_from_the_model(parts, expected):
    assert findings(("PRJ002",), manifest(), trained_parts=parts) == expected


def test_a_run_of_something_else_has_no_finding():
    arguments = {**ARGUMENTS, "learning_rate": 0.5, "num_train_epochs": 1, "warmup_steps": 0}
    rows = rows_of([(3.0 - step / 50, 1.0 + step / 100) for step in range(60)])
    for rules, log in ((AT_START, log_of([])), (ON_COURSE, log_of(rows, max_steps=100))):
        results = judge_live(rules, subject(arguments=arguments), log)
        assert [each.rule for each in results if each.is_finding] == []


@pytest.mark.parametrize(("growth", "expected"), [(30, ["LOG010"]), (8, [])])
def test_gradients_that_grow_explode_in_any_model(growth, expected):
    rows = rows_of([(3.0, 0.01 * (growth if step else 1)) for step in range(8)])
    results = judge_live(ON_COURSE, subject(arguments=ARGUMENTS), log_of(rows))
    assert [each.rule for each in results if each.is_finding] == expected


def test_only_rules_of_the_catalogue_are_judged_live():
    catalogue = shipped_rules()
    for name, rule in live_rules().items():
        assert (rule.severity, rule.fix) == (catalogue[name].severity, catalogue[name].fix)
        assert rule.check is (catalogue[name].live_check or catalogue[name].check)


def test_what_the_first_steps_show_is_judged_by_its_evidence():
    assert asked_about("trained_parts") == ("PRJ002",)
    assert set(asked_about("resource_use")) == {"HWU001", "HWU002", "HWU003", "HWU004"}


def test_a_finding_is_told_once_and_again_when_it_becomes_worse():
    found, log = LiveFindings(live_rules()), log_of([])
    mild, grave = manifest(learning_rate=2e-2), manifest(learning_rate=0.2)

    def note(described, step):
        results = judge_live(AT_START, subject(described), log)
        return [(each.rule, each.severity) for each in found.note(results, step)]

    assert note(mild, 1) == [("CFG003", "warning")]
    assert note(mild, 2) == []
    assert note(grave, 3) == [("CFG003", "error")]
    assert note(manifest(), 4) == []
    assert [(each.step, each.holds) for each in found.found] == [(3, False)]
    assert "CFG003" in found.judged


def test_symptoms_name_their_cause():
    described = manifest(learning_rate=0.2)
    found = LiveFindings(live_rules())
    found.note(judge_live(AT_START, subject(described), log_of([])), 0)
    rows = rows_of(SHUFFLED, peak=0.2)
    found.note(judge_live(ON_COURSE, subject(described), log_of(rows)), 50)
    causes = {each.rule: each.explained_by for each in found.found}
    assert causes == {"CFG003": (), "LOG002": ("CFG003",)}


def test_a_symptom_that_passes_later_keeps_its_cause():
    described = manifest(learning_rate=0.2)
    found = LiveFindings(live_rules())
    for rows in (rows_of(SHUFFLED, peak=0.2), rows_of(HEALTHY, peak=0.2)):
        found.note(judge_live(AT_START, subject(described), log_of([])), 0)
        found.note(judge_live(ON_COURSE, subject(described), log_of(rows)), 50)
    causes = {each.rule: (each.holds, each.explained_by) for each in found.found}
    assert causes == {"CFG003": (True, ()), "LOG002": (False, ("CFG003",))}


def test_the_bundled_healthy_run_has_no_finding_at_any_row():
    run = Path(colintern.__file__).parent / "assets" / "demo" / "healthy"
    document = json.loads((run / "trainer_state.json").read_text())
    described = read_run_manifest(run / "colintern_run.json", None)
    history = document["log_history"]
    for end in range(1, len(history) + 1):
        last = history[end - 1]
        part = {"log_history": history[:end], "global_step": last["step"], "epoch": last["epoch"]}
        log = as_trainer_state(run / "trainer_state.json", {**document, **part})
        results = judge_live(ON_COURSE, subject(described), log)
        assert [each.rule for each in results if each.is_finding] == [], last["step"]
    assert [
        each.rule for each in judge_live(AT_START, subject(described), log) if each.is_finding
    ] == []


@pytest.mark.parametrize(
    ("num_rows", "named"),
    [(9, {"HWU001", "HWU004"}), (10, {"HWU001", "HWU002", "HWU003", "HWU004"})],
)
def test_means_of_the_machine_wait_for_the_start_to_pass(num_rows, named):
    row = ResourceRow(
        step=1,
        gpu_memory_used=99,
        gpu_memory_total=100,
        gpu_utilisation=0.3,
        cpu_memory_used=95,
        cpu_memory_total=100,
        step_seconds=20.0,
    )
    log = ResourceLog(Path("/run/colintern_resources.jsonl"), (row,) * num_rows)
    results = judge_live(ON_COURSE, subject(), log_of(rows_of(HEALTHY)), log)
    assert {each.rule for each in results if each.is_finding} == named


def test_an_evaluation_loss_that_may_come_back_is_a_warning():
    rows = []
    for step in range(10, 500, 10):
        rows.append({"step": step, "loss": 4 - step / 200, "epoch": step / 100})
        rows.append({"step": step, "eval_loss": 3 - 0.1 * step / 10 if step <= 150 else step / 90})
    log = log_of(rows)
    assert evaluation_loss(log).overfits_beyond_doubt
    (result,) = judge_live(("LOG007",), subject(manifest()), log)
    assert (result.outcome, result.severity.value) == ("warned", "warning")


def test_a_waived_rule_says_nothing():
    policy = Policy(waivers={"CFG001": Waiver("a short run on purpose")})
    described = manifest(num_train_epochs=1)
    results = judge_live(AT_START, subject(described), log_of([]), policy=policy)
    assert [each.rule for each in results if each.is_finding] == []


def test_the_record_is_read_as_it_was_written(tmp_path):
    found = LiveFindings(live_rules())
    found.note(judge_live(AT_START, subject(manifest(temperature=1.0)), log_of([])), 0)
    record = LiveRecord(status="training", stop_on="never", findings=found.found, step=7)
    write_live_record(tmp_path / "colintern_live.json", record)
    assert read_live_record(tmp_path / "colintern_live.json", None) == record


def test_the_audit_takes_no_notice_of_the_live_files(pytester, healthy_run):
    before = audit(pytester, "--checkpoint", healthy_run, "-v")
    write_live_record(
        healthy_run / "colintern_live.json", LiveRecord(status="ended", stop_on="never")
    )
    append_row(healthy_run / "colintern_log.jsonl", {"loss": math.nan}, step=1, time=1.0)
    after = audit(pytester, "--checkpoint", healthy_run, "-v")
    # But for the rule about what the live audit left open: there was none before.
    assert before.outcomes | {"REC010": "passed"} == after.outcomes
    assert "colintern_l" not in after.output


def test_no_healthy_public_run_is_accused_while_it_goes(corpus):
    """Every tenth of each labelled healthy log; an evaluation loss may rise and come back."""
    accused = {}
    with (corpus / "labels.tsv").open(encoding="utf-8", newline="") as table:
        rows = list(csv.DictReader(table, delimiter="\t"))
    for row in rows:
        if row["label"] != "healthy" or row["confidence"] != "high":
            continue
        document = json.loads((corpus / row["file"]).read_text())
        history = document["log_history"]
        for tenth in range(1, 11):
            part = history[: len(history) * tenth // 10] or history[:1]
            log = as_trainer_state(
                corpus / row["file"],
                {**document, "log_history": part, "global_step": part[-1].get("step")},
            )
            for result in judge_live(ON_COURSE, subject(), log):
                if result.is_finding:
                    accused[row["file"], tenth] = (result.rule, result.severity.value)
    assert {each for each in accused.values() if each != ("LOG007", "warning")} == set()


def test_judging_live_needs_no_torch():
    code = (
        "import sys, colintern.engine.running.findings, colintern.report.watch_screen\n"
        "from colintern.engine.running.judge import live_rules; live_rules()\n"
        "print(sorted({n.partition('.')[0] for n in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not re.search(r"'(torch|transformers|peft|pandas)'", done.stdout)
