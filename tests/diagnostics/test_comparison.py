import math

import numpy as np
import pytest
from builders.results import (
    entry,
    results_folder,
    revision_of,
    task_result,
    write_json,
    write_results,
    write_tasks,
)
from support.auditing import audit
from support.compared_models import ARXIV, TABFQUAD, evaluated, model_of_ranks

from colintern.diagnostics.results import paired_bootstrap
from colintern.diagnostics.results.comparison import Evaluated, compare, obstacles, score_table
from colintern.diagnostics.results.paired_bootstrap import (
    SamplingError,
    mean_interval,
    paired_interval,
    unpaired_interval,
)

HARD = "Vidore2BioMedicalLecturesRetrieval"
GAINS = np.array([1.0, 0.63093, 0.5, 0.43068, 0.38685, 0.0])
SHARES = [0.6, 0.12, 0.07, 0.05, 0.03, 0.13]


def model(folder, by_task, **changes):
    for task, score in by_task.items():
        folder.mkdir(exist_ok=True)
        write_json(folder / f"{task}.json", task_result(task, score, **changes))
    return evaluated(folder)


LONG = pytest.mark.acceptance
SHIFTED = [0.5, 0.12, 0.1, 0.08, 0.05, 0.15]


def draws(num_queries, shares, kept, *, simulations):
    """Yield the differences of two models, of which the second keeps a share of the first's."""
    random = np.random.default_rng(num_queries + 7)
    for _ in range(simulations):
        first = random.choice(GAINS, num_queries, p=SHARES)
        again = random.choice(GAINS, num_queries, p=shares)
        yield np.where(random.random(num_queries) < kept, first, again) - first


def names(num_queries):
    return [str(index) for index in range(num_queries)]


def room(share, simulations):
    """Three standard errors of a simulated share."""
    return 3 * math.sqrt(share * (1 - share) / simulations)


@pytest.mark.parametrize(
    ("num_queries", "kept", "num_comparisons", "simulations"),
    [
        (50, 0.0, 1, 200),
        (100, 0.8, 1, 200),
        (100, 0.95, 1, 200),
        pytest.param(52, 0.9, 1, 2_000, marks=LONG),
        pytest.param(300, 0.9, 1, 2_000, marks=LONG),
        pytest.param(500, 0.9, 1, 2_000, marks=LONG),
        pytest.param(52, 0.5, 11, 1_000, marks=LONG),
        pytest.param(300, 0.9, 11, 1_000, marks=LONG),
    ],
)
def test_equal_models_are_seldom_called_different(
    monkeypatch, num_queries, kept, num_comparisons, simulations
):
    resamples = 2_000 if num_comparisons == 1 else 10_000
    monkeypatch.setattr(paired_bootstrap, "NUM_RESAMPLES", resamples)
    called = sum(
        paired_interval(each, names(num_queries), num_comparisons=num_comparisons).verdict
        != "no difference"
        for each in draws(num_queries, SHARES, kept, simulations=simulations)
    )
    share = 0.05 / num_comparisons
    assert called / simulations <= share + room(share, simulations)


@pytest.mark.parametrize(
    ("num_queries", "kept", "simulations"),
    [
        (100, 0.0, 200),
        pytest.param(52, 0.0, 2_000, marks=LONG),
        pytest.param(100, 0.5, 2_000, marks=LONG),
        pytest.param(300, 0.5, 2_000, marks=LONG),
        pytest.param(500, 0.0, 2_000, marks=LONG),
        pytest.param(500, 0.5, 2_000, marks=LONG),
        pytest.param(500, 0.9, 2_000, marks=LONG),
    ],
)
def test_interval_covers_the_true_difference(monkeypatch, num_queries, kept, simulations):
    monkeypatch.setattr(paired_bootstrap, "NUM_RESAMPLES", 2_000)
    true = float(GAINS @ SHIFTED - GAINS @ SHARES) * (1 - kept)
    covered = 0
    for each in draws(num_queries, SHIFTED, kept, simulations=simulations):
        interval = paired_interval(each, names(num_queries))
        covered += interval.low <= true <= interval.high
    assert abs(covered / simulations - 0.95) <= 0.01 + room(0.95, simulations)


