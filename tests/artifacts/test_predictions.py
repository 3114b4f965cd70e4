import json
import math
import os

import pytest
from builders.results import task_result, write_json

from colintern.artifacts import limits
from colintern.artifacts.errors import ArtifactError
from colintern.artifacts.files import Enclosure
from colintern.artifacts.results.folder import read_results_folder
from colintern.artifacts.results.predictions import read_task_queries
from colintern.diagnostics.results.query_scores import query_scores

TASK = "VidoreArxivQARetrieval"
RANKED = {"q0": {"p0": 0.9, "p1": 0.4}, "q1": {"p0": 0.2, "p1": 0.3}}
RIGHT = {"q0": {"p0": 1}, "q1": {"p1": 1}}


def results_with(folder, rankings=RANKED, answers=RIGHT, task=TASK, subset="default"):
    folder.mkdir(exist_ok=True)
    write_json(folder / "task.json", task_result(task, 1.0))
    for ending, queries in (("predictions", rankings), ("relevance", answers)):
        content = {subset: {"test": queries}}
        (folder / f"{TASK}_{ending}.json").write_text(json.dumps(content))
    return read_results_folder(folder, Enclosure.around(folder))


def read(results, task=TASK):
    return read_task_queries(results, task)


def scores_of(results, task=TASK):
    return query_scores(results.tasks[task], read(results, task))


@pytest.mark.parametrize("folder", [".", "predictions"])
def test_queries_are_found_beside_results(tmp_path, folder):
    results = results_with(tmp_path)
    (tmp_path / folder).mkdir(exist_ok=True)
    for path in tmp_path.glob(f"{TASK}_*.json"):
        path.rename(tmp_path / folder / path.name)
    scored = scores_of(results)
    assert [(each.query, each.ndcg_at_5) for each in scored.scores] == [("q0", 1.0), ("q1", 1.0)]


WRONG = {
    "a list of queries": [],
    "a query that is a number": {"q0": 3},
    "a page that is text": {"q0": {"p0": "0.9"}},
    "a page that is true": {"q0": {"p0": True}},
    "a page that is null": {"q0": {"p0": None}},
    "a page that is an object": {"q0": {"p0": {"p1": 1}}},
    "an enormous whole number": {"q0": {"p0": 10**400}},
}


@pytest.mark.parametrize("ending", ["predictions", "relevance"])
@pytest.mark.parametrize("content", WRONG.values(), ids=WRONG)
def test_wrong_types_are_one_error(tmp_path, ending, content):
    given = {"rankings": content} if ending == "predictions" else {"answers": content}
    results = results_with(tmp_path, **given)
    with pytest.raises(ArtifactError) as caught:
        read(results)
    assert caught.value.path.name == f"{TASK}_{ending}.json"
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize("grade", [math.nan, math.inf, 1e308])
def test_grades_must_be_numbers(tmp_path, grade):
    answers = {"q0": dict.fromkeys(("p0", "p1", "p2", "p3"), grade), "q1": {"p1": 1}}
    with pytest.raises(ArtifactError, match="a number for each page"):
        read(results_with(tmp_path, answers=answers))


@pytest.mark.parametrize("score", [math.nan, -math.inf, -1e300])
def test_a_score_that_is_nan_ranks_last(tmp_path, score):
    results = results_with(tmp_path, rankings={"q0": {"p0": 0.1, "p1": score}, "q1": RANKED["q1"]})
    assert read(results).rankings[("default", "test")]["q0"] == ("p0", "p1")


@pytest.mark.parametrize("content", ["", "[]", "{", "[" * 100_000, '{"a":' * 200 + "1" + "}" * 200])
def test_broken_json_is_one_error(tmp_path, content):
    results = results_with(tmp_path)
    (tmp_path / f"{TASK}_predictions.json").write_text(content)
    with pytest.raises(ArtifactError):
        read(results)


def test_a_huge_file_is_not_read(tmp_path):
    results = results_with(tmp_path)
    with (tmp_path / f"{TASK}_predictions.json").open("r+b") as stream:
        stream.truncate(limits.PREDICTIONS_BYTES + 1)
    with pytest.raises(ArtifactError, match="at most"):
        read(results)


def test_many_values_are_not_parsed(tmp_path):
    results = results_with(tmp_path)
    (tmp_path / f"{TASK}_predictions.json").write_bytes(b"[" + b"0," * 4_000_001 + b"0]")
    with pytest.raises(ArtifactError, match="objects and arrays"):
        read(results)


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_only_a_file_of_the_folder_is_read(tmp_path, kind):
    results = results_with(tmp_path / "results")
    path = tmp_path / "results" / f"{TASK}_predictions.json"
    outside = path.rename(tmp_path / "outside.json")
    {
        "link": lambda: path.symlink_to(outside),
        "pipe": lambda: os.mkfifo(path),
        "folder": path.mkdir,
    }[kind]()
    with pytest.raises(ArtifactError) as caught:
        read(results)
    assert caught.value.escapes == (kind == "link")


@pytest.mark.parametrize("task", ["../outside", "/etc/passwd", "a/b", "a\0b", "x" * 5_000, ""])
def test_a_task_name_leads_nowhere(tmp_path, task):
    results = results_with(tmp_path / "results", task=task)
    write_json(tmp_path / "outside_predictions.json", {"default": {"test": RANKED}})
    assert read(results, task) is None


@pytest.mark.parametrize(
    ("rankings", "answers"),
    [
        ({"other": {"p0": 1.0}}, RIGHT),
        (RANKED, {"other": {"p0": 1}}),
        ({"q0": {}, "q1": {}}, RIGHT),
        (RANKED, {"q0": {"gone": 1}, "q1": {"gone": 1}}),
        (RANKED, {"q0": {"p0": -1}, "q1": {"p1": 0}}),
        ({}, {}),
    ],
)
def test_other_identifiers_are_another_evaluation(tmp_path, rankings, answers):
    scored = scores_of(results_with(tmp_path, rankings, answers))
    assert (scored.scores, scored.reason) == ((), "predictions of another evaluation")


def test_another_language_is_another_evaluation(tmp_path):
    results = results_with(tmp_path, subset="french")
    assert scores_of(results).reason == "predictions of another evaluation"
