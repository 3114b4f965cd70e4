import numpy as np
import pytest
from builders.training_log import write_training_log

from colintern.artifacts.logs.metrics import MOST_METRICS, metric_series
from colintern.artifacts.logs.trainer_state import read_trainer_state
from colintern.diagnostics.log.evaluation_course import evaluation_course
from colintern.diagnostics.log.loss_validity import loss_validity

NDCG = "eval_pages_ndcg@5"


def log_with(tmp_path, series, *, state=None, **changes):
    """A log whose evaluations, one every 100 steps, hold these values instead of a loss."""

    def edit(rows):
        evaluations = [row for row in rows if "eval_loss" in row]
        for number, row in enumerate(evaluations):
            del row["eval_loss"]
            row.update({name: values[number] for name, values in series.items()})

    count = len(next(iter(series.values())))
    path = write_training_log(
        tmp_path, steps=count * 100, edit_rows=edit, edit_state=state or {}, **changes
    )
    return read_trainer_state(path, None)


RISING_LOSSES = [
    ([1.0, 0.8, 1.296, 1.29, 1.28, 1.27], True),
    ([1.0, 0.8, 1.35, 1.32, 1.29], True),
    ([1.0, 0.8, 0.82, 0.81, 0.83, 0.82], False),
    ([1.0, 0.8, 1.3, 0.85, 1.25, 0.82], False),
    ([1.0, 0.8, 1.3], False),
    ([1.2, 1.1, 1.0, 0.95, 0.9], False),
]


@pytest.mark.parametrize(("values", "overfits"), RISING_LOSSES)
def test_loss_that_leaves_its_minimum_for_good_overfits(tmp_path, values, overfits):
    found = evaluation_course(log_with(tmp_path, {"eval_loss": values}))
    assert (found.name, found.overfits) == ("eval_loss", overfits)
    assert found.series.overfits_beyond_doubt is overfits


def test_p_is_not_quoted_where_it_did_not_decide(tmp_path):
    found = evaluation_course(
        log_with(tmp_path, {"eval_loss": [1.0, 0.8, 1.296, 1.29, 1.28, 1.27]})
    )
    assert str(found).endswith("(+58.7%, all 4 evaluations after it are worse)")


FALLING_SCORES = [
    ([0.69, 0.645, 0.645], True),
    ([0.60, 0.69, 0.645, 0.64], True),
    ([0.69, 0.68, 0.685], False),
    ([0.69, 0.60, 0.66], False),
    ([0.60, 0.69, 0.64], False),
    ([0.50, 0.60, 0.65, 0.66], False),
]


@pytest.mark.parametrize(("values", "overfits"), FALLING_SCORES)
def test_score_counts_turned_round(tmp_path, values, overfits):
    found = evaluation_course(log_with(tmp_path, {NDCG: values}))
    assert (found.name, found.greater_is_better, found.overfits) == (NDCG, True, overfits)
    assert (found.best, found.last) == (max(values), values[-1])


@pytest.mark.parametrize(
    ("options", "state", "name"),
    [
        ({}, {}, "eval_loss"),
        ({"chosen": "pages_ndcg@5"}, {}, NDCG),
        ({"chosen": NDCG}, {}, NDCG),
        ({"chosen": "loss"}, {}, "eval_loss"),
        ({"chosen": "never_logged"}, {}, "eval_loss"),
        ({}, {"best_metric": 0.65}, NDCG),
        ({}, {"best_metric": 0.8}, "eval_loss"),
    ],
)
def test_series_is_the_one_that_the_run_goes_by(tmp_path, options, state, name):
    series = {"eval_loss": [1.0, 0.9, 0.8], NDCG: [0.5, 0.6, 0.65], "eval_kl": [3.0, 2.0, 1.0]}
    assert evaluation_course(log_with(tmp_path, series, state=state), **options).name == name


