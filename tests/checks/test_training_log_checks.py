import math

import pytest
from builders.training_log import DROP, write_training_log
from support.log_judging import RULES, fired, judge_log, recorded

from colintern.artifacts.logs.trainer_state import read_trainer_state
from colintern.artifacts.run.layout import read_run_layout
from colintern.artifacts.run.manifest import RunManifest
from colintern.diagnostics.log.evaluation_course import evaluation_course
from colintern.diagnostics.log.training_progress import (
    interruption,
    kept_checkpoints,
    training_progress,
)
from colintern.engine.evidence import log as log_evidence
from colintern.engine.verdict import NoEvidence
from colintern.facts.batch_size import BatchSize
from colintern.facts.run_config import RunConfig


def judged(tmp_path, *, kind="contrastive", candidates=16, checkpoint=False, **changes):
    path = write_training_log(tmp_path, **changes)
    config = RunConfig(learning_rate=recorded(7e-5), per_device_eval_batch_size=recorded(16))
    batch = BatchSize(accumulation=recorded(4), effective_low=64, effective_high=64)
    return judge_log(
        path, kind=kind, candidates=candidates, checkpoint=checkpoint, config=config, batch=batch
    )


def state(tmp_path, **changes):
    return read_trainer_state(write_training_log(tmp_path, **changes), None)


def after(share, change):
    return lambda at, value: change(value) if at >= share else value


def rewarded(rows):
    for row in rows:
        row["reward"] = 0.5


def drop_epochs(rows):
    for row in rows:
        row.pop("epoch", None)


def drop_steps(rows):
    for row in rows:
        row.pop("step", None)


def drop_gradients(rows):
    for row in rows:
        row.pop("grad_norm", None)


def skipped_by_scaler(rows):
    for row in rows[:3]:
        row["grad_norm"] = math.nan


def resumed_quietly(rows):
    rows.insert(30, {"train_runtime": 5.0, "train_loss": 1.2, "step": 300, "epoch": 2.5})


HEALTHY = {
    "as it is": {},
    "linear": {"schedule": "linear"},
    "without evaluations": {"eval_steps": 0},
    "without epochs": {"edit_rows": drop_epochs},
    "without steps": {"edit_rows": drop_steps},
    "without gradients": {"edit_rows": drop_gradients},
    "skipped fp16 steps": {"edit_rows": skipped_by_scaler},
    "quiet resumption": {"edit_rows": resumed_quietly},
    "staircase": {"loss": lambda at, _: 2.2 - 0.3 * math.floor(at * 4.99) - 0.15 * (at * 4.99 % 1)},
    "last save point": {"steps": 600, "max_steps": 640},
    "warm start": {"start": 0.3, "end": 0.28, "noise": 0.03},
    "one data change": {"loss": after(0.3, lambda value: value * 1.3)},
}


@pytest.mark.parametrize("name", HEALTHY)
def test_healthy_variant_is_not_accused(tmp_path, name):
    found = judged(tmp_path, **HEALTHY[name])
    assert fired(found, "error", "warning") == set(), found


def test_healthy_log_gets_every_verdict_it_can(tmp_path):
    found = judged(tmp_path)
    # The layout of this test has no weights, so nothing tells which checkpoint was kept.
    assert set(found) == {*(f"LOG{number:03}" for number in range(1, 18)), "LOG020"} - {"LOG015"}


def test_reinforcement_log_is_not_judged(tmp_path):
    found = judged(tmp_path, edit_rows=rewarded, loss=lambda *_: 0.0)
    assert fired(found, "error", "warning") == set()
    assert found.keys().isdisjoint({"LOG002", "LOG003", "LOG005", "LOG006", "LOG009", "LOG011"})


@pytest.mark.parametrize(
    ("kind", "level", "stuck"),
    [
        ("contrastive", math.log(16), True),
        ("contrastive", 2.0, False),
        ("pairwise", math.log(2), True),
        ("pairwise", 0.6, False),
        (None, math.log(16), True),
        (None, 0.95 * math.log(16), False),
        ("other", math.log(16), None),
    ],
)
def test_chance_depends_on_the_kind_of_loss(tmp_path, kind, level, stuck):
    found = judged(tmp_path, kind=kind, start=level * 1.005, end=level, noise=0.002)
    if stuck is None:
        assert "LOG002" not in found
    else:
        assert ("LOG002" in fired(found, "error")) is stuck


