import math
import statistics

import pytest
from builders.results import entry, task_result, write_json, write_tasks

from colintern.artifacts.files import Enclosure
from colintern.artifacts.results.folder import read_results_folder
from colintern.artifacts.results.model_meta import ModelMeta
from colintern.artifacts.results.predictions import read_task_queries
from colintern.artifacts.run.manifest import DatasetRecord, RunManifest
from colintern.diagnostics.results.benchmarks import VIDORE_V1
from colintern.diagnostics.results.best_published import (
    best_level,
    tasks_above,
    undeclared_tasks,
)
from colintern.diagnostics.results.paired_bootstrap import sampling_error
from colintern.diagnostics.results.published import (
    close_names,
    published_model,
    published_models,
    published_table,
)
from colintern.diagnostics.results.published_shape import task_offsets
from colintern.diagnostics.results.query_scores import query_scores
from colintern.diagnostics.results.result_table import result_table

ARXIV = "VidoreArxivQARetrieval"
COLPALI = "vidore/colpali-v1.3"


def results_of(folder):
    return read_results_folder(folder, Enclosure.around(folder))


@pytest.mark.parametrize(
    ("name", "found"),
    [(COLPALI, COLPALI), ("ColPali-v1.3", COLPALI), ("colpali-v9", None), ("other/colpali", None)],
)
def test_published_model_by_name(name, found):
    model = published_model(name)
    assert (model.name if model else None) == found


def test_unknown_name_has_close_names():
    assert COLPALI in close_names("vidore/colpali-v1.33")


@pytest.mark.parametrize(("other", "odd"), [("openai/clip-vit-base-patch32", 1), (COLPALI, 0)])
def test_task_of_another_model_is_out_of_shape(tmp_path, other, odd):
    own, strange = published_model("vidore/colqwen2.5-v0.2"), published_model(other)
    scores = {name: own.tasks[name].ndcg_at_5 for name in VIDORE_V1.task_names}
    write_tasks(tmp_path, scores | {ARXIV: strange.tasks[ARXIV].ndcg_at_5})
    offsets = task_offsets(result_table(results_of(tmp_path)), published_table().tasks)
    assert [offset.task for offset in offsets if offset.out_of_shape] == [ARXIV] * odd


@pytest.mark.parametrize(("drop", "odd"), [(0.23, []), (0.27, [ARXIV])])
def test_a_task_may_lie_a_quarter_below(tmp_path, drop, odd):
    tasks = published_table().tasks
    scores = {name: tasks[name].median + (tasks[name].offset or 0) for name in VIDORE_V1.task_names}
    write_tasks(tmp_path, scores | {ARXIV: scores[ARXIV] - drop})
    offsets = task_offsets(result_table(results_of(tmp_path)), tasks)
    assert [offset.task for offset in offsets if offset.out_of_shape] == odd


@pytest.mark.parametrize(("score", "judged"), [(0.8, 10), (0.4, 0)])
def test_poor_models_have_no_shape(tmp_path, score, judged):
    write_tasks(tmp_path, dict.fromkeys(VIDORE_V1.task_names, score))
    offsets = task_offsets(result_table(results_of(tmp_path)), published_table().tasks)
    assert len(offsets) == judged


@pytest.mark.parametrize(
    ("score", "above", "beyond"), [(0.92, False, False), (0.93, True, False), (0.95, True, True)]
)
def test_best_published_mean_has_a_margin(tmp_path, score, above, beyond):
    write_tasks(tmp_path, dict.fromkeys(VIDORE_V1.task_names, score))
    results = results_of(tmp_path)
    level = best_level(result_table(results), results, published_models().models)
    assert (level.above, level.beyond_noise) == (above, beyond)