@pytest.mark.parametrize(
    ("name", "greater"),
    [
        ("eval_NanoBEIR_mean_maxsim_ndcg@10", True),
        ("eval_it-ir_score", True),
        ("eval_accuracy", True),
        ("eval_rougeL", True),
        ("eval_kd-holdout_kl_divergence", False),
        ("eval_wer", False),
        ("eval_other_loss", False),
        ("eval_perplexity", False),
    ],
)
def test_direction_is_that_of_the_name(tmp_path, name, greater):
    log = log_with(tmp_path, {name: [0.5, 0.6, 0.65]})
    # What was asked for is believed only where the name says nothing.
    assert evaluation_course(log, greater_is_better=not greater).greater_is_better is greater


def test_direction_that_nothing_tells_is_not_judged(tmp_path):
    series = {"eval_zeta": [0.9, 0.8, 0.7, 0.6]}
    assert evaluation_course(log_with(tmp_path, series)) is None
    told = log_with(tmp_path, series, state={"best_metric": 0.9})
    assert evaluation_course(told).overfits
    assert evaluation_course(log_with(tmp_path, series), greater_is_better=True).overfits


@pytest.mark.parametrize(
    ("best", "wrong"), [(0.5, True), (0.7, False), (0.6, False), (None, False)]
)
def test_worst_that_was_held_for_the_best_shows_the_wrong_sign(tmp_path, best, wrong):
    log = log_with(tmp_path, {NDCG: [0.5, 0.6, 0.7, 0.65]}, state={"best_metric": best})
    assert evaluation_course(log).wrong_sign is wrong


@pytest.mark.parametrize(("kept", "value"), [((617,), 0.7), ((200, 617), 0.6), ((250,), None)])
def test_checkpoint_after_the_last_evaluation_counts_as_that_one(tmp_path, kept, value):
    log = log_with(tmp_path, {"eval_loss": [1.0, 0.6, 0.65, 0.68, 0.69, 0.7]})
    found = evaluation_course(log).series.best_of(kept)
    assert (found.value if found else None) == value


def test_metrics_are_bounded_and_only_numbers():
    rows = [
        {"step": 1, "loss": 2.0, "eval_of_training_row": 1.0},
        {"step": 5, "eval_a": 1, "eval_b": "x", "eval_c": True, "eval_d": float("nan"), "b": 2.0},
        {"step": "x", "eval_a": 10**400, "eval_runtime": 3.0, "eval_loss": 1.0},
        {"step": -4, "eval_a": 2.5},
    ]
    found = metric_series(rows)
    assert list(found) == ["eval_a"]
    assert (found["eval_a"].value.tolist(), found["eval_a"].step.tolist()) == ([1.0, 2.5], [5, -1])
    many = [{"step": 1, **{f"eval_{n}": 1.0 for n in range(3_000)}}]
    assert len(metric_series(many)) == MOST_METRICS


ZEROS = {
    "at once": (lambda at, v: v if at <= 0.6 else 0.0, True),
    "from the first row on": (lambda *_: 0.0, True),
    "by degrees": (lambda at, _: round(2.4 * np.exp(-30 * at), 4), False),
    "in four rows": (lambda at, v: v if at < 0.99 else 0.0, False),
    "not to the end": (lambda at, v: 0.0 if 0.4 < at < 0.8 else v, False),
}


@pytest.mark.parametrize("name", ZEROS)
def test_zero_to_the_end_is_told_from_what_was_learned_by_heart(tmp_path, name):
    change, is_told = ZEROS[name]
    log = read_trainer_state(write_training_log(tmp_path, loss=change), None)
    assert (loss_validity(log).zero_from is not None) is is_told


@pytest.mark.parametrize(("rows", "negative"), [(1, False), (2, False), (3, True), (30, True)])
def test_negative_rows_are_counted(tmp_path, rows, negative):
    def edit(every):
        for row in [row for row in every if "loss" in row][-rows:]:
            row["loss"] = -0.4

    log = read_trainer_state(write_training_log(tmp_path, edit_rows=edit), None)
    assert loss_validity(log).negative is negative
