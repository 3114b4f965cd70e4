import math

import pytest
from builders.results import entry, metrics, task_result, write_json, write_tasks

from colintern.artifacts.files import Enclosure
from colintern.artifacts.results.folder import read_results_folder
from colintern.diagnostics.results.benchmarks import (
    BENCHMARKS,
    TASKS,
    VIDORE_V1,
    VIDORE_V2,
    VIDORE_V3,
    VIDORE_V3_1,
)
from colintern.diagnostics.results.published import published_scores
from colintern.diagnostics.results.result_table import band_of, result_table
from colintern.diagnostics.results.score_level import chance_levels, target_levels
from colintern.diagnostics.results.score_validity import main_scores, score_faults, summary
from colintern.guide import GUIDE

ARXIV = "VidoreArxivQARetrieval"
DOCVQA = "VidoreDocVQARetrieval"
ESG = "Vidore2ESGReportsRetrieval"
V1 = sorted(VIDORE_V1.task_names)


def results_of(folder):
    return read_results_folder(folder, Enclosure.around(folder))


def table_of(folder, scores, **changes):
    write_tasks(folder, scores, **changes)
    return result_table(results_of(folder))


def faults_of(folder, task, **changes):
    write_json(
        folder / f"{task}.json", task_result(task, scores={"test": [entry(task, 0.8, **changes)]})
    )
    return [fault.kind for fault in score_faults(results_of(folder))]


def test_complete_benchmark_has_a_mean(tmp_path):
    table = table_of(tmp_path, dict.fromkeys(V1, 0.8) | {ARXIV: 0.3})
    (row,) = table.benchmarks
    assert row.complete
    assert row.means["ndcg_at_5"] == pytest.approx(0.75)
    assert table.banded_means == {"ViDoRe(v1)": row.means["ndcg_at_5"]}


def test_partial_benchmark_has_no_mean(tmp_path):
    table = table_of(tmp_path, dict.fromkeys(V1[1:], 0.8))
    (row,) = table.benchmarks
    assert row.missing == (V1[0],)
    assert row.means is None
    assert table.banded_means == {}
    assert str(row) == f"ViDoRe(v1): 9 of 10 tasks, missing {V1[0]}"


@pytest.mark.parametrize(
    ("scores", "lack"),
    [
        (
            {"test": [entry(ESG, 0.5, "english"), entry(ESG, 0.7, "french")]},
            "without german, spanish",
        ),
        ({"train": [entry(ESG, 0.5, name) for name in TASKS[ESG].subsets]}, "without its split"),
    ],
)
def test_partial_task_is_labelled(tmp_path, scores, lack):
    table = table_of(tmp_path, dict.fromkeys(VIDORE_V2.task_names, 0.6))
    assert table.benchmarks[0].complete
    write_json(tmp_path / f"{ESG}.json", task_result(ESG, scores=scores))
    row = result_table(results_of(tmp_path)).benchmarks[0]
    assert row.means is None
    assert lack in str(row)


def test_task_is_the_mean_of_its_languages(tmp_path):
    subsets = [entry(ESG, 0.2 + 0.1 * i, name) for i, name in enumerate(sorted(TASKS[ESG].subsets))]
    write_json(tmp_path / "a.json", task_result(ESG, scores={"test": subsets}))
    (row,) = result_table(results_of(tmp_path)).tasks
    assert row.ndcg_at_5 == pytest.approx(0.35)


@pytest.mark.parametrize(
    ("names", "closed_only"),
    [
        ({"Vidore3NuclearRetrieval", "Vidore3TelecomRetrieval"}, True),
        ({"Vidore3NuclearRetrieval", "Vidore3HrRetrieval"}, False),
    ],
)
def test_closed_tasks_of_version_3_are_told_apart(tmp_path, names, closed_only):
    table = table_of(tmp_path, dict.fromkeys(VIDORE_V3.task_names - names, 0.5))
    assert table.benchmarks[0].lacks_closed_tasks_only is closed_only


def test_two_programs_have_no_common_mean(tmp_path):
    write_tasks(tmp_path, dict.fromkeys(V1[1:], 0.8))
    write_json(tmp_path / "a.json", {"vidore/arxivqa_test_subsampled": {"ndcg_at_5": 0.8}})
    (row,) = result_table(results_of(tmp_path)).benchmarks
    assert row.complete
    assert row.means is None


@pytest.mark.parametrize(
    ("mean", "band"),
    [
        (0.9, "excellent"),
        (0.70, "excellent"),
        (0.69, "good"),
        (0.5, "good"),
        (0.49, "weak"),
        (0.3, "weak"),
        (0.29, "poor"),
        (0.1, "poor"),
        (0.09, "broken"),
    ],
)
def test_every_mean_has_a_band(mean, band):
    assert band_of(mean, GUIDE) == band


def test_frame_has_a_row_a_task(tmp_path):
    frame = table_of(tmp_path, {ARXIV: 0.8, "Other": 0.1}).to_frame()
    assert list(frame["task"]) == ["Other", ARXIV]
    assert list(frame["benchmark"].dropna()) == ["ViDoRe(v1)"]
    assert list(frame.columns[2:5]) == ["ndcg_at_5", "ndcg_at_10", "recall_at_100"]


