"""Healthy logs of many kinds: no rule of the training log may accuse one of them."""

import json
import math
import random

import pytest
from builders.training_log import scheduled, write_training_log
from support.log_judging import fired, judge_log

PEAK = 7e-5


def warm_starts():
    for number, (rows, start, end, noise) in enumerate(
        [
            (12, 0.19, 0.20, 0.02),
            (12, 0.17, 0.21, 0.012),
            (8, 0.30, 0.29, 0.02),
            (15, 0.40, 0.38, 0.03),
            (25, 0.25, 0.24, 0.02),
            (60, 0.30, 0.28, 0.03),
            (200, 0.55, 0.50, 0.05),
            (1_000, 0.12, 0.11, 0.02),
        ]
    ):
        yield (
            f"warm start of {rows} rows",
            {
                "steps": rows * 10,
                "start": start,
                "end": end,
                "noise": noise,
                "shape": 0,
                "eval_steps": 0,
                "seed": number,
                "warmup": max(12, rows),
            },
        )


def short_logs():
    for number, rows in enumerate((5, 6, 7, 8, 10, 12, 15, 19)):
        for noise in (0.02, 0.12):
            yield (
                f"{rows} rows, noise {noise}",
                {
                    "steps": rows * 10,
                    "noise": noise,
                    "seed": number,
                    "warmup": 12,
                    "eval_steps": 0,
                    "end": 0.8,
                },
            )


def stairs(at, _):
    return PEAK * 0.5 ** math.floor(at * 4)


def warmed_stairs(at, value):
    return value if at < 0.15 else stairs(at, value)


def restarts(cycles):
    return lambda at, _: PEAK * 0.5 * (1 + math.cos(math.pi * (at * cycles % 1)))


def warmed_restarts(cycles):
    """Every cycle warms up first, as `CosineAnnealingWarmupRestarts` does."""

    def change(at, _):
        share = at * cycles % 1
        if share < 0.2:
            return PEAK * share / 0.2
        return PEAK * 0.5 * (1 + math.cos(math.pi * (share - 0.2) / 0.8))

    return change


def stable_then_down(at, value):
    return value if at < 1 / 6 else PEAK * min(1.0, (1 - at) / 0.2 + 1e-3)


def inverse_root(at, value):
    return value if at < 1 / 6 else PEAK * math.sqrt((1 / 6) / at)


def plateau_cuts(at, _):
    return PEAK * (1.0 if at < 0.4 else 0.1 if at < 0.8 else 0.01)


def one_cycle(at, _):
    low = PEAK / 25
    return low + (PEAK - low) * 0.5 * (
        1
        - math.cos(
            2 * math.pi * min(at / 0.6, 1.0) if at < 0.3 else math.pi * (1 + (at - 0.3) / 0.7)
        )
    )


def exponential(at, value):
    return value if at < 1 / 6 else PEAK * math.exp(-4 * (at - 1 / 6))


def polynomial(at, value):
    return value if at < 1 / 6 else PEAK * (1 - (at - 1 / 6) / (5 / 6)) ** 2


def triangles(at, _):
    share = at * 4 % 1
    return PEAK * (0.1 + 0.9 * (2 * share if share < 0.5 else 2 * (1 - share)))


def rounded(_, value):
    return float(f"{value:.1e}")


def schedules():
    named = {
        "staircase": stairs,
        "warmed staircase": warmed_stairs,
        "two cosine cycles": restarts(2),
        "five cosine cycles": restarts(5),
        "warm-up in every cycle": warmed_restarts(3),
        "stable, then down": stable_then_down,
        "inverse square root": inverse_root,
        "cut on plateau": plateau_cuts,
        "one cycle": one_cycle,
        "exponential": exponential,
        "polynomial": polynomial,
        "triangles": triangles,
        "two digits": rounded,
    }
    for name, change in named.items():
        yield name, {"learning_rate": change}
        yield f"{name}, sparse", {"learning_rate": change, "logging_steps": 25}


def sparse_logs():
    for number, spacing in enumerate((50, 100, 200, 500)):
        yield (
            f"a row every {spacing} steps",
            {"steps": 10_000, "logging_steps": spacing, "eval_steps": 1_000, "seed": number},
        )
    yield "a row an epoch", {"logging_steps": 120, "eval_steps": 120}
    yield "no rate, no gradient", {"edit_rows": lambda rows: [_drop(row) for row in rows]}


def _drop(row):
    row.pop("learning_rate", None)
    row.pop("grad_norm", None)


def first_step_logged(low):
    """`logging_first_step`: a row of one batch before rows that average ten."""

    def edit(rows):
        rows.insert(
            0, {"step": 1, "epoch": 0.01, "loss": low, "grad_norm": 2.0, "learning_rate": 7e-7}
        )

    return edit


def resumed(rows):
    """A closing row in the middle; rows and rate go on where they were."""
    rows.insert(30, {"train_runtime": 5.0, "train_loss": 1.2, "step": 300, "epoch": 2.5})


def logged_less_after_resumption(rows):
    rows[:] = [row for row in rows if row["step"] <= 200 or row["step"] % 50 == 0]


