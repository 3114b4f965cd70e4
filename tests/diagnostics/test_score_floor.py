"""Scores of a benchmark, of a part of it and of single tasks beside the lowest published ones."""

import pytest
from builders.results import entry, task_result, write_json, write_tasks

from colintern.artifacts.files import Enclosure
from colintern.artifacts.results.folder import read_results_folder
from colintern.diagnostics.results.benchmarks import TASKS, VIDORE_V1, VIDORE_V3
from colintern.diagnostics.results.published import published_models, published_scores
from colintern.diagnostics.results.result_table import result_table
from colintern.diagnostics.results.score_floor import score_floor
from colintern.guide import GUIDE

ARXIV, DOCVQA = "VidoreArxivQARetrieval", "VidoreDocVQARetrieval"
INFOVQA, TATDQA = "VidoreInfoVQARetrieval", "VidoreTatdqaRetrieval"
GUIDES_FOUR = (ARXIV, DOCVQA, INFOVQA, TATDQA)
AI = "VidoreSyntheticDocQAAIRetrieval"
HR, FINANCE = "Vidore3HrRetrieval", "Vidore3FinanceFrRetrieval"


def floor_of(folder, scores):
    write_tasks(folder, scores)
    return floor_in(folder)


def floor_in(folder):
    results = read_results_folder(folder, Enclosure.around(folder))
    table = result_table(results)
    return score_floor(table, results, published_scores(), published_models().models)


@pytest.mark.parametrize(
    ("task", "score", "low"),
    [
        (DOCVQA, 0.05, True),
        (DOCVQA, 0.25, True),
        (DOCVQA, 0.40, False),
        (DOCVQA, 0.55, False),
        (ARXIV, 0.35, True),
        (ARXIV, 0.48, False),
        (AI, 0.35, True),
        (AI, 0.55, False),
        ("ColInternPagesRetrieval", 0.45, True),
        ("ColInternPagesRetrieval", 0.55, False),
    ],
)
def test_one_task_is_judged_on_the_scale_of_its_benchmark(tmp_path, task, score, low):
    assert bool(floor_of(tmp_path, {task: score}).faults(GUIDE)) is low


def test_one_lost_task_says_that_training_failed(tmp_path):
    (text,) = floor_of(tmp_path, {DOCVQA: 0.05}).faults(GUIDE)
    assert text == f"{DOCVQA} NDCG@5 0.050, broken: training failed, published from 0.546"


@pytest.mark.parametrize(("score", "low"), [(0.2, 1), (0.38, 1), (0.5, 0), (0.75, 0)])
def test_the_guides_four_are_judged_together(tmp_path, score, low):
    faults = floor_of(tmp_path, dict.fromkeys(GUIDES_FOUR, score)).faults(GUIDE)
    assert len(faults) == low
    assert all("of ViDoRe(v1): mean NDCG@5" in text for text in faults)


@pytest.mark.parametrize(("score", "named"), [(0.05, True), (0.20, False), (0.60, False)])
@pytest.mark.parametrize("others", [GUIDES_FOUR, sorted(VIDORE_V1.task_names)])
def test_good_tasks_hide_no_lost_one(tmp_path, others, score, named):
    scores = dict.fromkeys(others, 0.85) | {DOCVQA: score}
    faults = floor_of(tmp_path, scores).faults(GUIDE)
    assert [text.split()[0] for text in faults] == [DOCVQA] * named


def test_other_benchmarks_have_no_bands(tmp_path):
    floor = floor_of(tmp_path, {HR: 0.15, FINANCE: 0.14})
    assert (floor.known, floor.means, floor.faults(GUIDE)) == (True, (), [])


@pytest.mark.parametrize(("num_poor", "num_named"), [(1, 0), (5, 5), (10, 10)])
def test_half_of_a_benchmark_far_below_is_no_weak_spot(tmp_path, num_poor, num_named):
    names = sorted(VIDORE_V3.task_names)
    lowest = published_scores()
    scores = {name: lowest[name].median for name in names}
    scores |= {name: 0.4 * lowest[name].lowest for name in names[:num_poor]}
    faults = floor_of(tmp_path, scores).faults(GUIDE)
    shown = min(num_named, 3) + (num_named > 3)
    assert len(faults) == shown


@pytest.mark.parametrize(("subset", "judged"), [("english", True), ("french", False)])
def test_language_alone_is_judged_only_where_it_is_the_best_one(tmp_path, subset, judged):
    scores = {"test": [entry(HR, 0.01, subset)]}
    write_json(tmp_path / f"{HR}.json", task_result(HR, scores=scores))
    assert bool(floor_in(tmp_path).faults(GUIDE)) is judged


def test_task_that_nobody_published_is_not_judged(tmp_path):
    assert not floor_of(tmp_path, {"Vidore3HrRetrieval.v2": 0.01, "NFCorpus": 0.01}).known


def test_no_published_late_interaction_model_is_too_low(tmp_path):
    models = [model for model in published_models().models if model.late_interaction]
    assert len(models) > 20
    for number, model in enumerate(models):
        scores = {name: task.ndcg_at_5 for name, task in model.tasks.items()}
        folder = tmp_path / str(number)
        assert floor_of(folder, scores).faults(GUIDE) == [], model.name
        # Alone each task is as good as among the others.
        for name in TASKS.keys() & scores.keys():
            alone = folder / name
            assert floor_of(alone, {name: scores[name]}).faults(GUIDE) == [], (model.name, name)
