import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from threading import Event

import msgspec
import pytest

optuna = pytest.importorskip("optuna")

from optuna.trial import TrialState, create_trial  # noqa: E402 - after the skip
from support.study_worker import worker_of  # noqa: E402 - after the skip

from colintern.recipes.named import tiny  # noqa: E402 - after the skip
from colintern.recipes.params import BATCH  # noqa: E402 - after the skip
from colintern.search.places import best_of, places_of  # noqa: E402 - after the skip
from colintern.search.sampler import (  # noqa: E402 - after the skip
    OUT_OF_MEMORY,
    batch_limit,
    make_sampler,
)
from colintern.search.storage import (  # noqa: E402 - after the skip
    StorageError,
    open_storage,
    shown_storage,
)
from colintern.search.study import (  # noqa: E402 - after the skip
    SETTINGS,
    SearchPlan,
    StudyError,
    open_study,
)
from colintern.search.summary import table_text, trial_rows  # noqa: E402 - after the skip
from colintern.search.worker import Outcome, SearchError, Watch, is_dead, this_worker  # noqa: E402 - after the skip

WORKER = Path(__file__).parents[1] / "support" / "study_worker.py"


def places(study):
    return places_of(study.get_trials(deepcopy=False))


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """A study in a journal and one in SQLite, each done by three workers, of which one died."""
    root = tmp_path_factory.mktemp("shared")
    urls = {"journal": "", "sqlite": f"sqlite:///{root}/study.db"}
    for name in urls:
        (root / name).mkdir()
    studies = [part for name, url in urls.items() for part in (str(root / name), url)]
    command = [sys.executable, str(WORKER), "8", *studies]
    # Six copies of this beside other work took 300 s and more on two cores; alone it takes some.
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=1800)
    assert json.loads(done.stdout) == [[-signal.SIGKILL, 0, 0]] * 2, done.stderr
    return {name: (root / name, url or None) for name, url in urls.items()}


@pytest.mark.parametrize("name", ["journal", "sqlite"])
def test_no_trial_is_lost_or_counted_twice(shared, name):
    folder, url = shared[name]
    study, _ = worker_of(folder, url, None)
    found = places(study)
    assert len(found) == 8
    assert all(place.trial.state == TrialState.COMPLETE for place in found)
    completed = (folder / "done.txt").read_text().split()
    assert sorted(map(int, completed)) == sorted(place.trial.number for place in found)
    died = [each for each in study.get_trials() if each.user_attrs.get("given_up") == "died"]
    assert len(died) == 1
    again = [each for each in study.get_trials() if each.user_attrs.get("retry_of") is not None]
    done = [each for each in again if each.state == TrialState.COMPLETE]
    assert [each.params for each in done] == [each.params for each in died]
    # Two workers may see the death at once: what the second one put up is never done.
    left = [each for each in again if each not in done]
    assert all(each.user_attrs.get("surplus") or each.state == TrialState.WAITING for each in left)


def complete(_, params, __):
    return Outcome("complete", value=1 - params["learning_rate"])


def test_the_same_command_goes_on_with_a_study(tmp_path):
    study, worker = worker_of(tmp_path, None, complete)
    assert worker.run(3)
    assert worker.run(3)
    assert len(places(study)) == 3
    study, worker = worker_of(tmp_path, None, complete)
    assert worker.run(5)
    assert [place.trial.number for place in places(study)] == [0, 1, 2, 3, 4]
    assert study.trials[0].params == {"learning_rate": 2e-3}


def test_a_study_of_other_settings_is_refused(tmp_path):
    study, _ = worker_of(tmp_path, None, complete)
    settings = study.user_attrs["colintern_settings"]
    study.set_user_attr("colintern_settings", {**settings, "temperature": 0.5})
    with pytest.raises(StudyError, match=r"temperature 0\.5, but now it is 0\.05"):
        worker_of(tmp_path, None, complete)


GIVEN = "values of the command line that follow no parameter"


