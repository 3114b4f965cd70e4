import contextlib
import json
import math
import os

import pytest
from builders.results import (
    DATE,
    entry,
    metrics,
    task_result,
    write_json,
    write_results,
    write_tasks,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from colintern.artifacts.errors import ArtifactError
from colintern.artifacts.files import Enclosure
from colintern.artifacts.results.folder import read_results_folder
from colintern.artifacts.results.task_result import epoch_seconds, read_task_results

ARXIV = "VidoreArxivQARetrieval"
ESG = "Vidore2ESGReportsRetrieval"
LEGACY = {"ndcg_at_5": 0.8, "naucs_at_5_max": math.nan}


def read(path, document):
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return read_task_results(path, None)


def read_folder(folder, **options):
    return read_results_folder(folder, Enclosure.around(folder), **options)


def test_mteb_result_keeps_scores_and_drops_nauc(tmp_path):
    (result,) = read(tmp_path / "a.json", task_result(ARXIV, 0.8))
    (scores,) = result.subsets
    assert (result.task_name, result.harness, result.date) == (ARXIV, "mteb", DATE)
    assert scores.main_score == scores.metrics["ndcg_at_5"] == 0.8
    assert not [name for name in scores.metrics if name.startswith("nauc")]


def test_subsets_are_read_in_any_order(tmp_path):
    (result,) = read(tmp_path / "a.json", task_result(ESG))
    assert {scores.subset for scores in result.subsets} == {
        "english",
        "french",
        "german",
        "spanish",
    }


def test_version_inside_an_entry_wins(tmp_path):
    document = task_result(ARXIV, scores={"test": [entry(ARXIV, 0.8, mteb_version="2.1.4")]})
    assert read(tmp_path / "a.json", document)[0].subsets[0].mteb_version == "2.1.4"


@pytest.mark.parametrize(
    ("recorded", "seconds"),
    [
        (DATE, DATE),
        ("2026-05-04 12:00:00.5+00:00", DATE + 0.5),
        ("2026-05-04T14:00:00+02:00", DATE),
        (None, None),
        ("yesterday", None),
        (math.nan, None),
        (1e300, None),
        (-5.0, None),
    ],
)
def test_dates_are_read_in_every_form(recorded, seconds):
    assert epoch_seconds(recorded) == seconds


@pytest.mark.parametrize(
    ("document", "names"),
    [
        ({"vidore/arxivqa_test_subsampled": LEGACY}, [ARXIV]),
        (
            {
                "metadata": {
                    "timestamp": "2025-03-29T19:16:15.6",
                    "vidore_benchmark_version": "5.0.0",
                },
                "metrics": {"vidore/docvqa_test_subsampled": LEGACY},
            },
            ["VidoreDocVQARetrieval"],
        ),
        ({"validation_set": LEGACY, "syntheticDocQA_energy": LEGACY}, None),
    ],
)
def test_legacy_layouts_are_read(tmp_path, document, names):
    results = read(tmp_path / "a.json", document)
    assert [result.task_name for result in results] == (names or list(document))
    assert {result.harness for result in results} == {"vidore-benchmark"}
    assert results[0].subsets[0].metrics == {"ndcg_at_5": 0.8}
    assert results[0].subsets[0].main_score is None


@pytest.mark.parametrize(
    "document",
    [{}, {"a": 1}, {"task_name": "x"}, {"scores": {}}, {"a": {"b": 1}}, {"a": LEGACY, "b": 1}],
)
def test_other_json_is_no_result(tmp_path, document):
    assert read(tmp_path / "a.json", document) == ()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"scores": []}, "at `scores`"),
        ({"scores": {"test": {"ndcg_at_5": 1}}}, "at `scores.test`"),
        ({"scores": {"test": [{"ndcg_at_5": "high"}]}}, "`ndcg_at_5`"),
        ({"scores": {"test": [{"ndcg_at_5": True}]}}, "`ndcg_at_5`"),
        ({"scores": {"test": [{"ndcg_at_5": 10**400}]}}, "`ndcg_at_5`"),
        ({"scores": {"test": [{"main_score": "0.5"}]}}, "main_score"),
        ({"task_name": 7}, "task_name"),
        ({"date": []}, "date"),
    ],
)
def test_wrong_types_name_the_key(tmp_path, change, named):
    with pytest.raises(ArtifactError) as caught:
        read(tmp_path / "a.json", {**task_result(ARXIV), **change})
    assert named in str(caught.value)


def test_null_metric_is_missing(tmp_path):
    scores = {"test": [{"main_score": None, "ndcg_at_5": None, "ndcg_at_10": 0.5}]}
    (result,) = read(tmp_path / "a.json", task_result(ARXIV, scores=scores))
    assert result.subsets[0].metrics == {"ndcg_at_10": 0.5}


