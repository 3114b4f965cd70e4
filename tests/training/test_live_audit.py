import math
import os
from itertools import pairwise

import pytest
from msgspec.structs import replace
from support.live_series import HEALTHY
from support.running_runs import manifest, rows_of, subject

from colintern.artifacts.running.record import read_live_record
from colintern.engine.policy import Policy
from colintern.training import live_audit
from colintern.training.live_audit import LiveAudit

HEADER = {"global_step": 0, "max_steps": 500, "epoch": 0.0}
LEARNS = [1.0 / (1 + step / 50) for step in range(2000)]


class Clock:
    """Time that passes when it is told to; judging takes `cost` seconds."""

    def __init__(self, cost=0.0):
        self.now, self.cost, self.judged = 0.0, cost, 0

    def monotonic(self):
        return self.now

    def time(self):
        return self.now


@pytest.fixture
def watched(tmp_path, monkeypatch):
    """Make an audit whose judging is counted and takes as long as the clock says."""

    def make(clock, *, stop_on="never", described=None, steps=()):
        judge = live_audit.judge_live

        def counted(*arguments):
            clock.judged += 1
            clock.now += clock.cost
            return judge(*arguments)

        monkeypatch.setattr(live_audit, "judge_live", counted)
        monkeypatch.setattr(live_audit, "time", clock)
        here, told = replace(subject(described or manifest()), path=tmp_path), []
        options = {"stop_on": stop_on, "policy": Policy(), "steps": steps}
        audit = LiveAudit(here, tell=told.append, **options)
        audit.begin(HEADER, [])
        return audit, told

    return make


def log(audit, rows):
    for row in rows:
        audit.logged({**HEADER, "global_step": row["step"]}, row, [])


MILD, GRAVE = {"max_grad_norm": 0.0}, {"num_train_epochs": 1}


@pytest.mark.parametrize(
    ("stop_on", "changes", "rule"),
    [
        ("never", GRAVE, None),
        ("error", MILD, None),
        ("error", GRAVE, "CFG001"),
        ("error", MILD | GRAVE, "CFG001"),
        ("warning", MILD, "CFG010"),
        ("warning", {}, None),
    ],
)
def test_what_ends_a_run_is_as_grave_as_asked(watched, tmp_path, stop_on, changes, rule):
    audit, told = watched(Clock(), stop_on=stop_on, described=manifest(**changes))
    assert audit.stopped_by == rule
    assert bool(told) == bool(changes)
    audit.end("training")
    assert read_live_record(tmp_path / "colintern_live.json", None).stopped_by == rule


@pytest.mark.parametrize("cost", [0.02, 1.0])
def test_judging_takes_its_share_of_time_at_most(watched, cost):
    clock = Clock(cost)
    audit, _ = watched(clock)
    began, before = clock.now, clock.judged
    for row in rows_of([(value, 1.0) for value in LEARNS]):
        clock.now += 1
        log(audit, [row])
    spent = cost * (clock.judged - before)
    assert clock.judged > before
    assert spent <= 0.1 + 0.005 * (clock.now - began) + cost


def test_a_sign_of_life_makes_no_empty_record(watched, tmp_path):
    clock = Clock()
    audit, _ = watched(clock)
    record = tmp_path / "colintern_live.json"
    os.utime(record, (1, 1))
    clock.now += 29
    audit.beat()
    assert record.stat().st_mtime == 1
    clock.now += 2
    audit.beat()
    assert record.stat().st_mtime > 1
    record.unlink()
    clock.now += 31
    audit.beat()
    assert not record.exists()


def test_a_long_log_is_judged_when_it_has_grown(watched):
    clock = Clock()
    audit, _ = watched(clock)
    judged = []
    for row in rows_of([(value, 1.0) for value in LEARNS[:400]]):
        before = clock.judged
        log(audit, [row])
        judged += [row["step"]] if clock.judged > before else []
    assert judged[:20] == list(range(1, 21))
    gaps = [(later - step) / later for step, later in pairwise(judged[20:])]
    assert 0.02 < min(gaps) <= max(gaps) < 0.06


def test_a_nan_is_judged_however_dear_it_is(watched):
    clock = Clock(100.0)
    audit, told = watched(clock, stop_on="error")
    rows = rows_of(HEALTHY[:6], loss=lambda step, value: math.nan if step == 6 else value)
    log(audit, rows[:5])
    assert told == []
    log(audit, rows[5:])
    assert [each.rule for each in told] == ["LOG001"]
    assert (audit.stopped_by, told[0].step) == ("LOG001", 6)


@pytest.mark.parametrize(("first", "is_taken"), [(1, True), (101, False)])
def test_steps_stand_for_rows_of_a_run_from_its_start(watched, first, is_taken):
    rows = rows_of(HEALTHY[:40])
    steps = [{**row, "step": row["step"] + first - 1} for row in rows]
    audit, _ = watched(Clock(), steps=steps)
    log(audit, [{**steps[9], "step": first + 9}])
    assert (len(audit._telling_rows()) == len(steps)) is is_taken
