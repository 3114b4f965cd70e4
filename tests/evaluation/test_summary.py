import pytest
from builders.results import entry, task_result, write_json

from colintern.evaluation.command import summary_of

ARXIV = "VidoreArxivQARetrieval"


def test_each_column_is_its_metric(tmp_path):
    figures = {"ndcg_at_5": 0.61, "ndcg_at_10": 0.65, "recall_at_100": 0.97}
    scores = {"test": [entry(ARXIV, 0.61, **figures)]}
    write_json(tmp_path / f"{ARXIV}.json", task_result(ARXIV, scores=scores))
    (row,) = [line for line in summary_of(tmp_path).splitlines() if line.startswith(ARXIV)]
    assert row.split()[1:4] == ["0.6100", "0.6500", "0.9700"]
    assert row.endswith("guide's target 0.60-0.75")


@pytest.mark.parametrize(("score", "band"), [(0.97, "excellent"), (0.02, "broken")])
def test_a_mean_has_its_own_columns(tmp_path, score, band):
    task = "ColInternPagesRetrieval"
    figures = {"ndcg_at_5": score, "ndcg_at_10": score + 0.01, "recall_at_100": score + 0.02}
    scores = {"test": [entry(task, score, **figures)]}
    write_json(tmp_path / f"{task}.json", task_result(task, scores=scores))
    mean = summary_of(tmp_path).splitlines()[-1].split()
    shown = [f"{value:.4f}" for value in figures.values()]
    assert mean == ["mean", "of", "pages", *shown, band]


def test_a_part_has_no_mean(tmp_path):
    write_json(tmp_path / f"{ARXIV}.json", task_result(ARXIV, 0.6))
    assert "1 of 10 tasks" in summary_of(tmp_path)
    assert "mean of ViDoRe" not in summary_of(tmp_path)
