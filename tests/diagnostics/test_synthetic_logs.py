import math
import random

import pytest
from builders.training_log import write_training_log
from support.log_judging import fired, judge_log

SEEDS = (0, 1, 2)


def healthy_curves():
    """Curves with every mix of schedule, noise, batch, evaluations and length."""
    chance = random.Random(7)
    lengths = (20, 24, 30, 40, 60, 100, 200, 400, 1_000, 2_000, 5_000, 20_000)
    for number in range(60):
        batch = (4, 8, 16, 32, 64, 128, 256)[number % 7]
        rows = lengths[number % 12]
        level = math.log(batch)
        spacing = 1 if rows > 2_000 else chance.choice((5, 10))
        yield {
            "steps": rows * spacing,
            "logging_steps": spacing,
            "eval_steps": rows * spacing // 10 if number % 2 else 0,
            "batch_size": batch,
            "start": level * chance.uniform(0.8, 1.0),
            "end": level * chance.uniform(0.1, 0.33),
            "noise": chance.uniform(0.02, 0.15),
            "schedule": chance.choice(("linear", "cosine")),
            "shape": chance.choice((3.0, 5.0, 8.0)),
            "warmup": max(2, rows * spacing // 10),
            "seed": number,
        }


@pytest.mark.parametrize("curve", list(healthy_curves()), ids=lambda c: f"seed{c['seed']}")
def test_healthy_curve_is_not_accused(tmp_path, curve):
    path = write_training_log(tmp_path, **curve)
    found = judge_log(path, kind="contrastive", candidates=curve["batch_size"])
    assert fired(found, "error", "warning") == set(), found


def until(share, before, after):
    return lambda at, value: before(at, value) if at < share else after(at, value)


def same(_, value):
    return value


def constant(figure):
    return lambda _, __: figure


def noisy(level, spread):
    chance = random.Random(3)
    return lambda at, _: max(0.01, level(at) + chance.gauss(0, spread))


def swinging(amplitude, turns):
    return lambda at, value: max(0.05, value + amplitude * math.sin(2 * math.pi * turns * at))


def alternating(amplitude):
    sign = {"now": 1}

    def change(_, value):
        sign["now"] = -sign["now"]
        return max(0.05, value + sign["now"] * amplitude)

    return change


def spike_once(share, factor):
    done = []

    def change(at, value):
        if at >= share and not done:
            done.append(at)
            return factor * value
        return value

    return change


FAULTS = {
    "NaN loss": ("LOG001", lambda: {"loss": until(0.4, same, constant(math.nan))}),
    "NaN hidden as zero": (
        "LOG001",
        lambda: {
            "loss": until(0.4, same, constant(0.0)),
            "grad_norm": until(0.4, same, constant(math.nan)),
        },
    ),
    "flat": ("LOG003", lambda: {"start": 2.4, "end": 2.35, "shape": 0, "eval_steps": 0}),
    "flat and noisy": ("LOG003", lambda: {"start": 2.4, "end": 2.35, "noise": 0.12}),
    "slow swings": ("LOG005", lambda: {"loss": swinging(0.6, 6)}),
    "fast swings": ("LOG005", lambda: {"loss": swinging(0.7, 40)}),
    "alternation": ("LOG005", lambda: {"loss": alternating(0.6)}),
    "wild noise": ("LOG005", lambda: {"loss": noisy(lambda at: 2.4 - at, 0.8)}),
    "overfitting": (
        "LOG007",
        lambda: {
            "eval_steps": 30,
            "eval_loss": until(0.4, same, lambda at, _: 1.0 + (at - 0.4) * 1.2),
        },
    ),
    "divergence": ("LOG006", lambda: {"loss": until(0.5, same, lambda at, v: v + 5 * (at - 0.5))}),
    "collapse to a plateau": ("LOG006", lambda: {"loss": until(0.5, same, lambda _, v: v + 2)}),
    "chance": ("LOG002", lambda: {"start": math.log(16), "end": 2.75, "noise": 0.02}),
    "chance from above": ("LOG002", lambda: {"start": 5.0, "end": math.log(16), "shape": 20.0}),
    "single loss spike": ("LOG010", lambda: {"loss": spike_once(0.5, 12)}),
    "gradients x200": ("LOG010", lambda: {"grad_norm": until(0.6, same, lambda _, v: 200 * v)}),
    "rate of zero": (
        "LOG012",
        lambda: {"learning_rate": constant(0.0), "start": 2.4, "end": 2.39},
    ),
    "rate dies half-way": ("LOG012", lambda: {"learning_rate": until(0.5, same, constant(0.0))}),
    "rate leaps": ("LOG012", lambda: {"learning_rate": until(0.5, same, lambda _, v: 8 * v)}),
    "dead gradients": ("LOG011", lambda: {"grad_norm": constant(0.0), "start": 2.4, "end": 2.38}),
    "zero loss": ("LOG009", lambda: {"loss": constant(0.0), "eval_loss": constant(0.0)}),
    "stops at 55 %": ("LOG013", lambda: {"steps": 330, "max_steps": 600}),
    "jump after resume": (
        "LOG014",
        lambda: {"loss": until(0.501, same, lambda at, v: v + 1.5 * math.exp(-8 * (at - 0.5)))},
    ),
}

GATING = {
    "LOG001",
    "LOG002",
    "LOG003",
    "LOG005",
    "LOG006",
    "LOG007",
    "LOG009",
    "LOG011",
    "LOG013",
    "LOG014",
}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("fault", FAULTS)
def test_fault_is_named(tmp_path, fault, seed):
    rule, changes = FAULTS[fault]
    path = write_training_log(tmp_path, seed=seed, **changes())
    found = judge_log(path, kind="contrastive", candidates=16)
    wanted = ("error",) if rule in GATING or fault == "rate of zero" else ("warning",)
    assert rule in fired(found, *wanted), found
