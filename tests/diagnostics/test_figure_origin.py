"""Figures of another model, of another task, or on another task's data."""

from pathlib import Path

import pytest
from builders.results import (
    GOOD_SCORES,
    REVISION,
    model_meta,
    revision_of,
    task_result,
    whole,
    write_json,
    write_tasks,
)

from colintern.artifacts.files import Enclosure
from colintern.artifacts.results.folder import read_results_folder
from colintern.artifacts.results.model_meta import ModelMeta
from colintern.diagnostics.results.benchmarks import VIDORE_V1
from colintern.diagnostics.results.copied_figures import copied_models, equal_tasks
from colintern.diagnostics.results.dataset_revisions import (
    dataset_revisions,
    foreign_revisions,
    is_commit,
)
from colintern.diagnostics.results.figure_origin import figure_origin
from colintern.diagnostics.results.model_identity import Identity, identity_faults, names_of
from colintern.diagnostics.results.published import published_model, published_models
from colintern.diagnostics.results.result_table import result_table
from colintern.families.catalogue import family_named

ARXIV, DOCVQA = "VidoreArxivQARetrieval", "VidoreDocVQARetrieval"
INFOVQA, TATDQA = "VidoreInfoVQARetrieval", "VidoreTatdqaRetrieval"
AI, ENERGY = "VidoreSyntheticDocQAAIRetrieval", "VidoreSyntheticDocQAEnergyRetrieval"
GOVERNMENT = "VidoreSyntheticDocQAGovernmentReportsRetrieval"
THEIRS = "vidore/colpali-v1.3"
OLD_DOCVQA = "b1d89eda849e" + "0123456789abcdef0123456789ab"


def results_of(folder):
    return read_results_folder(folder, Enclosure.around(folder))


def identity(*names, declared=None, family=None, is_own_training=False, has_weights=True):
    return Identity(
        names_of(Path("/runs/mine"), *names),
        declared,
        family_named(family) if family else None,
        is_own_training,
        has_weights,
    )


def write_copy(folder, model, tasks, **changes):
    """Write result files with a published model's figures in `tasks`."""
    published = published_model(model).tasks
    for name in tasks:
        figures = published[name]
        document = task_result(name, figures.ndcg_at_5)
        for entry in document["scores"]["test"]:
            values = {
                "ndcg_at_5": figures.ndcg_at_5,
                "ndcg_at_10": figures.ndcg_at_10,
                "recall_at_100": figures.recall_at_100,
            }
            entry.update(values | changes)
        write_json(folder / f"{name}.json", document)


def copies_in(folder):
    table = result_table(results_of(folder))
    return [copy.model.name for copy in copied_models(table, published_models().models)]


@pytest.mark.parametrize(
    ("tasks", "changes", "copied"),
    [
        ((ARXIV, DOCVQA, INFOVQA), {}, True),
        ((ARXIV, DOCVQA), {}, False),
        ((AI, ENERGY, GOVERNMENT), {}, False),
        ((ARXIV, DOCVQA, INFOVQA), {"ndcg_at_10": 0.7}, False),
        ((ARXIV, DOCVQA, INFOVQA), {"ndcg_at_10": None, "recall_at_100": None}, True),
    ],
)
def test_three_telling_tasks_are_a_copy(tmp_path, tasks, changes, copied):
    write_tasks(tmp_path, {TATDQA: 0.7})
    write_copy(tmp_path, THEIRS, tasks, **changes)
    assert copies_in(tmp_path) == [THEIRS] * copied


def test_no_published_model_is_a_copy_of_another(tmp_path):
    models = [m for m in published_models().models if VIDORE_V1.task_names <= m.tasks.keys()]
    for number, model in enumerate(models):
        folder = tmp_path / str(number)
        folder.mkdir()
        write_copy(folder, model.name, VIDORE_V1.task_names & model.tasks.keys())
        assert set(copies_in(folder)) <= {model.name}


@pytest.mark.parametrize(
    ("who", "grave"),
    [
        (identity(), False),
        (identity(is_own_training=True), True),
        (identity(family="ColQwen2"), True),
        (identity(family="ColPali"), False),
        (identity(declared=THEIRS, is_own_training=True), True),
        (identity(declared=THEIRS, family="ColQwen2"), True),
        (identity(declared=THEIRS, family="ColPali"), None),
        (identity(declared=THEIRS), None),
        (identity(declared=THEIRS, is_own_training=True, has_weights=False), None),
        (identity(THEIRS, is_own_training=True), None),
        (identity("vidore__colpali-v1.3"), None),
        (identity("/cache/colpali-v1.3", family="ColQwen2"), None),
    ],
)
def test_copy_is_a_fault_where_the_weights_are_others(tmp_path, who, grave):
    write_copy(tmp_path, THEIRS, (ARXIV, DOCVQA, INFOVQA))
    found = [
        fault.is_grave
        for fault in figure_origin(
            results_of(tmp_path), result_table(results_of(tmp_path)), who
        ).faults
        if "figures of" in fault.text
    ]
    assert found == ([] if grave is None else [grave])