@settings(deadline=None)
@given(st.data())
def test_mutated_results_raise_only_artifact_errors(tmp_path_factory, data):
    document = task_result(ARXIV)
    junk = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=6,
    )
    target = data.draw(
        st.sampled_from([document, document["scores"], document["scores"]["test"][0]])
    )
    target[data.draw(st.sampled_from(sorted(target)))] = data.draw(junk)
    text = json.dumps(document)
    text = text[: data.draw(st.integers(0, len(text)))] if data.draw(st.booleans()) else text
    path = tmp_path_factory.getbasetemp() / "mutated.json"
    with contextlib.suppress(ArtifactError):
        read(path, text)


def test_flat_layout_is_read(tmp_path):
    write_tasks(tmp_path / "run", {ARXIV: 0.8, ESG: 0.6})
    assert list(read_folder(tmp_path / "run").tasks) == [ESG, ARXIV]


def test_nested_revision_and_its_meta_are_read(tmp_path):
    write_results(tmp_path)
    results = read_folder(tmp_path / "results")
    assert len(results.tasks) == 14
    assert results.model_meta.embed_dim == 128
    assert results.ignored == (f"team__run/{'d' * 40}/colintern_eval.json",)


def test_experiments_stay_apart(tmp_path):
    write_tasks(tmp_path / "rev", {ARXIV: 0.8})
    write_tasks(tmp_path / "rev" / "experiments" / "no_images", {ARXIV: 0.1, ESG: 0.1})
    results = read_folder(tmp_path)
    assert results.tasks[ARXIV].subsets[0].main_score == 0.8
    assert list(results.tasks) == [ARXIV]
    assert [task.task_name for task in results.experiments["no_images"]] == [ESG, ARXIV]


@pytest.mark.parametrize(("newer", "taken"), [("a", 0.3), ("b", 0.5)])
def test_newest_revision_is_taken_and_never_mixed(tmp_path, newer, taken):
    dates = {"a": DATE, "b": DATE, newer: DATE + 60}
    write_tasks(tmp_path / "a", {ARXIV: 0.3}, date=dates["a"])
    write_tasks(tmp_path / "b", {ARXIV: 0.5}, date=dates["b"])
    write_tasks(tmp_path / ("b" if newer == "a" else "a"), {ESG: 0.9}, date=None)
    results = read_folder(tmp_path)
    assert list(results.tasks) == [ARXIV]
    assert results.tasks[ARXIV].subsets[0].main_score == taken
    assert results.other_folders == ("b" if newer == "a" else "a",)


def test_malformed_file_leaves_the_others(tmp_path):
    write_tasks(tmp_path, {ARXIV: 0.8})
    (tmp_path / f"{ESG}.json").write_text('{"task_name": ')
    write_json(tmp_path / "notes.json", {"hello": 1})
    results = read_folder(tmp_path)
    assert list(results.tasks) == [ARXIV]
    assert [error.path.name for error in results.errors] == [f"{ESG}.json"]
    assert results.ignored == ("notes.json",)


def test_second_result_of_a_task_is_named(tmp_path):
    write_json(tmp_path / "old.json", task_result(ARXIV, 0.2, date=DATE))
    write_json(tmp_path / "new.json", task_result(ARXIV, 0.9, date=DATE + 1))
    results = read_folder(tmp_path)
    assert results.tasks[ARXIV].path.name == "new.json"
    assert results.repeated == ("old.json",)


def test_result_that_is_there_twice_is_no_doubt(tmp_path):
    for name in ("a", "b"):
        write_json(tmp_path / f"{name}.json", task_result(ARXIV, 0.5, date=None))
    results = read_folder(tmp_path)
    assert (dict(results.ambiguous), results.repeated) == ({}, ("a.json",))


@pytest.mark.parametrize(
    ("dates", "judged", "doubt"),
    [
        ((None, None), 0.3, True),
        ((DATE, None), 0.3, True),
        ((None, DATE), 0.3, True),
        ((DATE, DATE), 0.3, True),
        ((DATE, DATE + 1), 0.3, False),
        ((DATE + 1, DATE), 0.9, False),
    ],
)
def test_results_that_no_date_orders_are_ambiguous(tmp_path, dates, judged, doubt):
    for name, score, date in zip("ab", (0.9, 0.3), dates, strict=True):
        write_json(tmp_path / f"{name}.json", task_result(ARXIV, score, date=date))
    results = read_folder(tmp_path)
    assert results.tasks[ARXIV].subsets[0].main_score == judged
    assert dict(results.ambiguous) == ({ARXIV: ("a.json", "b.json")} if doubt else {})
    assert bool(results.repeated) is not doubt