def test_workers_agree_on_what_follows_no_parameter():
    plan = SearchPlan(recipe=tiny(), space=(), evaluations=2)
    storage = optuna.storages.InMemoryStorage()
    alpha = msgspec.structs.replace(plan, given=frozenset({"lora.alpha", "learning_rate"}))
    study = open_study(storage, "s", alpha, num_trials=2)
    open_study(storage, "s", alpha, num_trials=2)
    with pytest.raises(StudyError, match=rf"{GIVEN} \['lora.alpha'\], but now it is \[\]"):
        open_study(storage, "s", plan, num_trials=2)
    settings = {key: value for key, value in study.user_attrs[SETTINGS].items() if key != GIVEN}
    study.set_user_attr(SETTINGS, settings)
    # One of an earlier version does not tell.
    open_study(storage, "s", plan, num_trials=2)


def test_an_interrupted_trial_is_taken_up_again_with_its_run(tmp_path):
    seen = []

    def objective(trial, params, _):
        if not seen:
            trial.set_user_attr("run", "the folder")
            trial.report(0.25, 1)
        seen.append((trial.user_attrs.get("run"), params["learning_rate"]))
        return Outcome("interrupted") if len(seen) == 1 else Outcome("complete", value=0.5)

    study, worker = worker_of(tmp_path, None, objective)
    assert not worker.run(1)
    assert worker.run(1)
    assert [run for run, _ in seen] == ["the folder", "the folder"]
    (place,) = places(study)
    assert (place.trial.state, place.trial.intermediate_values) == (TrialState.COMPLETE, {1: 0.25})
    assert "in place of 0" in table_text(trial_rows(places(study)))


def test_a_failed_trial_counts_and_is_recorded(tmp_path):
    def objective(trial, *_):
        if trial.number == 1:
            return Outcome("failed", reason="loss must be a finite number")
        return Outcome("complete", value=0.5)

    study, worker = worker_of(tmp_path, None, objective)
    assert worker.run(3)
    assert [each.state.name for each in study.trials] == ["COMPLETE", "FAIL", "COMPLETE"]
    rows = trial_rows(places(study))
    assert rows[1].note == "loss must be a finite number"
    assert "1      failed" in table_text(rows)


def test_what_hyperparameters_do_ends_no_search(tmp_path):
    outcome = Outcome("failed", reason="loss is nan", by_params=True)
    study, worker = worker_of(tmp_path, None, lambda *_: outcome)
    assert worker.run(5)
    assert [each.state for each in study.trials] == [TrialState.FAIL] * 5


def test_a_worker_that_can_do_no_trial_leaves_it_to_others(tmp_path):
    _, broken = worker_of(tmp_path, None, lambda *_: Outcome("broken", reason="no such data"))
    with pytest.raises(SearchError, match="no such data"):
        broken.run(2)
    study, sound = worker_of(tmp_path, None, complete)
    assert sound.run(2)
    assert [place.trial.state for place in places(study)] == [TrialState.COMPLETE] * 2


@pytest.mark.parametrize("value", [None, float("nan")])
def test_a_trial_without_a_value_has_failed(tmp_path, value):
    study, worker = worker_of(tmp_path, None, lambda *_: Outcome("complete", value=value))
    assert worker.run(1)
    assert study.trials[0].state == TrialState.FAIL


def test_failure_after_failure_ends_the_search(tmp_path):
    study, worker = worker_of(tmp_path, None, lambda *_: Outcome("failed", reason="no data"))
    with pytest.raises(SearchError, match="3 trials in a row failed, the last one because no data"):
        worker.run(9)
    assert [each.state for each in study.trials] == [TrialState.FAIL] * 3


def test_a_trial_that_another_worker_took_is_not_counted_here(tmp_path):
    def objective(trial, *_):
        if trial.number == 0:
            study.tell(0, state=TrialState.FAIL)
        return Outcome("complete", value=0.5)

    study, worker = worker_of(tmp_path, None, objective)
    assert worker.run(2)
    assert [each.state.name for each in study.trials] == ["FAIL", "COMPLETE"]


