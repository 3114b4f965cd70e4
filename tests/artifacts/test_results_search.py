import pytest
from builders.results import DATE, write_results, write_tasks

from colintern.artifacts.results.search import find_results, find_results_in
from colintern.artifacts.run.layout import read_run_layout

ARXIV = "VidoreArxivQARetrieval"
GUIDE = "results/mteb_evaluation"


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "project" / "experiments" / "mine"
    (folder / "checkpoint-100").mkdir(parents=True)
    return folder


def found(path, invocation_dir, subject=None):
    return find_results(read_run_layout(path), subject or path.name, invocation_dir)


def found_in(folder, path, *, subject=None, num_subjects=1):
    layout = read_run_layout(path)
    return find_results_in(folder, layout, subject or path.name, num_subjects=num_subjects)


def test_own_results_come_first(run, tmp_path):
    write_results(run)
    write_tasks(tmp_path / "project" / GUIDE / "mine", {ARXIV: 0.1})
    assert len(found(run, tmp_path).results.tasks) == 14


@pytest.mark.parametrize("place", ["project", "project/experiments", "elsewhere"])
def test_guides_layout_is_found(run, tmp_path, place):
    write_tasks(tmp_path / place / GUIDE / "mine", {ARXIV: 0.8})
    assert list(found(run, tmp_path / "elsewhere").results.tasks) == [ARXIV]


def test_nearest_ancestor_wins(run, tmp_path):
    write_tasks(tmp_path / GUIDE / "mine", {ARXIV: 0.1})
    write_tasks(tmp_path / "project" / GUIDE / "mine", {ARXIV: 0.8})
    results = found(run, tmp_path).results
    assert results.tasks[ARXIV].subsets[0].main_score == 0.8


def test_another_models_folder_is_never_taken(run, tmp_path):
    write_tasks(tmp_path / "project" / GUIDE / "theirs", {ARXIV: 0.8})
    search = found(run, tmp_path)
    assert search.results is None
    assert search.other_names == ("theirs",)


@pytest.mark.parametrize(
    ("name", "taken"),
    [
        ("mine/checkpoint-100", True),
        ("mine__checkpoint-100", True),
        ("checkpoint-100", False),
        ("mine", None),
    ],
)
def test_checkpoint_takes_only_its_own(run, tmp_path, name, taken):
    write_tasks(tmp_path / "project" / GUIDE / name, {ARXIV: 0.8})
    assert (found(run / "checkpoint-100", tmp_path).results is not None) is bool(taken)


def test_named_folder_with_files_is_taken(run, tmp_path):
    write_tasks(tmp_path / "scores", {ARXIV: 0.8})
    assert found_in(tmp_path / "scores", run).results is not None


@pytest.mark.parametrize("name", ["mine", "experiments__mine"])
def test_named_folder_with_subjects_folder_is_taken(run, tmp_path, name):
    write_tasks(tmp_path / "scores" / name / ("a" * 40), {ARXIV: 0.8})
    write_tasks(tmp_path / "scores" / "theirs", {ARXIV: 0.1}, date=DATE + 99)
    results = found_in(tmp_path / "scores", run).results
    assert results.tasks[ARXIV].subsets[0].main_score == 0.8


@pytest.mark.parametrize(
    ("name", "taken"), [("a" * 40, True), ("checkpoint-100", True), ("x", False)]
)
def test_named_folder_of_revisions_is_one_model(run, tmp_path, name, taken):
    write_tasks(tmp_path / "scores" / name, {ARXIV: 0.8})
    search = found_in(tmp_path / "scores", run)
    assert (search.results is not None) is taken
    assert search.other_names == (() if taken else (name,))


def test_several_subjects_need_a_folder_each(run, tmp_path):
    write_tasks(tmp_path / "scores", {ARXIV: 0.8})
    write_tasks(tmp_path / "scores" / "experiments" / "mine", {ARXIV: 0.3})
    assert found_in(tmp_path / "scores", run, num_subjects=2).results is None
    named = found_in(tmp_path / "scores", run, subject="experiments/mine", num_subjects=2)
    assert named.results.tasks[ARXIV].subsets[0].main_score == 0.3


def test_hub_snapshot_is_named_by_its_repository(tmp_path):
    snapshot = tmp_path / "models--vidore--colpali" / "snapshots" / ("b" * 40)
    snapshot.mkdir(parents=True)
    write_tasks(tmp_path / "scores" / "vidore__colpali", {ARXIV: 0.8})
    assert found_in(tmp_path / "scores", snapshot).results is not None


def test_subject_name_cannot_lead_outside(run, tmp_path):
    write_tasks(tmp_path / "secret", {ARXIV: 0.8})
    (tmp_path / "scores").mkdir()
    assert found_in(tmp_path / "scores", run, subject="../secret").results is None


@pytest.mark.parametrize(
    ("place", "taken"),
    [
        ("vidore/colpali-v1.3", False),
        (f"vidore/colpali-v1.3/{'a' * 40}", False),
        ("mteb/baseline-bm25s", False),
        ("vidore", True),
        (f"vidore/{'a' * 40}", True),
        ("mteb/vidore_v1", True),
        ("vidore_v1/predictions", True),
    ],
)
def test_folder_of_an_organisation_is_no_benchmark(run, tmp_path, place, taken):
    write_tasks(tmp_path / "scores" / place, {ARXIV: 0.8})
    assert (found_in(tmp_path / "scores", run).results is not None) is taken


@pytest.mark.parametrize(
    "place",
    [
        "results/team__mine/" + "a" * 40,
        "results/mine",
        "results/experiments__mine/no_revision_available",
        "results/no_model_name__available/no_revision_available",
        "results/no_model_name_available/no_revision_available",
        "team__mine/" + "a" * 40,
        "no_model_name_available/no_revision_available",
        f"{GUIDE}/mine",
    ],
)
def test_cache_of_mteb_is_searched(run, tmp_path, place):
    write_tasks(tmp_path / "cache" / place, {ARXIV: 0.3})
    write_tasks(tmp_path / "cache" / "results" / "vidore__colpali" / ("b" * 40), {ARXIV: 0.8})
    results = found_in(tmp_path / "cache", run).results
    assert results.tasks[ARXIV].subsets[0].main_score == 0.3


@pytest.mark.parametrize(
    ("places", "num_subjects", "taken"),
    [
        (["team__mine"], 1, True),
        (["team__mine", "other__mine"], 1, False),
        (["team__mine"], 2, False),
        (["no_model_name__available"], 2, False),
        (["team__mine-too"], 1, False),
        (["vidore/mine"], 1, False),
    ],
)
def test_owner_is_guessed_only_where_one_can_be_meant(run, tmp_path, places, num_subjects, taken):
    for place in places:
        write_tasks(tmp_path / "cache" / place / ("a" * 40), {ARXIV: 0.3})
    search = found_in(tmp_path / "cache", run, num_subjects=num_subjects)
    assert (search.results is not None) is taken
    assert taken or search.other_names


def test_checkpoint_does_not_take_its_runs_results(run, tmp_path):
    write_tasks(tmp_path / "cache" / "team__mine" / ("a" * 40), {ARXIV: 0.3})
    assert found_in(tmp_path / "cache", run / "checkpoint-100").results is None


def test_folder_without_any_result_names_nothing(run, tmp_path):
    (tmp_path / "scores").mkdir()
    search = found_in(tmp_path / "scores", run)
    assert (search.results, search.other_names) == (None, ())