@pytest.mark.parametrize(
    ("dates", "other", "doubt"),
    [
        ((None, None), 0.3, ("b",)),
        ((None, None), 0.9, ("a",)),
        ((None, None), 0.5, ()),
        ((DATE, None), 0.9, ()),
        ((DATE, DATE + 1), 0.9, ()),
    ],
)
def test_folders_that_no_date_orders_are_ambiguous(tmp_path, dates, other, doubt):
    write_tasks(tmp_path / "a", {ARXIV: other}, date=dates[0])
    write_tasks(tmp_path / "b", {ARXIV: 0.5}, date=dates[1])
    results = read_folder(tmp_path)
    assert results.ambiguous_folders == doubt
    if doubt:
        assert results.tasks[ARXIV].subsets[0].main_score == min(other, 0.5)


@pytest.mark.parametrize(
    ("name", "named"), [(f"{ESG}.json", True), (f"{ARXIV}.json", False), ("scores.json", False)]
)
def test_file_of_another_task_than_its_name_is_told(tmp_path, name, named):
    write_json(tmp_path / name, task_result(ARXIV, 0.5))
    assert bool(read_folder(tmp_path).misnamed) is named


BROKEN = {
    "array": "[1, 2]",
    "lines": '{"a": 1}\n{"b": 2}\n',
    "pointer": "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n",
    "truncated": '{"task_name": "NFCorpus", "scores": {',
    "null": "null",
}


@pytest.mark.parametrize("content", BROKEN)
@pytest.mark.parametrize(
    ("name", "is_fault"),
    [
        ("NFCorpus.json", False),
        ("summary.json", False),
        (f"{ESG}.json", True),
        ("ColInternPagesRetrieval.json", True),
        ("model_meta.json", True),
    ],
)
def test_file_that_nobody_asked_about_is_no_fault(tmp_path, name, is_fault, content):
    write_tasks(tmp_path, {ARXIV: 0.8})
    (tmp_path / name).write_text(BROKEN[content])
    results = read_folder(tmp_path)
    assert list(results.tasks) == [ARXIV]
    assert [error.path.name for error in results.errors] == [name] * is_fault
    assert results.unread == (() if is_fault else (name,))
    assert (name in results.left_out) is not is_fault


def test_run_files_and_predictions_are_not_opened(tmp_path):
    write_tasks(tmp_path, {ARXIV: 0.8})
    for name in ("tokenizer.json", f"{ARXIV}_predictions.json"):
        (tmp_path / name).write_text("not JSON")
    results = read_folder(tmp_path)
    assert results.errors == ()
    assert len(results.ignored) == 2


def test_folder_without_json_has_no_results(tmp_path):
    assert read_folder(tmp_path) is None


def test_links_are_followed_only_inside(tmp_path):
    outside = tmp_path / "outside"
    write_tasks(outside, {ARXIV: 0.8})
    root = tmp_path / "root"
    root.mkdir()
    (root / "away").symlink_to(outside)
    (root / "loop").symlink_to(root)
    assert read_folder(root) is None
    (root / f"{ARXIV}.json").symlink_to(outside / f"{ARXIV}.json")
    results = read_folder(root, recursive=False)
    assert [error.escapes for error in results.errors] == [True]


def test_pipe_and_folder_under_a_result_name_are_errors(tmp_path):
    (tmp_path / "folder.json").mkdir()
    os.mkfifo(tmp_path / "pipe.json")
    found = sorted(error.found for error in read_folder(tmp_path).errors)
    assert found == ["a directory", "a named pipe"]


@pytest.mark.parametrize(("name", "num_errors"), [("Vidore", 1), ("Other", 0)])
def test_files_beyond_the_limit_are_named(tmp_path, monkeypatch, name, num_errors):
    monkeypatch.setattr("colintern.artifacts.limits.TASK_RESULT_FILES", 3)
    for number in range(5):
        write_json(tmp_path / f"{name}{number}.json", task_result(f"Task{number}"))
    results = read_folder(tmp_path)
    assert len(results.tasks) == 3
    assert len(results.errors) == num_errors
    assert len(results.ignored) == (0 if num_errors else 2)


@pytest.mark.parametrize(
    ("name", "num_errors"), [(f"{ARXIV}.json", 1), ("scores_of_pages.json", 0)]
)
def test_oversized_file_is_an_error_only_under_a_task_name(tmp_path, name, num_errors):
    write_tasks(tmp_path, {ESG: 0.8})
    with (tmp_path / name).open("wb") as file:
        file.truncate(1 << 30)
    results = read_folder(tmp_path)
    assert list(results.tasks) == [ESG]
    assert len(results.errors) == num_errors
    assert results.ignored == (() if num_errors else (name,))


def test_too_many_subsets_are_refused(tmp_path):
    with pytest.raises(ArtifactError, match="language subsets"):
        read(tmp_path / "a.json", task_result(ARXIV, scores={"test": [{}] * 5001}))


def test_built_metrics_agree_with_each_other():
    assert metrics(0.8)["precision_at_10"] * 10 == pytest.approx(metrics(0.8)["recall_at_10"])
