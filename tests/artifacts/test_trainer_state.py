import json
import math

import pytest
from builders.training_log import DROP, training_log, write_training_log
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.log_judging import judge_log

from colintern.artifacts import limits
from colintern.artifacts.errors import ArtifactError
from colintern.artifacts.logs.log_table import NO_STEP
from colintern.artifacts.logs.trainer_state import read_trainer_state

GENERATIONS = {
    "13 keys": (
        "logging_steps",
        "save_steps",
        "eval_steps",
        "train_batch_size",
        "num_input_tokens_seen",
        "stateful_callbacks",
        "best_global_step",
    ),
    "16 keys": (
        "train_batch_size",
        "num_input_tokens_seen",
        "stateful_callbacks",
        "best_global_step",
    ),
    "18 keys": ("stateful_callbacks", "best_global_step"),
    "19 keys": ("best_global_step",),
    "20 keys": (),
}


def written(tmp_path, text):
    path = tmp_path / "trainer_state.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def state_of(tmp_path, *rows, **keys):
    state = {"log_history": list(rows), "global_step": 10, "max_steps": 10, **keys}
    return read_trainer_state(written(tmp_path, json.dumps(state)), None)


@pytest.mark.parametrize("generation", GENERATIONS)
def test_every_key_generation_is_read(tmp_path, generation):
    edit = dict.fromkeys(GENERATIONS[generation], DROP)
    state = read_trainer_state(write_training_log(tmp_path, edit_state=edit), None)
    assert len(state.training) == 60
    assert len(state.evaluations) == 6
    assert (state.train_batch_size is None) == ("train_batch_size" in edit)
    assert state.has_training_loss_summary
    assert state.summary["train_samples_per_second"] == 25.6


def test_columns_hold_what_the_rows_hold(tmp_path):
    state = state_of(
        tmp_path,
        {"step": 1, "epoch": 0.5, "loss": 2, "learning_rate": 1e-4, "grad_norm": 1.5},
        {"step": 2, "epoch": 1.0, "loss": 1.5},
        {"step": 2, "epoch": 1.0, "eval_loss": 1.25},
        {"epoch": 1.0, "predict_loss": 3.0},
    )
    assert state.training.step.tolist() == [1, 2]
    assert state.training.loss.tolist() == [2.0, 1.5]
    assert state.training.has_grad_norm.tolist() == [True, False]
    assert math.isnan(state.training.learning_rate[1])
    assert state.evaluations.row.tolist() == [2]
    assert state.num_rows == 4


def test_bare_nan_and_infinity_are_numbers(tmp_path):
    text = '{"log_history": [{"loss": NaN, "grad_norm": Infinity, "step": 1}], "global_step": 1}'
    state = read_trainer_state(written(tmp_path, text), None)
    assert math.isnan(state.training.loss[0])
    assert math.isinf(state.training.grad_norm[0])


def test_crlf_and_byte_order_mark_are_read(tmp_path):
    text = json.dumps(training_log(), indent=2).replace("\n", "\r\n")
    assert len(read_trainer_state(written(tmp_path, "\ufeff" + text), None).training) == 60


def test_float_steps_are_whole_numbers(tmp_path):
    state = state_of(tmp_path, {"loss": 1.0, "step": 5.0}, logging_steps=1.0, save_steps=0.1)
    assert state.training.step.tolist() == [5]
    assert state.logging_steps == 1.0


def test_row_without_step_is_kept(tmp_path):
    state = state_of(tmp_path, {"loss": 1.0, "epoch": 0.1})
    assert state.training.step.tolist() == [NO_STEP]
    assert not state.training.steps_known()


def test_empty_log_is_read(tmp_path):
    state = state_of(tmp_path)
    assert (len(state.training), len(state.evaluations), state.num_rows) == (0, 0, 0)


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"loss": 1.0, "reward": 0.2}, True),
        ({"loss": 0.0, "completion_length": 12.0}, True),
        ({"loss": 0.7, "rewards/chosen": 0.1}, False),
        ({"loss": 0.7}, False),
    ],
)
def test_reinforcement_is_told_from_preference(tmp_path, row, expected):
    assert state_of(tmp_path, row).is_reinforcement is expected


@pytest.mark.parametrize(("counter", "used_up"), [(3, True), (2, False)])
def test_early_stopping_patience_is_read(tmp_path, counter, used_up):
    callback = {
        "args": {"early_stopping_patience": 3, "early_stopping_threshold": 0.0},
        "attributes": {"early_stopping_patience_counter": counter},
    }
    state = state_of(tmp_path, stateful_callbacks={"EarlyStoppingCallback": callback})
    assert state.early_stopping.used_up is used_up