def test_run_that_learns_slowly_is_not_at_chance(tmp_path):
    found = judged(tmp_path, start=3.1, end=2.6, noise=0.03)
    assert "LOG002" not in fired(found, "error")


@pytest.mark.parametrize(("kind", "severity"), [("contrastive", "error"), (None, "warning")])
def test_unknown_loss_that_never_falls_is_a_warning(tmp_path, kind, severity):
    found = judged(tmp_path, kind=kind, start=2.4, end=2.395, shape=0)
    assert "LOG003" in fired(found, severity), found


def test_slow_start_that_recovers_is_a_warning(tmp_path):
    found = judged(
        tmp_path, loss=lambda at, _: 2.4 if at < 0.25 else 2.4 - 2.1 * (at - 0.25), noise=0
    )
    assert "LOG003" in fired(found, "warning"), found


@pytest.mark.parametrize(("amplitude", "severity"), [(0.1, None), (0.65, "error")])
def test_only_wild_swings_are_errors(tmp_path, amplitude, severity):
    found = judged(tmp_path, loss=lambda at, value: max(0.1, value + amplitude * math.sin(50 * at)))
    assert (found["LOG005"] or (None,))[0] == severity


def test_scatter_of_single_examples_is_no_swing(tmp_path):
    changes = {"steps": 400, "logging_steps": 1, "batch_size": 1, "noise": 0.5, "warmup": 40}
    path = write_training_log(tmp_path, **changes)
    assert judge_log(path)["LOG005"] is None
    batch = BatchSize(effective_low=512, effective_high=512)
    assert judge_log(path, batch=batch)["LOG005"] is not None


@pytest.mark.parametrize(("rise", "severity"), [(0.0, None), (0.12, "warning"), (0.9, "error")])
def test_overfitting_is_graded_by_its_rise(tmp_path, rise, severity):
    steps = 60 if rise < 0.5 else 30

    def overfit(at, _):
        return 1.0 + max(0.0, 0.6 - at) + rise * max(0.0, at - 0.6)

    found = judged(tmp_path, eval_steps=steps, eval_loss=overfit)
    assert (found["LOG007"] or (None,))[0] == severity, found


def test_noisy_evaluations_do_not_overfit(tmp_path):
    values = iter([1.2, 0.9, 0.95, 0.88, 1.0, 0.92, 0.97, 0.91, 0.99, 0.93, 0.98, 0.95] * 2)
    found = judged(tmp_path, eval_steps=50, eval_loss=lambda *_: next(values))
    assert found["LOG007"] is None


def test_collapse_is_told_by_its_gradients(tmp_path):
    def collapsed(at, _):
        return 1.25 if at < 0.02 else 1.4 + 0.1 * math.exp(-9 * at)

    grown = {"loss": collapsed, "grad_norm": lambda at, _: 90 + 4_000 * at}
    assert "LOG006" in fired(judged(tmp_path, kind=None, **grown), "error")
    assert judged(tmp_path, kind=None, loss=collapsed)["LOG006"] is None


@pytest.mark.parametrize("zeros", [2, 3])
def test_three_rows_without_gradient_are_dead(tmp_path, zeros):
    def zero_rows(rows):
        for row in rows[4 : 4 + zeros]:
            row["grad_norm"] = 0.0

    found = judged(tmp_path, start=2.4, end=2.38, edit_rows=zero_rows)
    assert (found["LOG011"] is not None) is (zeros == 3)


def test_falling_loss_doubts_the_logged_gradient(tmp_path):
    assert "LOG011" in fired(judged(tmp_path, grad_norm=lambda *_: 0.0), "warning")


SCHEDULES = {
    "a warm-up of at most 10 steps": {"warmup": 1},
    "no decay": {"learning_rate": lambda at, value: 7e-5 if at > 0.17 else value},
    "never reached": {"peak": 3e-5},
    "leaps x7.65 at step 300": {"learning_rate": after(0.5, lambda value: value * 8)},
    "is 0 for the last": {"learning_rate": after(0.7, lambda _: 0.0)},
}