@pytest.mark.parametrize(
    ("num_worse", "verdict"), [(0, "no difference"), (4, "no difference"), (12, "worse")]
)
def test_few_differing_queries_are_chance(num_worse, verdict):
    differences = [-1.0] * num_worse + [0.0] * (100 - num_worse)
    assert paired_interval(differences, [str(i) for i in range(100)]).verdict == verdict


@pytest.mark.parametrize(
    ("num_differing", "tail", "t"), [(6, 0.025, 2.5706), (18, 0.025, 2.1098), (10, 0.005, 3.2498)]
)
def test_few_differing_queries_widen_the_interval(num_differing, tail, t):
    z = {0.025: 1.959964, 0.005: 2.575829}[tail]
    expected = math.sqrt(num_differing / (num_differing - 1)) * t / z
    assert paired_bootstrap._stretch(num_differing, tail) == pytest.approx(expected, abs=0.005)


@pytest.mark.parametrize("num_queries", [50, 1_000])
def test_interval_is_of_its_confidence(num_queries):
    differences = np.random.default_rng(1).normal(0.01, 0.2, num_queries)
    found = paired_interval(differences, [str(n) for n in range(num_queries)])
    error = differences.std(ddof=1) / math.sqrt(num_queries)
    t = {50: 2.0096, 1_000: 1.9623}[num_queries]
    assert found.high - found.low == pytest.approx(2 * t * error, rel=0.05)
    assert found.low + found.high == pytest.approx(2 * differences.mean(), abs=error / 5)


def test_every_resample_is_drawn():
    draws = paired_bootstrap._resampled_means(np.ones(3_000), np.ones(3_000))
    assert len(draws) == paired_bootstrap.NUM_RESAMPLES