@pytest.mark.parametrize(
    ("row", "key"),
    [
        ({"loss": "high"}, "log_history[1].loss"),
        ({"loss": True}, "log_history[1].loss"),
        ({"loss": [1.0]}, "log_history[1].loss"),
        ({"loss": 1.0, "grad_norm": {}}, "log_history[1].grad_norm"),
        ({"loss": 1.0, "epoch": "1"}, "log_history[1].epoch"),
        ({"loss": 1.0, "step": 1.5}, "log_history[1].step"),
        ({"loss": 1.0, "step": -1}, "log_history[1].step"),
        ({"loss": 1.0, "step": 1e300}, "log_history[1].step"),
        ({"eval_loss": "low"}, "log_history[1].eval_loss"),
        ({"train_loss": "low"}, "log_history[1].train_loss"),
        (7, "log_history[1]"),
    ],
)
def test_wrong_type_names_the_key(tmp_path, row, key):
    with pytest.raises(ArtifactError) as raised:
        state_of(tmp_path, {"loss": 1.0, "step": 1}, row)
    assert key in str(raised.value)


@pytest.mark.parametrize(
    "keys",
    [
        {"global_step": "ten"},
        {"max_steps": 1.5},
        {"log_history": {}},
        {"stateful_callbacks": []},
        {"global_step": 10**400},
        {"stateful_callbacks": {"EarlyStoppingCallback": {"args": 3}}},
    ],
)
def test_wrong_header_is_an_artifact_error(tmp_path, keys):
    text = json.dumps({"log_history": [], "global_step": 1, **keys})
    with pytest.raises(ArtifactError):
        read_trainer_state(written(tmp_path, text), None)


def test_integer_beyond_floats_is_an_artifact_error(tmp_path):
    with pytest.raises(ArtifactError, match="integer"):
        state_of(tmp_path, {"loss": 10**400})


def test_too_many_rows_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "LOG_ROWS", 3)
    rows = [{"loss": 1.0}] * 3 + [{"eval_loss": 1.0}] * 3 + [{"train_runtime": 1.0}]
    assert state_of(tmp_path, *rows).num_rows == 7
    for key in ("loss", "eval_loss"):
        with pytest.raises(ArtifactError, match=f"at most 3 rows with `{key}`") as raised:
            state_of(tmp_path, *rows, {key: 1.0})
        assert "found 4" in str(raised.value)


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.text(max_size=3),
    st.integers(),
    st.just(10**400),
    st.floats(),
    st.lists(st.integers(), max_size=2),
    st.just({}),
)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_mutated_log_never_crashes(tmp_path, data):
    """Reader: ArtifactError or a state. Rules: verdicts, whatever the numbers."""
    state = training_log(steps=50, logging_steps=2, eval_steps=10, warmup=5)
    for _ in range(data.draw(st.integers(1, 4))):
        place, history = state, state["log_history"]
        rows = (
            [row for row in history if isinstance(row, dict)] if isinstance(history, list) else []
        )
        if rows and data.draw(st.booleans()):
            place = data.draw(st.sampled_from(rows))
        place[data.draw(st.sampled_from(sorted(place)))] = data.draw(VALUES)
    path = written(tmp_path, json.dumps(state))
    try:
        read_trainer_state(path, None)
    except ArtifactError:
        return
    judge_log(path, kind="contrastive", candidates=16)


EXTREMES = st.sampled_from(
    [0.0, -0.0, 1.0, -1.0, 1e-320, 1e308, -1e308, math.inf, -math.inf, math.nan, 2.77, 1e16]
)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(st.tuples(EXTREMES, EXTREMES, EXTREMES, st.integers(0, 50)), max_size=70),
    st.lists(EXTREMES, max_size=12),
)
def test_extreme_numbers_never_crash(tmp_path, rows, evaluations):
    history = [
        {"loss": loss, "learning_rate": rate, "grad_norm": norm, "step": step, "epoch": step / 9}
        for loss, rate, norm, step in rows
    ]
    history += [{"eval_loss": loss, "step": 3} for loss in evaluations]
    keys = {"global_step": 40, "max_steps": 50, "train_batch_size": 16, "epoch": 2.0}
    path = written(tmp_path, json.dumps({"log_history": history, **keys}))
    for kind, candidates in (("contrastive", 16), (None, None), ("pairwise", None)):
        judge_log(path, kind=kind, candidates=candidates)