@pytest.mark.parametrize("text", SCHEDULES)
def test_schedule_fault_is_named(tmp_path, text):
    severity, observed = judged(tmp_path, **SCHEDULES[text])["LOG012"]
    assert severity == "warning"
    assert text in observed


def test_warm_up_before_the_first_row_is_not_accused(tmp_path):
    found = judged(tmp_path, logging_steps=30, warmup=25, schedule="linear")
    assert found["LOG012"] is None, found


@pytest.mark.parametrize(("max_steps", "accused"), [(600, False), (330, True)])
def test_decay_may_be_still_to_come(tmp_path, max_steps, accused):
    def held(at, value):
        return 7e-5 if at > 0.17 else value

    found = judged(tmp_path, steps=330, max_steps=max_steps, learning_rate=held)["LOG012"]
    assert ("no decay" in (found or ("", ""))[1]) is accused


def test_cosine_restarts_are_no_leaps(tmp_path):
    def restarts(at, _):
        return 7e-5 * 0.5 * (1 + math.cos(math.pi * (at * 4 % 1)))

    severity_and_text = judged(tmp_path, learning_rate=restarts)["LOG012"]
    assert "leaps" not in (severity_and_text or ("", ""))[1]


def test_snapshot_inside_a_checkpoint_is_noted(tmp_path):
    found = judged(tmp_path, steps=330, max_steps=600, checkpoint=True)
    assert "LOG013" in fired(found, "info")


def patience(counter, name="EarlyStoppingCallback", used=3):
    saved = {
        "args": {"early_stopping_patience": used},
        "attributes": {"early_stopping_patience_counter": counter},
    }
    return {"stateful_callbacks": {"TrainerControl": {"args": {}}, name: saved}}


def closed_at(step):
    def close(rows):
        rows.append({"step": step, "train_loss": 1.5, "train_runtime": 60.0})

    return close


def tracked(step, **changes):
    return {"best_metric": 0.4, "best_model_checkpoint": f"out/checkpoint-{step}", **changes}


CUT = {"steps": 330, "max_steps": 600}
CLOSED = {**CUT, "edit_rows": closed_at(330)}
ENDINGS = {
    "complete": ({}, None),
    "cut": ({"steps": 330, "max_steps": 600}, "error"),
    "a checkpoint copied": ({"steps": 300, "max_steps": 600}, "info"),
    "nearly done": ({"steps": 520, "max_steps": 600}, "warning"),
    "last save": ({"steps": 900, "max_steps": 990}, None),
    "half a run that saves once": ({"steps": 500, "max_steps": 990, "save_steps": 500}, "info"),
    "stopped early": ({**CUT, "edit_state": patience(3)}, None),
    "stopped by a callback made of it": ({**CUT, "edit_state": patience(3, "MyStopping")}, None),
    "patience left": ({**CUT, "edit_state": patience(2)}, "error"),
    "patience used up after the last save": (
        {**CUT, "eval_steps": 30, "edit_state": patience(1) | tracked(240)},
        None,
    ),
    "patience not used up since": (
        {**CUT, "eval_steps": 30, "edit_state": patience(1) | tracked(270)},
        "error",
    ),
    "2 % and closed by the Trainer": (
        {"steps": 11, "max_steps": 500, "edit_rows": closed_at(11)},
        "error",
    ),
    "closed at a save point": (
        {"steps": 300, "max_steps": 600, "edit_rows": closed_at(300)},
        "error",
    ),
    "closed, and none better than the best": (
        {**CLOSED, "eval_steps": 30, "edit_state": tracked(240, stateful_callbacks=DROP)},
        None,
    ),
    "closed right after the best": (
        {**CLOSED, "eval_steps": 30, "edit_state": tracked(330, stateful_callbacks=DROP)},
        "error",
    ),
}


@pytest.mark.parametrize("name", ENDINGS)
def test_ending_of_a_run_is_graded(tmp_path, name):
    changes, expected = ENDINGS[name]
    progress = training_progress(state(tmp_path, **changes))
    assert interruption(progress, read_run_layout(tmp_path), None, 0.95) == expected