def test_no_published_model_is_above_the_others_beyond_noise(tmp_path):
    models = published_models().models
    for number, model in enumerate(models):
        write_tasks(
            tmp_path / str(number), {name: task.ndcg_at_5 for name, task in model.tasks.items()}
        )
        results = results_of(tmp_path / str(number))
        others = [other for other in models if other.name.split("/")[0] != model.name.split("/")[0]]
        assert not tasks_above(result_table(results), results, others), model.name
        level = best_level(result_table(results), results, others)
        assert level is None or not level.beyond_noise, model.name


@pytest.mark.parametrize(("score", "above"), [(0.86, False), (0.90, True)])
def test_single_task_may_be_above_the_best_by_its_error(tmp_path, score, above):
    write_tasks(tmp_path, {"VidoreTatdqaRetrieval": score})
    results = results_of(tmp_path)
    assert bool(tasks_above(result_table(results), results, published_models().models)) is above


@pytest.mark.parametrize("task", ["ColInternPagesRetrieval", "Vidore3HrRetrieval.v2"])
def test_best_score_of_few_models_judges_nothing(tmp_path, task):
    write_tasks(tmp_path, {task: 0.99})
    results = results_of(tmp_path)
    few = published_models().models[:7]
    assert tasks_above(result_table(results), results, few) is None


@pytest.mark.parametrize(
    ("dataset", "declared", "undeclared"),
    [
        ("vidore/colpali_train_set", [], 4),
        ("vidore/colpali_train_set", ["DocVQA", "InfoVQA", "TATDQA", "arXivQA"], 0),
        ("our/own_set", [], None),
    ],
)
def test_training_sets_must_be_declared(tmp_path, dataset, declared, undeclared):
    manifest = RunManifest(schema="colintern.run/1", datasets=(DatasetRecord(name=dataset),))
    meta = ModelMeta(path=tmp_path, training_datasets=declared)
    found = undeclared_tasks(manifest, meta)
    assert (found if found is None else len(found)) == undeclared


def test_spread_follows_from_the_figures(tmp_path):
    ranks = [1] * 60 + [2] * 15 + [3] * 10 + [4] * 5 + [5] * 4 + [50] * 6
    gains = [1 / math.log2(rank + 1) if rank <= 5 else 0 for rank in ranks]
    metrics = {
        f"ndcg_at_{k}": round(
            sum(gain for gain, rank in zip(gains, ranks, strict=True) if rank <= k) / 100, 5
        )
        for k in (1, 3, 5)
    } | {f"recall_at_{k}": sum(rank <= k for rank in ranks) / 100 for k in (3, 5)}
    write_json(
        tmp_path / "a.json", task_result(ARXIV, scores={"test": [entry(ARXIV, 0.8, **metrics)]})
    )
    error = sampling_error(results_of(tmp_path).tasks[ARXIV])
    assert error.spread == pytest.approx(statistics.pstdev(gains), abs=1e-3)
    assert error.standard_error == pytest.approx(error.spread / math.sqrt(500))


@pytest.mark.parametrize(
    ("score", "reason"),
    [(0.81546, ""), (0.8155, ""), (0.815, "another evaluation"), (0.7, "another evaluation")],
)
def test_queries_must_give_the_published_mean(tmp_path, score, reason):
    predictions = {"q1": {"a": 2.0, "b": 1.0}, "q2": {"a": 2.0, "b": 1.0}}
    answers = {"q1": {"a": 1}, "q2": {"b": 1}}
    changed = entry(ARXIV, 0.8, ndcg_at_5=score)
    write_json(tmp_path / f"{ARXIV}.json", task_result(ARXIV, scores={"test": [changed]}))
    for ending, queries in (("predictions", predictions), ("relevance", answers)):
        document = {"default": {"test": queries}}
        write_json(tmp_path / f"{ARXIV}_{ending}.json", document)
    results = results_of(tmp_path)
    found = query_scores(results.tasks[ARXIV], read_task_queries(results, ARXIV))
    assert reason in found.reason
    assert len(found.scores) == (0 if reason else 2)