def test_a_trial_that_two_began_at_once_is_taken_back(tmp_path, monkeypatch):
    done = []
    study, worker = worker_of(tmp_path, None, lambda trial, *_: done.append(trial.number))
    first = study.ask()
    first.set_user_attr("worker", this_worker())
    look_after = worker.look_after
    views = iter([()])

    def late():
        for view in views:
            return view
        if len(study.trials) == 2 and not study.trials[0].state.is_finished():
            study.tell(first, 0.5)
        return look_after()

    monkeypatch.setattr(worker, "look_after", late)
    assert worker.run(1)
    assert done == []
    assert [each.user_attrs.get("surplus") for each in study.trials] == [None, True]
    assert len(places(study)) == 1


def test_a_trial_that_two_put_up_again_is_done_once(tmp_path, monkeypatch):
    done = []

    def objective(trial, *_):
        done.append(trial.number)
        return Outcome("complete", value=0.5)

    study, worker = worker_of(tmp_path, None, objective)
    left = study.ask()
    left.set_user_attr("given_up", "died")
    study.tell(left, state=TrialState.FAIL)
    put_up = worker._put_up_again

    def twice(trial):
        put_up(trial)
        put_up(trial)

    monkeypatch.setattr(worker, "_put_up_again", twice)
    assert worker.run(2)
    assert done == [1, 3]
    assert [each.user_attrs.get("surplus") for each in study.trials] == [None, None, True, None]
    assert [place.trial.number for place in places(study)] == [1, 3]


@pytest.mark.parametrize("attributes", [{}, {"worker": "elsewhere/1/1", "heartbeat": 4}])
def test_a_trial_left_on_another_machine_is_done_again(tmp_path, attributes):
    study, worker = worker_of(tmp_path, None, complete, grace=0.3)
    left = study.ask()
    left.report(0.25, 1)
    for name, value in {**attributes, "run": "of a process that was killed"}.items():
        left.set_user_attr(name, value)
    assert worker.run(2)
    (place, other) = places(study)
    assert [each.number for each in place.trials] == [0, 2]
    assert place.trials[0].user_attrs["given_up"] == "died"
    # What a killed process left is not gone on with: it may be half written.
    assert (place.trial.user_attrs.get("run"), place.trial.intermediate_values) == (None, {})
    assert {place.trial.state, other.trial.state} == {TrialState.COMPLETE}


def trial(number, state="COMPLETE", value=0.5, **attributes):
    made = create_trial(
        state=TrialState[state],
        value=value if state == "COMPLETE" else None,
        user_attrs=attributes,
    )
    made.number = number
    return made


PLACES = {
    "plain": ([trial(0), trial(1, "RUNNING")], [0, 1], 1),
    "failed": ([trial(0, "FAIL"), trial(1, "PRUNED")], [0, 1], 2),
    "died": ([trial(0, "FAIL", given_up="died"), trial(1)], [0, 1], 1),
    "stood in": ([trial(0, "FAIL", given_up="died"), trial(1), trial(2, retry_of=0)], [2, 1], 2),
    "stood in twice at once": (
        [trial(0, "FAIL", given_up="died"), trial(1, retry_of=0), trial(2, retry_of=0)],
        [1],
        1,
    ),
    "died twice": (
        [trial(0, "FAIL", given_up="died"), trial(1, "FAIL", given_up="died", retry_of=0)],
        [1],
        1,
    ),
    "interrupted often": (
        [
            trial(0, "FAIL", given_up="interrupted"),
            trial(1, "FAIL", given_up="interrupted", retry_of=0),
            trial(2, "FAIL", given_up="interrupted", retry_of=1),
        ],
        [2],
        0,
    ),
    "completed after all": ([trial(0, given_up="died"), trial(1, retry_of=0)], [0], 1),
    "begun at once": ([trial(0), trial(1, "FAIL", surplus=True), trial(2)], [0, 2], 2),
}


@pytest.mark.parametrize("name", PLACES)
def test_what_counts_follows_from_the_trials(name):
    trials, numbers, finished = PLACES[name]
    found = places_of(reversed(trials))
    assert [place.trial.number for place in found] == numbers
    assert sum(place.is_finished for place in found) == finished