def test_translations_are_one_query():
    differences = [-0.4, -0.2, -0.3, -0.5] * 8 + [0.3] * 8
    apart = paired_interval(differences, [str(i) for i in range(40)])
    together = paired_interval(differences, [str(i // 4) for i in range(40)])
    assert together.num_queries == 10
    assert together.high - together.low > 1.2 * (apart.high - apart.low)


def test_more_comparisons_make_wider_intervals():
    differences = [-0.5, 0.1, -0.3, 0.0, 0.2, -0.4, -0.1] * 10
    groups = [str(i) for i in range(70)]
    one, many = (paired_interval(differences, groups, num_comparisons=n) for n in (1, 11))
    assert many.low < one.low < one.high < many.high
    assert one == paired_interval(differences, groups)


def test_error_of_figures_is_combined():
    error = SamplingError(0.3, 100)
    interval = unpaired_interval(-0.1, error, error)
    assert interval.standard_error == pytest.approx(0.03 * math.sqrt(2))
    assert interval.high == pytest.approx(-0.1 + 1.959964 * interval.standard_error)
    mean = mean_interval([interval, interval])
    assert mean.standard_error == pytest.approx(interval.standard_error / math.sqrt(2))
    assert mean.difference == pytest.approx(-0.1)


def test_model_beside_itself_is_no_difference(tmp_path):
    first = model_of_ranks(tmp_path / "a", [1, 2, 6] * 20)
    comparison = compare(first, first)
    assert [task.interval.verdict for task in comparison.tasks] == ["no difference"]
    assert (comparison.tasks[0].wins, comparison.tasks[0].losses) == (0, 0)
    assert comparison.tasks[0].basis == "queries"
    assert not comparison.worse + comparison.better


def test_queries_find_what_figures_do_not(tmp_path):
    first = model_of_ranks(tmp_path / "a", [1, 2, 6, 1] * 25)
    second = model_of_ranks(tmp_path / "b", [1, 2, 6, 1] * 20 + [2, 2, 6, 2] * 5)
    (task,) = compare(first, second).tasks
    assert (task.wins, task.losses, task.interval.verdict) == (0, 10, "worse")
    assert {pair.difference for pair in task.pairs if pair.difference} == {-1 + 1 / math.log2(3)}
    bare = [Evaluated(each.name, each.results, {}) for each in (first, second)]
    (task,) = compare(*bare).tasks
    assert (task.wins, task.basis) == (None, "sampling error")
    assert task.unpaired == "a: no predictions"
    assert task.interval.verdict == "no difference"


@pytest.mark.parametrize(("score", "worse"), [(0.6, 2), (0.79, 0)])
def test_figures_alone_tell_a_large_loss(tmp_path, score, worse):
    first = model(tmp_path / "a", {ARXIV: 0.8, HARD: 0.6})
    second = model(tmp_path / "b", {ARXIV: score, HARD: 0.6})
    comparison = compare(first, second)
    assert len(comparison.worse) == worse
    assert comparison.better == ()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, ""),
        ({"dataset_revision": "f" * 40}, f"dataset revision {revision_of(HARD)}"),
        ({"dataset_revision": None}, ""),
        ({"scores": {"train": [entry(HARD, 0.8)]}}, "split test and train"),
        ({"scores": {"test": [entry(HARD, 0.8, "french")]}}, "subsets english, french"),
    ],
)
def test_other_measurements_are_refused(tmp_path, changes, reason):
    first = model(tmp_path / "a", {HARD: 0.8})
    second = model(tmp_path / "b", {HARD: 0.8}, **changes)
    found = "; ".join(obstacles(first.results, second.results, HARD))
    assert reason in found
    assert bool(found) == bool(reason)
    assert [*compare(first, second).refused] == ([HARD] if reason else [])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"main_score": entry(ARXIV, 0.8)["ndcg_at_100"]}, "main score ndcg_at_1 and ndcg_at_100"),
        ({"ndcg_at_5": 80.0}, "no NDCG@5 between 0 and 1"),
        ({"ndcg_at_5": math.nan}, "no NDCG@5 between 0 and 1"),
    ],
)
def test_other_cut_offs_are_refused(tmp_path, change, reason):
    first = model(tmp_path / "a", {ARXIV: 0.8})
    second = model(tmp_path / "b", {ARXIV: 0.8}, scores={"test": [entry(ARXIV, 0.8, **change)]})
    assert reason in "; ".join(obstacles(first.results, second.results, ARXIV))


def test_two_programs_are_refused(tmp_path):
    first = model(tmp_path / "a", {ARXIV: 0.8})
    (tmp_path / "b").mkdir()
    write_json(tmp_path / "b" / "m.json", {"arxivqa_test_subsampled": {"ndcg_at_5": 0.8}})
    second = evaluated(tmp_path / "b")
    assert obstacles(first.results, second.results, ARXIV) == ("harness mteb and vidore-benchmark",)


@pytest.mark.parametrize(("loader", "refused"), [("ColPaliWrapper", True), ("OwnWrapper", False)])
def test_doubled_query_formats_are_refused(tmp_path, loader, refused):
    models = []
    for name, version in (("a", "2.1.4"), ("b", "2.26.0")):
        scores = {"test": [entry(ARXIV, 0.8, mteb_version=version)]}
        model(tmp_path / name, {ARXIV: 0.8}, scores=scores, mteb_version=version)
        meta = {"name": name, "revision": "x", "loader": loader}
        write_json(tmp_path / name / "model_meta.json", meta)
        models.append(evaluated(tmp_path / name))
    assert bool(compare(*models).refused) == refused


