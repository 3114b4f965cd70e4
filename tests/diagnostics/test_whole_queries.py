"""Figures that no whole number of queries gives, from results that are right but for one thing."""

import json
import math

import pytest
from builders.results import task_result, write_json

from colintern.artifacts.files import Enclosure
from colintern.artifacts.results.folder import read_results_folder
from colintern.diagnostics.results.benchmarks import TASKS, VIDORE_V1
from colintern.diagnostics.results.whole_queries import query_counts, query_faults

ARXIV, DOCVQA = "VidoreArxivQARetrieval", "VidoreDocVQARetrieval"
ESG, HR = "Vidore2ESGReportsRetrieval", "Vidore3HrRetrieval"
ENERGY = "VidoreSyntheticDocQAEnergyRetrieval"
CUT_OFFS = (1, 3, 5, 10, 20, 100)


def figures(ranks):
    """What MTEB writes where each query has one page, at these ranks."""
    num_queries, values = len(ranks), {}
    for k in CUT_OFFS:
        found = [rank for rank in ranks if rank <= k]
        values[f"ndcg_at_{k}"] = sum(1 / math.log2(rank + 1) for rank in found) / num_queries
        values[f"map_at_{k}"] = values[f"mrr_at_{k}"] = sum(1 / r for r in found) / num_queries
        values[f"recall_at_{k}"] = values[f"hit_rate_at_{k}"] = len(found) / num_queries
        values[f"precision_at_{k}"] = len(found) / k / num_queries
    return {name: round(value, 5) for name, value in values.items()}


SOME_RANKS = (1, 1, 1, 1, 2, 1, 3, 1, 1, 4, 1, 5, 7, 12, 30, 60, 110)


def ranks_of(num_queries):
    """A good model: most pages first, the others at many ranks."""
    return [SOME_RANKS[number % len(SOME_RANKS)] for number in range(num_queries)]


def faults_of(folder, task, values, **changes):
    subset = min(TASKS[task].subsets)
    entry = {**values, "hf_subset": subset, "main_score": values.get("ndcg_at_5", 0.5)}
    write_json(folder / f"{task}.json", task_result(task, scores={"test": [entry]}, **changes))
    return query_faults(read_results_folder(folder, Enclosure.around(folder)))


@pytest.mark.parametrize("task", [*sorted(VIDORE_V1.task_names), ESG, HR])
@pytest.mark.parametrize("seed", range(3))
def test_right_figures_are_whole(tmp_path, task, seed):
    ranks = [rank + seed for rank in ranks_of(TASKS[task].num_queries)]
    assert faults_of(tmp_path, task, figures(ranks)) == ()


@pytest.mark.parametrize("score", [0.0, 1.0])
def test_nothing_and_all_are_whole(tmp_path, score):
    ranks = [1 if score else 999] * TASKS[ARXIV].num_queries
    assert faults_of(tmp_path, ARXIV, figures(ranks)) == ()


@pytest.mark.parametrize(
    ("task", "metric", "change"),
    [
        (DOCVQA, "precision_at_1", 0.001),
        (DOCVQA, "hit_rate_at_5", 0.0013),
        (ARXIV, "recall_at_10", 0.001),
        (ESG, "precision_at_5", -0.002),
        (HR, "precision_at_10", 0.0001),
    ],
)
def test_share_of_no_whole_number_of_queries_is_named(tmp_path, task, metric, change):
    values = figures(ranks_of(TASKS[task].num_queries))
    values[metric] = round(values[metric] + change, 5)
    (fault,) = faults_of(tmp_path, task, values)
    assert fault.kind == "impossible"
    assert f"{metric.replace('_at_', '@')} {values[metric]:.5g} of" in fault.text


@pytest.mark.parametrize("metric", ["ndcg_at_3", "ndcg_at_5"])
@pytest.mark.parametrize(("change", "named"), [(0.0006, True), (0.00001, False)])
def test_ndcg_of_no_whole_number_of_queries_a_rank_is_named(tmp_path, metric, change, named):
    values = figures(ranks_of(100))
    values[metric] = round(values[metric] + change, 5)
    assert [fault.is_grave for fault in faults_of(tmp_path, ENERGY, values)] == [True] * named


@pytest.mark.parametrize(("cut_off", "change"), [(10, 0.02), (20, -0.02), (100, 0.05)])
def test_ndcg_that_its_recall_cannot_give_is_named(tmp_path, cut_off, change):
    values = figures(ranks_of(500))
    values[f"ndcg_at_{cut_off}"] = round(values[f"ndcg_at_{cut_off}"] + change, 5)
    (fault,) = faults_of(tmp_path, ARXIV, values)
    assert "recall rises by" in fault.text


@pytest.mark.parametrize(("task", "other"), [(DOCVQA, 100), (ARXIV, 50), (ENERGY, 451), (ESG, 52)])
def test_queries_of_another_set_are_counted(tmp_path, task, other):
    (fault,) = faults_of(tmp_path, task, figures(ranks_of(other)))
    assert (fault.kind, fault.is_grave) == ("other queries", False)
    shown = int(fault.text.split()[4])
    assert other % shown == 0  # half of the queries may give the same shares


@pytest.mark.parametrize(
    ("revision", "num_queries", "kinds"),
    [
        ("b1d89eda849e" + "0" * 28, 500, []),
        ("b1d89eda849e" + "0" * 28, 451, ["other queries"]),
        ("e78cd130055f" + "0" * 28, 451, []),
        ("162ba2fc1a84" + "0" * 28, 451, []),
        (None, 451, []),
        (None, 500, []),
    ],
)
def test_number_of_queries_is_that_of_the_revision(tmp_path, revision, num_queries, kinds):
    values = figures(ranks_of(num_queries))
    found = faults_of(tmp_path, DOCVQA, values, dataset_revision=revision)
    assert [fault.kind for fault in found] == kinds


@pytest.mark.parametrize(("decimals", "rounded"), [(2, True), (3, True), (4, False)])
def test_rounded_files_are_told_from_edited_ones(tmp_path, decimals, rounded):
    values = {name: round(x, decimals) for name, x in figures(ranks_of(451)).items()}
    (fault,) = faults_of(tmp_path, DOCVQA, values)
    assert (fault.kind == "rounded") is rounded


@pytest.mark.parametrize("names", [(), ("ndcg_at_5",), ("ndcg_at_5", "ndcg_at_10")])
def test_file_of_one_metric_is_named(tmp_path, names):
    values = {name: x for name, x in figures(ranks_of(451)).items() if name in names}
    (fault,) = faults_of(tmp_path, DOCVQA, values)
    assert fault.kind == "few figures"


def test_unknown_tasks_are_not_judged(tmp_path):
    document = json.loads(
        json.dumps(task_result("NFCorpus", scores={"test": [{"ndcg_at_5": 0.5}]}))
    )
    write_json(tmp_path / "NFCorpus.json", document)
    assert query_faults(read_results_folder(tmp_path, Enclosure.around(tmp_path))) == ()


def test_unknown_revision_may_have_any_known_number():
    assert query_counts(TASKS[DOCVQA], "f" * 40) == (451, 500)
    assert query_counts(TASKS[ARXIV], "f" * 40) == (500,)