def test_the_best_is_the_first_of_equals():
    found = places_of([trial(0, value=0.1), trial(1, value=0.4), trial(2, value=0.4)])
    assert best_of(found).number == 1
    assert best_of(places_of([trial(0, "FAIL")])) is None


def test_a_heartbeat_that_stops_is_noticed():
    now = [0.0]
    watch = Watch(grace=10, clock=lambda: now[0])
    beating = trial(0, "RUNNING", worker="elsewhere/1/5", heartbeat=1)
    assert not watch.has_died(beating)
    now[0] = 9
    assert not watch.has_died(beating)
    later = trial(0, "RUNNING", worker="elsewhere/1/5", heartbeat=2)
    now[0] = 15
    assert not watch.has_died(later)
    now[0] = 26
    assert watch.has_died(later)


def test_a_process_of_this_machine_is_known_to_have_ended():
    assert not is_dead(this_worker())
    done = subprocess.Popen(["true"])
    machine, _, start = this_worker().rsplit("/", 2)
    done.wait()
    assert is_dead(f"{machine}/{done.pid}/{start}")
    assert is_dead(f"{machine}/{os.getpid()}/1")
    assert not is_dead(f"another-machine/{done.pid}/{start}")
    assert not is_dead(None)


@pytest.mark.parametrize(
    "distribution",
    [
        optuna.distributions.CategoricalDistribution((8, 16, 32)),
        optuna.distributions.IntDistribution(8, 32, step=8),
    ],
)
def test_batches_that_ran_out_of_memory_are_not_tried_again(distribution):
    study = optuna.create_study(direction="maximize", sampler=make_sampler(30, seed=0))
    limits = [distribution.high if hasattr(distribution, "high") else 32, 16]
    for limit in limits:
        trial = study.ask({BATCH: distribution})
        trial.set_user_attr(OUT_OF_MEMORY, limit)
        study.tell(trial, state=TrialState.PRUNED)
        tried = []
        for _ in range(20):
            trial = study.ask({BATCH: distribution})
            tried.append(trial.params[BATCH])
            study.tell(trial, tried[-1] / 100)
        assert max(tried) < limit
    assert batch_limit(study) == 16


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("study.db", "must be a URL such as sqlite:///study.db"),
        ("sqlite:////nowhere/study.db", "cannot be opened: unable to open database file"),
        ("oracle://user:secret@host/db", "the driver of this database is not installed"),
        ("nothing://host", "cannot be opened"),
    ],
)
def test_a_storage_that_cannot_be_opened_is_one_error(tmp_path, monkeypatch, url, message):
    monkeypatch.setattr("colintern.search.storage._PAUSE_SECONDS", 0)
    with pytest.raises(StorageError) as error:
        open_storage(url, tmp_path)
    assert message in str(error.value)
    assert "secret" not in str(error.value)


def test_a_password_is_never_shown(tmp_path):
    assert "secret" not in shown_storage("postgresql://user:secret@host/db", tmp_path)
    assert "user" in shown_storage("postgresql://user:secret@host/db", tmp_path)


def test_a_journal_that_a_full_disk_cut_off_is_mended(tmp_path):
    _, worker = worker_of(tmp_path, None, complete)
    assert worker.run(1)
    with (tmp_path / "study.journal").open("a") as file:
        file.write('{"op_code":4,"worker_id":"a-1","stu')
    study, worker = worker_of(tmp_path, None, complete)
    assert worker.run(2)
    assert len(places(study)) == 2


def test_a_file_that_is_no_journal_is_one_error(tmp_path):
    (tmp_path / "study.journal").write_text("notes\nmore notes\n")
    with pytest.raises(StorageError, match=r"must be the journal of a study"):
        open_storage(None, tmp_path)


def test_a_trial_sees_that_it_was_given_away(tmp_path):
    lost: list[Event] = []

    def objective(trial, _, event):
        if trial.number == 0:
            lost.append(event)
            study.tell(0, state=TrialState.FAIL)
            assert event.wait(120)
            return Outcome("lost")
        return Outcome("complete", value=0.5)

    study, worker = worker_of(tmp_path, None, objective, interval=0.05)
    assert worker.run(2)
    assert lost[0].is_set()