def test_final_weights_beside_a_cut_checkpoint_log_are_a_warning(tmp_path):
    folder = tmp_path / "checkpoint-300"
    folder.mkdir()
    cut = training_progress(state(folder, steps=300, max_steps=600))
    assert interruption(cut, read_run_layout(tmp_path), None, 0.95) == "error"
    (tmp_path / "adapter_model.safetensors").touch()
    assert interruption(cut, read_run_layout(tmp_path), None, 0.95) == "warning"


@pytest.mark.parametrize("changes", [{"max_steps": 380}, {"edit_state": tracked(300)}])
def test_newest_checkpoint_beside_final_weights_is_no_cut(tmp_path, changes):
    folder = tmp_path / "checkpoint-300"
    folder.mkdir()
    log = state(folder, **{"steps": 300, "max_steps": 600, **changes})
    (tmp_path / "adapter_model.safetensors").touch()
    assert interruption(training_progress(log), read_run_layout(tmp_path), None, 0.95) is None


@pytest.mark.parametrize(
    ("status", "in_root", "expected"),
    [("completed", True, "error"), ("started", True, "error"), ("completed", False, None)],
)
def test_manifest_completes_no_log_of_its_own_run(tmp_path, status, in_root, expected):
    folder = tmp_path / ("" if in_root else "checkpoint-300")
    folder.mkdir(exist_ok=True)
    cut = training_progress(state(folder, **CUT))
    (tmp_path / "adapter_model.safetensors").touch()
    said = RunManifest(schema="colintern.run/1", status=status)
    assert interruption(cut, read_run_layout(tmp_path), said, 0.95) == expected


def test_run_that_stopped_at_a_save_point_is_no_copied_checkpoint(tmp_path):
    cut = training_progress(state(tmp_path, steps=300, max_steps=600))
    (tmp_path / "checkpoint-300").mkdir()
    assert interruption(cut, read_run_layout(tmp_path), None, 0.95) == "error"


def test_log_comes_from_the_root_else_the_newest_checkpoint(tmp_path):
    for step in (100, 600, 90):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        write_training_log(folder, steps=step, max_steps=600, warmup=10)
    assert log_evidence.training_log(read_run_layout(tmp_path)).global_step == 600
    write_training_log(tmp_path, steps=500, max_steps=600)
    assert log_evidence.training_log(read_run_layout(tmp_path)).global_step == 500


def test_kept_checkpoints_include_the_tracked_best(tmp_path):
    (tmp_path / "checkpoint-500").mkdir()
    best = {"best_model_checkpoint": "/home/else/run/checkpoint-300"}
    log = state(tmp_path, edit_state=best)
    assert kept_checkpoints(read_run_layout(tmp_path), log) == {500}
    (tmp_path / "model.safetensors").touch()
    assert kept_checkpoints(read_run_layout(tmp_path), log) == {500, 600, 300}


def test_other_metric_does_not_choose_by_loss(tmp_path):
    evaluations = evaluation_course(state(tmp_path))
    assert evaluations.is_other_metric(0.91)
    assert not evaluations.is_other_metric(evaluations.best)
    assert not evaluations.is_other_metric(None)


BROKEN_ORDER = {
    "back": (lambda rows: rows[5].update(step=5), "1 steps back"),
    "repeated": (lambda rows: rows[5].update(step=rows[4]["step"]), "1 repeated"),
    "beyond": (lambda rows: rows[-2].update(step=700), "1 beyond the end"),
}


@pytest.mark.parametrize("name", BROKEN_ORDER)
def test_step_out_of_order_is_named(tmp_path, name):
    edit, text = BROKEN_ORDER[name]
    assert text in judged(tmp_path, edit_rows=edit)["LOG017"][1]


def test_too_few_rows_say_how_many(tmp_path):
    log = state(tmp_path, steps=40, logging_steps=10, warmup=5)
    with pytest.raises(NoEvidence, match=r"at least 5 loss rows in .*\(found 4\)"):
        log_evidence.loss(log)


def test_state_without_steps_has_no_progress(tmp_path):
    log = state(tmp_path, edit_state={"max_steps": DROP})
    with pytest.raises(NoEvidence, match="max_steps"):
        log_evidence.progress(log)