def test_mean_is_over_common_tasks_only(tmp_path):
    first = model(tmp_path / "a", {ARXIV: 0.8, TABFQUAD: 0.9, HARD: 0.5})
    second = model(tmp_path / "b", {ARXIV: 0.6, TABFQUAD: 0.7})
    write_tasks(tmp_path / "b", {HARD: 0.9}, dataset_revision="f" * 40)
    second = evaluated(tmp_path / "b")
    table = score_table([first, second], [compare(first, second)])
    assert table.common == (ARXIV, TABFQUAD)
    assert table.means == pytest.approx((0.85, 0.65))
    assert set(table.rows) == {ARXIV, TABFQUAD, HARD}


def audited(pytester, run, *arguments):
    command = ("--checkpoint", run, "--select", "CMP", "--baseline", run.parent / "baseline")
    return audit(pytester, *command, *arguments)


@pytest.mark.parametrize(
    ("score", "revision", "outcomes"),
    [
        (0.5, "e", ("failed", "passed")),
        (0.5, "f", ("failed", "failed")),
        (0.8, "f", ("passed", "failed")),
        (0.8, "e", ("passed", "passed")),
    ],
)
def test_one_refused_task_hides_no_other(pytester, healthy_run, score, revision, outcomes):
    scores = {ARXIV: 0.8, TABFQUAD: 0.8}
    write_tasks(healthy_run.parent / "baseline", scores)
    write_results(healthy_run, scores={ARXIV: score})
    other = {"dataset_revision": revision * 40} if revision == "f" else {}
    changed = task_result(TABFQUAD, 0.2 if other else 0.8, **other)
    write_json(results_folder(healthy_run) / f"{TABFQUAD}.json", changed)
    done = audited(pytester, healthy_run)
    assert tuple(done.outcomes.values()) == outcomes
    assert TABFQUAD not in done.check("CMP001")["observed"]
    assert (TABFQUAD in done.check("CMP002")["observed"]) == (revision == "f")


def test_nothing_left_to_judge_is_no_evidence(pytester, healthy_run):
    write_tasks(healthy_run.parent / "baseline", {ARXIV: 0.8}, dataset_revision="f" * 40)
    done = audited(pytester, healthy_run)
    assert done.outcomes == {"CMP001": "no_evidence", "CMP002": "failed"}
    assert done.roots == ["CMP002"]


def test_option_not_given_is_not_asked_for(pytester, healthy_run):
    done = audit(pytester, "--checkpoint", healthy_run, "--select", "CMP", "--strict-evidence")
    assert done.outcomes == {"CMP001": "no_evidence", "CMP002": "no_evidence"}
    assert "--baseline" not in done.output.rpartition("verdict:")[2]
    assert not any(check["gates"] for check in done.document["checks"])


def test_baseline_without_results_is_one_error(pytester, healthy_run, tmp_path):
    (tmp_path / "empty").mkdir()
    arguments = ("--checkpoint", healthy_run, "--select", "CMP,SEC003", "--baseline")
    done = audit(pytester, *arguments, tmp_path / "empty")
    assert done.outcomes == {"CMP001": "blocked", "CMP002": "blocked", "SEC003": "failed"}
    assert "task results in it" in done.check("SEC003")["expected"]


@pytest.mark.parametrize(
    ("run", "outcome"), [("demo:healthy", "passed"), ("demo:poor-settings", "failed")]
)
def test_a_bundled_run_is_a_baseline(pytester, run, outcome):
    arguments = ("--select", "CMP", "--baseline", "demo:healthy")
    done = audit(pytester, "--checkpoint", run, *arguments)
    assert done.outcomes == {"CMP001": outcome, "CMP002": "passed"}, done.output


def test_an_unknown_bundled_baseline_names_the_others(pytester):
    done = audit(pytester, "--checkpoint", "demo", "--baseline", "demo:best")
    assert done.exit_code == 4
    assert "--baseline demo:best: no such bundled run; there is demo:" in done.output
