"""Runs in one folder, told apart by the ends of their files; and hostile files among them."""

import json

import pytest
from builders.training_log import write_training_log

from colintern.artifacts.files import Enclosure
from colintern.artifacts.run.layout import Folder
from colintern.artifacts.run.trace import read_run_trace
from colintern.facts.runs_in_folder import runs_in_folder

ROOT = 0


def traced(tmp_path, step, *, base=None, log=True, **changes):
    folder = tmp_path if step == ROOT else tmp_path / f"checkpoint-{step}"
    folder.mkdir(exist_ok=True)
    if log:
        write_training_log(folder, **{"steps": step or 600, "max_steps": 600, **changes})
    if base is not None:
        document = {"base_model_name_or_path": base}
        (folder / "adapter_config.json").write_text(json.dumps(document))
    return trace_of(folder, step or None)


def trace_of(folder, step=None):
    return read_run_trace(Folder.read(folder), step, Enclosure.around(folder))


def told(tmp_path, *checkpoints, root=None, finals=()):
    root = root or trace_of(tmp_path)
    found = runs_in_folder(root, checkpoints, finals)
    return [run.steps for run in found.runs], found.newest and found.newest.steps


def test_checkpoints_of_one_run_are_one(tmp_path):
    steps = (100, 200, 600)
    found = told(tmp_path, *(traced(tmp_path, step) for step in steps), root=traced(tmp_path, ROOT))
    assert found == ([steps], steps)


@pytest.mark.parametrize(
    "later",
    [{"max_steps": 1_200, "epochs": 10}, {"save_steps": 50}, {"eval_steps": 0}, {"batch_size": 32}],
    ids=["longer", "saves", "evaluations", "batch"],
)
def test_run_that_was_continued_otherwise_is_one(tmp_path, later):
    # The warm-up and so the losses of the first rows are those of the first part.
    found = told(tmp_path, traced(tmp_path, 100), traced(tmp_path, 300))
    assert len(found[0]) == 1
    document = json.loads((tmp_path / "checkpoint-300" / "trainer_state.json").read_text())
    document.update(later)
    (tmp_path / "checkpoint-300" / "trainer_state.json").write_text(json.dumps(document))
    assert (
        len(
            told(
                tmp_path,
                trace_of(tmp_path / "checkpoint-100", 100),
                trace_of(tmp_path / "checkpoint-300", 300),
            )[0]
        )
        == 1
    )


def test_resumption_whose_log_starts_anew_is_one(tmp_path):
    def forget(rows):
        rows[:] = [row for row in rows if row["step"] > 100]

    assert (
        len(told(tmp_path, traced(tmp_path, 100), traced(tmp_path, 300, edit_rows=forget))[0]) == 1
    )


@pytest.mark.parametrize(
    ("one", "other", "runs"),
    [
        ("ORG/base", "/data/models/base", 1),
        ("ORG/base", "ORG/base/", 1),
        ("ORG/base", "C:\\models\\Base", 1),
        ("ORG/base", "ORG/other", 2),
        ("ORG/base", None, 1),
    ],
)
def test_base_is_told_by_its_own_name(tmp_path, one, other, runs):
    found = told(tmp_path, traced(tmp_path, 100, base=one), traced(tmp_path, 200, base=other))
    assert len(found[0]) == runs


def test_root_says_which_run_is_the_newest(tmp_path):
    first = [traced(tmp_path, step) for step in (100, 200)]
    later = traced(tmp_path, 900, seed=1, max_steps=900)
    assert told(tmp_path, *first, later, root=traced(tmp_path, ROOT))[1] == (100, 200)
    assert told(tmp_path, *first, later, root=traced(tmp_path, ROOT, seed=1, max_steps=900))[1] == (
        900,
    )


def test_overwritten_checkpoints_say_which_is_the_newest(tmp_path):
    newer = [traced(tmp_path, step, save_steps=100) for step in (100, 200)]
    older = traced(tmp_path, 900, seed=1, max_steps=900, save_steps=100)
    assert told(tmp_path, *newer, older) == ([(100, 200), (900,)], (100, 200))


def test_other_rhythm_of_saves_says_nothing(tmp_path):
    newer = [traced(tmp_path, step, save_steps=70) for step in (70, 140)]
    older = traced(tmp_path, 900, seed=1, max_steps=900, save_steps=100)
    assert told(tmp_path, *newer, older) == ([(70, 140), (900,)], None)


def test_other_folder_with_the_base_of_one_says_which(tmp_path):
    first = traced(tmp_path, 70, base="a/x")
    other = traced(tmp_path, 900, base="a/y", seed=1)
    final = tmp_path / "final"
    final.mkdir()
    (final / "adapter_config.json").write_text('{"base_model_name_or_path": "a/y"}')
    assert told(tmp_path, first, other, finals=[trace_of(final)])[1] == (900,)


HOSTILE = {
    "empty": b"",
    "binary": bytes(range(256)) * 200,
    "deep": b'{"log_history": [' + b"[" * 30_000,
    "rows of lists": b'{"log_history": [[1], [2]], "max_steps": 5}',
    "deep row": b'{"log_history": [{"a": ' + b"[" * 15_000,
    "long number": b'{"log_history": [], "max_steps": ' + b"9" * 9_000 + b"}",
    "strange values": b'{"log_history": [{"step": true, "loss": "x"}, {"step": 1, "loss": null}]}',
    "a list": b"[1, 2]",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_log_shows_nothing(tmp_path, name):
    (tmp_path / "trainer_state.json").write_bytes(HOSTILE[name])
    (tmp_path / "adapter_config.json").write_bytes(HOSTILE[name])
    found = trace_of(tmp_path)
    assert (found.first_rows, found.base) == ((), None)


def test_only_the_ends_of_a_long_log_are_read(tmp_path):
    traced(tmp_path, ROOT, steps=30_000, max_steps=30_000, logging_steps=10)
    found = trace_of(tmp_path)
    assert (len(found.first_rows), found.max_steps) == (5, 30_000)