@pytest.mark.parametrize(
    ("task", "changes", "kinds"),
    [
        (ARXIV, {}, []),
        (ARXIV, {"ndcg_at_5": 1.2}, ["range"]),
        (ARXIV, {"main_score": 80.0}, ["range"]),
        (ARXIV, {"ndcg_at_5": -0.1}, ["range"]),
        (ARXIV, {"ndcg_at_5": math.nan}, ["range"]),
        (ARXIV, {"ndcg_at_5": 250.0}, ["range"]),
        (ARXIV, {"main_score": None}, ["missing"]),
        (ARXIV, {"map_at_10": 0.7}, ["falling"]),
        (ARXIV, {"map_at_10": 0.79992}, []),
        (ARXIV, {"ndcg_at_10": 0.7}, []),
        (ARXIV, {"ndcg_at_5": 0.85}, ["disagreeing"]),
        (ARXIV, {"ndcg_at_5": 0.80002}, []),
        (ESG, {"ndcg_at_5": 0.85}, []),
        (ARXIV, {"precision_at_5": 0.15}, ["disagreeing"]),
        (ARXIV, {"precision_at_5": 0.15995}, ["disagreeing"]),
        (ARXIV, {"precision_at_5": 0.160005}, []),
        (ESG, {"precision_at_5": 0.15}, []),
        (ARXIV, {"nauc_recall_at_5_max": math.nan}, []),
    ],
)
def test_impossible_scores_are_named(tmp_path, task, changes, kinds):
    assert faults_of(tmp_path, task, **changes) == kinds


@pytest.mark.parametrize(
    ("factor", "kinds"), [(100, {"percent"}), (3, {"percent"}), (300, {"range"})]
)
def test_most_figures_above_one_are_percentages(tmp_path, factor, kinds):
    values = {name: value * factor for name, value in metrics(0.8).items()}
    values["main_score"] = values["ndcg_at_5"]
    found = set(faults_of(tmp_path, ARXIV, **values))
    assert found - {"disagreeing"} == kinds


def test_summary_counts_what_it_does_not_show(tmp_path):
    write_tasks(tmp_path, {ARXIV: 3.0})
    faults = score_faults(results_of(tmp_path))
    assert summary(faults).endswith(f"and {len(faults) - 3} more")
    assert summary(()) == ""


@pytest.mark.parametrize(
    ("task", "metric", "agrees"),
    [
        (ARXIV, "ndcg_at_5", True),
        (ARXIV, "ndcg_at_10", False),
        ("Vidore3HrRetrieval", "ndcg_at_10", True),
        ("Vidore3HrRetrieval", "ndcg_at_5", False),
    ],
)
def test_main_score_is_its_benchmarks_metric(tmp_path, task, metric, agrees):
    values = entry(task, 0.8, ndcg_at_1=0.7, ndcg_at_3=0.72, ndcg_at_5=0.75, ndcg_at_20=0.85)
    values["main_score"] = values[metric]
    write_json(tmp_path / "a.json", task_result(task, scores={"test": [values]}))
    (score,) = main_scores(results_of(tmp_path))
    assert score.agrees is agrees
    assert score.repeats == metric


def test_random_ranking_on_one_relevant_page():
    assert TASKS[ARXIV].random_ndcg_at_5 == pytest.approx(2.9485 / 500, rel=1e-4)
    assert TASKS["VidoreTabfquadRetrieval"].random_ndcg_at_5 == pytest.approx(2.9485 / 70, rel=1e-4)


@pytest.mark.parametrize(
    ("task", "score", "at_chance"),
    [
        (ARXIV, 0.006, True),
        (ARXIV, 0.03, False),
        ("VidoreTabfquadRetrieval", 0.05, True),
        ("VidoreTabfquadRetrieval", 0.12, False),
        ("Vidore2EconomicsReportsRetrieval", 0.02, False),
        ("Vidore3HrRetrieval", 0.004, True),
        ("ColInternPagesRetrieval", 0.009, True),
        ("ColInternPagesRetrieval", 0.05, False),
    ],
)
def test_chance_depends_on_the_task(tmp_path, task, score, at_chance):
    (level,) = chance_levels(table_of(tmp_path, {task: score}))
    assert level.at_chance is at_chance


@pytest.mark.parametrize(
    ("score", "target", "both"),
    [(0.7, False, False), (0.62, True, False), (0.52, True, False), (0.48, True, True)],
)
def test_target_is_beside_published_models(tmp_path, score, target, both):
    table = table_of(tmp_path, {DOCVQA: score})
    (level,) = target_levels(table, GUIDE.task_targets, published_scores())
    assert (level.below_target, level.below_both) == (target, both)


def test_unpublished_task_is_only_compared_with_its_target(tmp_path):
    (level,) = target_levels(table_of(tmp_path, {DOCVQA: 0.3}), GUIDE.task_targets, {})
    assert level.below_target
    assert not level.below_both


def test_published_scores_are_shares_in_order():
    for name, scores in published_scores().items():
        assert name in TASKS
        figures = (scores.lower_quartile, scores.median, scores.upper_quartile, scores.best)
        assert figures[0] > 0
        assert list(figures) == sorted(figures)
        assert figures[3] <= 1


def test_benchmarks_are_those_of_mteb():
    mteb = pytest.importorskip("mteb")
    for benchmark in BENCHMARKS[:4]:
        tasks = mteb.get_benchmark(benchmark.name).tasks
        assert {task.metadata.name for task in tasks} == benchmark.task_names
        for task in tasks:
            ours = TASKS[task.metadata.name]
            languages = task.metadata.eval_langs
            subsets = set(languages) if isinstance(languages, dict) else {"default"}
            assert ours.subsets == subsets
            assert task.metadata.main_score == benchmark.metric
            assert task.metadata.eval_splits == ["test"]
            assert bool(task.metadata.is_public) is ours.public


def test_versions_3_and_3_1_have_the_same_pages():
    for plain, text in zip(VIDORE_V3.tasks, VIDORE_V3_1.tasks, strict=True):
        assert text.name == f"{plain.name}.v2"
        assert text.num_pages == plain.num_pages