def test_first_epoch_is_not_judged_before_it_is_over(tmp_path):
    found = judged(tmp_path, steps=250, max_steps=2500, start=2.75, end=2.74, warmup=100)
    assert found.keys().isdisjoint({"LOG002", "LOG003"})


@pytest.mark.parametrize(
    ("norm", "end", "severity"),
    [(1e-9, 2.39, "error"), (1e-5, 2.39, None), (1e-9, 0.8, "warning"), (1e-9, 0.01, None)],
)
def test_gradients_next_to_zero_are_dead_unless_nothing_is_left_to_learn(
    tmp_path, norm, end, severity
):
    def collapse(at, value):
        return norm if at > 0.5 else value

    found = judged(tmp_path, start=2.4, end=end, shape=9.0, noise=0.002, grad_norm=collapse)
    assert (found["LOG011"] or (None,))[0] == severity, found


@pytest.mark.parametrize(("level", "is_high"), [(900, True), (60, False)])
def test_gradients_that_stay_high_are_named(tmp_path, level, is_high):
    found = judged(tmp_path, grad_norm=lambda *_: level)["LOG010"]
    assert (found == ("warning", f"grad_norm stays at {level}")) is is_high


GAPS = {
    "in the middle": (lambda step: not 200 <= step < 330, "no rows from step 190 to 330"),
    "at the start": (lambda step: step > 100, "no rows from step 0 to 110"),
    "at the end": (lambda step: step <= 450, "no rows from step 450 to 600"),
    "three rows": (lambda step: not 200 <= step < 230, None),
    "another rhythm": (lambda step: step <= 300 or step % 60 == 0, None),
}


@pytest.mark.parametrize("name", GAPS)
def test_missing_rows_are_named(tmp_path, name):
    kept, text = GAPS[name]

    def drop(rows):
        rows[:] = [row for row in rows if "loss" not in row or kept(row["step"])]

    found = judged(tmp_path, edit_rows=drop)["LOG017"]
    assert (found or (None, None))[1] == text


@pytest.mark.parametrize(("shift", "is_told"), [(-1.0, True), (-0.01, False), (0.5, False)])
def test_epochs_that_go_back_are_named(tmp_path, shift, is_told):
    def edit(rows):
        for row in rows:
            row["epoch"] += shift if row["step"] > 300 else 0

    found = judged(tmp_path, edit_rows=edit)["LOG017"]
    assert (found is not None and "epochs go back at step 310" in found[1]) is is_told


def test_steps_out_of_order_explain_what_they_look_like():
    rule = RULES["LOG017"]
    assert {"LOG012", "LOG014", "LOG020"} <= rule.explains


@pytest.mark.parametrize("kind", ["unknown", "other"])
def test_telling_the_kind_of_a_loss_silences_nothing(tmp_path, kind):
    flat = {"start": 2.4, "end": 2.395, "shape": 0}
    assert "LOG003" in fired(judged(tmp_path, kind=kind, **flat), "warning")
    assert "LOG003" not in judged(tmp_path, kind=kind)


def test_contrastive_loss_of_unknown_candidates_is_judged_by_its_batch(tmp_path):
    flat = {"start": math.log(16), "end": math.log(16), "noise": 0.002}
    found = judged(tmp_path, candidates=None, **flat)
    assert "LOG002" in fired(found, "error")
    assert "LOG002" not in judged(tmp_path, candidates=None)


@pytest.mark.parametrize("rows", [8, 10, 15])
def test_short_log_at_chance_is_an_error(tmp_path, rows):
    flat = {"start": math.log(64), "end": math.log(64), "noise": 0.01, "batch_size": 64}
    for kind, candidates in ((None, None), ("contrastive", 64)):
        found = judged(tmp_path, kind=kind, candidates=candidates, steps=10 * rows, **flat)
        assert "LOG002" in fired(found, "error"), found


def test_negative_cross_entropy_is_none(tmp_path):
    change = {"loss": after(0.8, lambda _: -0.4)}
    assert "below 0 in" in judged(tmp_path, **change)["LOG009"][1]
    # Of a loss that nobody named that is no evidence: some are negative.
    assert "LOG009" not in judged(tmp_path, kind=None, **change)