@pytest.mark.parametrize(
    ("one", "other", "score", "pairs"),
    [
        (AI, ENERGY, 0.8, 1),
        (AI, ENERGY, 0.97, 0),
        (AI, ENERGY, 1.0, 0),
        ("Vidore3HrRetrieval", "Vidore3HrRetrieval.v2", 0.5, 0),
        ("Vidore3HrRetrieval", "Vidore3EnergyRetrieval", 0.5, 1),
    ],
)
def test_two_tasks_never_have_the_same_figures(tmp_path, one, other, score, pairs):
    document = task_result(one, score)
    write_json(tmp_path / f"{one}.json", document)
    write_json(tmp_path / f"{other}.json", {**document, "task_name": other})
    assert len(equal_tasks(results_of(tmp_path))) == pairs


def test_data_of_another_task_are_named(tmp_path):
    write_tasks(tmp_path, {ARXIV: 0.8}, dataset_revision=revision_of(DOCVQA))
    assert foreign_revisions(results_of(tmp_path)) == (
        f"{ARXIV} has the dataset revision of {DOCVQA}",
    )


@pytest.mark.parametrize(
    ("revision", "is_one"),
    [
        (revision_of(ARXIV), True),
        ("7d94d570960eac2408d3baa7a33f9de4822ae3e4", True),
        ("main", False),
        ("7d94d570960e", False),
        ("e" * 40, False),
        ("0" * 39 + "1", False),
        ("7D94D570960EAC2408D3BAA7A33F9DE4822AE3E4", False),
    ],
)
def test_commit_is_40_digits_that_nobody_typed(revision, is_one):
    assert is_commit(revision) is is_one


@pytest.mark.parametrize(
    ("revision", "num_faults", "num_unknown"),
    [
        (revision_of(DOCVQA), 0, 0),
        (OLD_DOCVQA, 1, 0),
        ("0123456789abcdef0123456789abcdef01234567", 0, 1),
        ("main", 1, 0),
        (None, 0, 0),
    ],
)
def test_revisions_of_one_benchmark_belong_together(tmp_path, revision, num_faults, num_unknown):
    write_tasks(tmp_path, dict.fromkeys(VIDORE_V1.task_names, 0.8))
    write_tasks(tmp_path, {DOCVQA: 0.8}, dataset_revision=revision)
    results = results_of(tmp_path)
    found = dataset_revisions(results, result_table(results))
    assert (len(found.faults), len(found.unknown)) == (num_faults, num_unknown)


@pytest.mark.parametrize("model", published_models().models, ids=lambda model: model.name)
def test_published_revisions_belong_together(tmp_path, model):
    for name, task in model.tasks.items():
        revision = f"{task.dataset_revision}{'0123456789abcdef' * 2}"[:40]
        write_tasks(tmp_path, {name: task.ndcg_at_5}, dataset_revision=revision)
    results = results_of(tmp_path)
    found = dataset_revisions(results, result_table(results))
    assert (found.faults, found.unknown) == ((), ())


def test_results_without_revisions_are_not_judged(tmp_path):
    write_tasks(tmp_path, {ARXIV: 0.8}, dataset_revision=None)
    results = results_of(tmp_path)
    assert dataset_revisions(results, result_table(results)) is None


@pytest.mark.parametrize(
    ("changes", "who", "named"),
    [
        ({}, identity(is_own_training=True), None),
        ({"name": THEIRS}, identity(is_own_training=True), "name"),
        ({"name": THEIRS}, identity(family="ColQwen2"), "name"),
        ({"name": THEIRS}, identity(family="ColPali"), None),
        ({"name": THEIRS}, identity(is_own_training=True, has_weights=False), None),
        ({"name": THEIRS}, identity(THEIRS, is_own_training=True), None),
        ({"name": "colpali-v1.3"}, identity(is_own_training=True), None),
        ({"revision": published_model(THEIRS).revision}, identity(), "revision"),
        ({"revision": published_model(THEIRS).revision, "name": "vidore/other"}, identity(), None),
        ({"revision": published_model(THEIRS).revision, "name": None}, identity(), None),
        ({"revision": REVISION}, identity(), None),
    ],
)
def test_metadata_of_another_model_is_named(changes, who, named):
    meta = {**model_meta(), **changes}
    given = ModelMeta(path=Path("model_meta.json"), name=meta["name"], revision=meta["revision"])
    who = Identity(who.names, given.name, who.family, who.is_own_training, who.has_weights)
    assert [text.split()[0] for text in identity_faults(given, who)] == ([named] if named else [])


def test_results_as_the_builder_writes_them_are_right(tmp_path):
    write_tasks(tmp_path, {task: whole(task, score) for task, score in GOOD_SCORES.items()})
    results = results_of(tmp_path)
    origin = figure_origin(results, result_table(results), identity(is_own_training=True))
    assert (origin.num_judged, origin.faults) == (14, ())