def resumes():
    yield "resumed", {"edit_rows": resumed}
    yield "logged less after it", {"edit_rows": logged_less_after_resumption, "steps": 1_000}
    yield "longer than planned at first", {"steps": 600, "max_steps": 600, "epochs": 10}
    for low in (0.5, 1.2, 4.0):
        yield f"first step logged at {low}", {"edit_rows": first_step_logged(low)}
        yield (
            f"first step logged at {low}, short",
            {"edit_rows": first_step_logged(low), "steps": 120, "warmup": 12, "eval_steps": 0},
        )


def by_heart(at, _):
    """Learned by heart: down to the last decimal by degrees."""
    return round(2.4 * math.exp(-12 * at), 4)


def tiny_gradients(at, _):
    return 1.5 * math.exp(-14 * at)


def heavy_tailed():
    chance = random.Random(5)
    return lambda at, _: (2.4 - 1.6 * at) * chance.lognormvariate(-0.5, 1.0)


def scored(rows):
    """A retrieval score that rises, falls by noise, and has no loss beside it."""
    chance = random.Random(9)
    for row in rows:
        if row.pop("eval_loss", None) is not None:
            row["eval_pages_ndcg@5"] = 0.7 - 0.5 * math.exp(-row["step"] / 150)
            row["eval_pages_ndcg@5"] += chance.gauss(0, 0.006)


def others():
    yield (
        "learned by heart",
        {"loss": by_heart, "noise": 0, "grad_norm": tiny_gradients, "batch_size": 1},
    )
    yield (
        "single examples",
        {"loss": heavy_tailed(), "batch_size": 1, "logging_steps": 1, "noise": 0},
    )
    yield "a score in place of the loss", {"edit_rows": scored}
    yield "a loss that dips below 0 once", {"loss": lambda at, v: -0.008 if at == 0.7 else v}
    yield "data that change twice", {"loss": lambda at, v: v * (1.0, 1.25, 1.1)[int(at * 2.99)]}
    yield "high but steady gradients", {"grad_norm": lambda _, v: 60 * v}
    yield "evaluations that wander", {"eval_steps": 20, "eval_loss": wander()}


def wander():
    chance = random.Random(2)
    return lambda _, value: value * (1 + chance.gauss(0, 0.03))


def endings():
    patience = {
        "EarlyStoppingCallback": {
            "args": {"early_stopping_patience": 3},
            "attributes": {"early_stopping_patience_counter": 3},
        }
    }
    for done in (270, 330, 480):
        yield (
            f"stopped early at {done}",
            {"steps": done, "max_steps": 600, "edit_state": {"stateful_callbacks": patience}},
        )
    yield "last save point", {"steps": 600, "max_steps": 640}
    yield "no multiple of anything", {"steps": 617, "max_steps": 617, "eval_steps": 50}


def variations():
    kinds = (warm_starts, short_logs, schedules, sparse_logs, resumes, others, endings)
    return dict(variation for kind in kinds for variation in kind())


VARIATIONS = variations()
CANNOT_BE_CONTRASTIVE = {"learned by heart", "single examples"}
"""A loss of a batch of one has no candidates."""
FLAT = {"warm start of 25 rows", "warm start of 60 rows"}
"""Of a loss of unknown kind LOG003 warns here: an untrained run looks the same."""
SHORT_WARMUP = {"staircase", "two cosine cycles", "five cosine cycles", "cut on plateau"}
"""No warm-up, which LOG012 names, and nothing else of it."""


def judged(tmp_path, name, **loss):
    path = write_training_log(tmp_path, **VARIATIONS[name])
    found = judge_log(path, **loss)
    accused = {rule: found[rule] for rule in fired(found, "error", "warning")}
    texts = accused.get("LOG012", ("", ""))[1].split("; ")
    if name.removesuffix(", sparse") in SHORT_WARMUP | {"one cycle"}:
        texts = [text for text in texts if "warm-up" not in text]
        if not texts:
            del accused["LOG012"]
    return accused


def test_there_are_enough_of_them():
    assert len(VARIATIONS) >= 60


@pytest.mark.parametrize("name", VARIATIONS)
def test_healthy_variation_is_not_accused(tmp_path, name):
    found = judged(tmp_path, name)
    if name in FLAT:
        assert found.pop("LOG003")[0] == "warning"
    assert found == {}


@pytest.mark.parametrize("name", sorted(VARIATIONS.keys() - CANNOT_BE_CONTRASTIVE))
def test_known_loss_makes_no_healthy_variation_accused(tmp_path, name):
    found = judged(tmp_path, name, kind="contrastive", candidates=16)
    # A warm start of a known loss is below its chance: it has nothing to fall.
    assert found == {}


@pytest.mark.parametrize("tail", [0.0, 0.3])
def test_reinforcement_may_end_at_zero(tmp_path, tail):
    def rewarded(rows):
        for row in rows:
            row["reward"] = 0.5

    path = write_training_log(
        tmp_path, edit_rows=rewarded, loss=lambda at, v: 0.0 if at > tail else v
    )
    assert fired(judge_log(path), "error", "warning") == set()


def test_the_log_of_the_schedule_is_the_one_that_was_meant(tmp_path):
    path = write_training_log(tmp_path, learning_rate=triangles)
    rows = [row for row in json.loads(path.read_text())["log_history"] if "loss" in row]
    assert max(row["learning_rate"] for row in rows) > 0.9 * PEAK
    assert scheduled(50, 600, 100, PEAK) == pytest.approx(PEAK / 2)
