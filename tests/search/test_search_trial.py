import warnings
from threading import Event
from types import SimpleNamespace

import pytest

pytest.importorskip("torch")
optuna = pytest.importorskip("optuna")
pytest.importorskip("colpali_engine")

from optuna.samplers import TPESampler  # noqa: E402 - after the skip
from optuna.trial import TrialState, create_trial  # noqa: E402 - after the skip
from tqdm.auto import tqdm  # noqa: E402 - after the skip
from transformers import TrainerState, TrainingArguments  # noqa: E402 - after the skip

from colintern.recipes.named import tiny  # noqa: E402 - after the skip
from colintern.search.held_out import HeldOutRetrieval  # noqa: E402 - after the skip
from colintern.search.places import best_of, places_of  # noqa: E402 - after the skip
from colintern.search.sampler import make_sampler  # noqa: E402 - after the skip
from colintern.search.study import SearchPlan, make_pruner  # noqa: E402 - after the skip
from colintern.search.trial import TrialWatcher, named, trial_recipe  # noqa: E402 - after the skip
from colintern.training.callbacks import TrainingProgress  # noqa: E402 - after the skip

EVALUATIONS = 5


def study_of(completed, *, value=0.9):
    study = optuna.create_study(direction="maximize", pruner=make_pruner(EVALUATIONS))
    for _ in range(completed):
        course = dict.fromkeys(range(1, EVALUATIONS + 1), value)
        study.add_trial(create_trial(value=value, intermediate_values=course))
    return study


def watcher_of(trial, *values):
    watcher = TrialWatcher(trial, EVALUATIONS, Event())
    measured = iter(values)
    watcher._measure = SimpleNamespace(ndcg_at_5=lambda _: next(measured))
    return watcher


def state_at(step, *, of=100):
    return TrainerState(global_step=step, max_steps=of, epoch=step / of)


@pytest.mark.parametrize(
    ("completed", "value", "step", "is_pruned"),
    [
        (4, 0.1, 40, True),
        (4, 0.1, 80, True),
        (4, 0.95, 40, False),
        (4, 0.1, 20, False),
        (3, 0.1, 80, False),
        (4, 0.1, 100, False),
    ],
)
def test_a_trial_is_pruned_late_and_beside_others(completed, value, step, is_pruned):
    trial = study_of(completed).ask()
    watcher, control = watcher_of(trial, value), SimpleNamespace(should_save=False)
    watcher.on_evaluate(None, state_at(step), control, model=None)
    assert control.should_save is is_pruned
    assert trial.study.trials[-1].intermediate_values == {step // 20: value}
    if is_pruned:
        with pytest.raises(optuna.TrialPruned, match=r"NDCG@5 0\.100 after \d0% was below"):
            watcher.on_save()
    else:
        watcher.on_save()


def test_a_run_that_ends_between_evaluations_is_measured():
    trial = study_of(0).ask()
    watcher = watcher_of(trial, 0.25, 0.5)
    watcher.on_evaluate(None, state_at(84), SimpleNamespace(), model=None)
    watcher.on_train_end(None, state_at(100), None, model=None)
    assert watcher.final_value == 0.5
    assert trial.study.trials[-1].intermediate_values == {4: 0.25, 5: 0.5}


def test_a_run_is_measured_once_at_its_end():
    watcher = watcher_of(study_of(0).ask(), 0.25)
    watcher.on_evaluate(None, state_at(100), SimpleNamespace(), model=None)
    watcher.on_train_end(None, state_at(100), None, model=None)
    assert watcher.final_value == 0.25


def test_a_run_that_was_stopped_has_no_final_value():
    trial = study_of(0).ask()
    watcher = watcher_of(trial, 0.25)
    watcher.on_train_end(None, state_at(60), None, model=None)
    assert watcher.final_value is None
    # It was measured at its end, and interrupted before it was told.
    trial.report(0.75, EVALUATIONS)
    assert watcher.final_value == 0.75


def test_a_pruned_trial_is_never_the_best():
    trials = [
        create_trial(value=0.2),
        create_trial(state=TrialState.PRUNED, value=0.9, intermediate_values={1: 0.9}),
    ]
    for number, each in enumerate(trials):
        each.number = number
    assert best_of(places_of(trials)).number == 0


def test_pages_of_the_same_question_all_answer_it():
    measure = HeldOutRetrieval([{}] * 3, None, None)
    assert measure._relevant(["a", "a", "b"]) == [{0, 1}, {0, 1}, {2}]


@pytest.mark.parametrize(("num_trials", "learns_after"), [(3, 3), (15, 5), (100, 10)])
def test_the_sampler_learns_from_a_third_of_the_trials(num_trials, learns_after):
    def tried(sampler):
        study = optuna.create_study(direction="maximize", sampler=sampler)
        rates = []
        for number in range(learns_after + 1):
            trial = study.ask({"rate": optuna.distributions.FloatDistribution(0, 1)})
            rates.append(trial.params["rate"])
            study.tell(trial, number)
        return rates

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        random = TPESampler(n_startup_trials=1000, multivariate=True, constant_liar=True, seed=3)
    ours, theirs = tried(make_sampler(num_trials, seed=3)), tried(random)
    assert ours[:-1] == theirs[:-1]
    assert ours[-1] != theirs[-1]


def test_a_trial_has_its_number_in_its_bar(tmp_path):
    plan = SearchPlan(recipe=tiny(), space=(), evaluations=2)
    recipe = named(trial_recipe(plan, {}), 3)
    assert recipe.arguments["run_name"] == "trial 3"
    assert named(named(tiny(), 3), 4).arguments["run_name"] == "trial 3 trial 4"
    bar, state = TrainingProgress(), state_at(0)
    arguments = TrainingArguments(str(tmp_path), run_name="trial 3", report_to=[])
    bar.on_train_begin(arguments, state, None)
    state.log_history = [{"eval_loss": 2.0, "step": 20}]
    bar.on_log(arguments, state, None, logs={"loss": 3.0})
    assert "NDCG@5" not in str(bar.training_bar)
    state.log_history[-1]["eval_ndcg_at_5"] = 0.125
    bar.on_evaluate(arguments, state, None)
    shown = str(bar.training_bar)
    assert isinstance(bar.training_bar, tqdm)
    for text in ("trial 3", "loss=3.000", "NDCG@5=0.125"):
        assert text in shown
    bar.on_train_end(arguments, state, None)


def test_a_run_without_a_name_has_a_plain_bar(tmp_path):
    bar, arguments = TrainingProgress(), TrainingArguments(str(tmp_path), report_to=[])
    bar.on_train_begin(arguments, state_at(0), None)
    assert str(bar.training_bar).startswith("  0%")
    bar.on_train_end(arguments, state_at(0), None)
