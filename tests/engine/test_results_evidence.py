import json

import numpy as np
import pytest
from builders.adapter import write_tensors
from builders.results import (
    DATE,
    REVISION,
    results_folder,
    write_record,
    write_results,
    write_tasks,
)
from support.auditing import audit

from colintern.artifacts.errors import ArtifactError
from colintern.artifacts.files import Enclosure
from colintern.artifacts.run.layout import Folder
from colintern.artifacts.tensors.weights_hash import weights_sha256
from colintern.engine.providers import shipped_providers
from colintern.engine.resolver import Resolver
from colintern.engine.subjects import AuditOptions, Subject
from colintern.engine.verdict import NoEvidence

ARXIV = "VidoreArxivQARetrieval"


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    write_weights(folder, 1.0)
    return folder


def write_weights(run, value):
    tensors = {"a.lora_B.weight": np.full((2, 2), value, np.float32)}
    write_tensors(run / "adapter_model.safetensors", tensors)


def evidence(run, name, **options):
    options = AuditOptions(invocation_dir=run.parent / "nowhere", **options)
    given = {"subject": Subject(run, run.name), "options": options}
    return Resolver(shipped_providers(), given).get(name)


def test_missing_results_name_what_was_found(run):
    write_tasks(run.parent / "results" / "mteb_evaluation" / "other", {ARXIV: 0.8})
    with pytest.raises(NoEvidence, match="found only other"):
        evidence(run, "task_results")


@pytest.mark.parametrize(
    ("name", "content"), [(None, ""), ("NFCorpus.json", "[]"), ("notes.json", "{}")]
)
def test_results_option_without_a_result_is_said(run, tmp_path, name, content):
    folder = tmp_path / "scores"
    folder.mkdir()
    if name:
        (folder / name).write_text(content)
    with pytest.raises(NoEvidence, match=r"--results .*scores holds no readable result"):
        evidence(run, "result_table", results=folder)


OTHER = "vidore__colpali-v1.3"


@pytest.mark.parametrize("own", [".", "d" * 40, "run", "team__run/" + "d" * 40])
def test_own_results_are_judged_beside_another_models(run, own):
    write_tasks(run / "results" / own, {ARXIV: 0.1})
    write_tasks(run / "results" / OTHER / ("a" * 40), {ARXIV: 0.8}, date=DATE + 99)
    found = evidence(run, "task_results").tasks
    assert [task.subsets[0].main_score for task in found.values()] == [0.1]


@pytest.mark.parametrize("place", [OTHER, f"{OTHER}/{'a' * 40}"])
def test_another_models_results_inside_the_run_are_not_its_own(run, place):
    write_tasks(run / "results" / place, {ARXIV: 0.8})
    with pytest.raises(NoEvidence, match=f"found only {OTHER}"):
        evidence(run, "task_results")
    (run / "results" / place / "colintern_eval.json").write_text("{}")
    assert list(evidence(run, "task_results").tasks) == [ARXIV]


@pytest.mark.parametrize("place", [OTHER, f"{OTHER}/{'a' * 40}"])
def test_results_option_takes_a_folder_of_any_name(run, place):
    write_tasks(run / "results" / OTHER / ("a" * 40), {ARXIV: 0.8})
    assert list(evidence(run, "task_results", results=run / "results" / place).tasks) == [ARXIV]


def test_results_option_is_taken(run, tmp_path):
    write_tasks(tmp_path / "scores", {ARXIV: 0.8})
    assert list(evidence(run, "task_results", results=tmp_path / "scores").tasks) == [ARXIV]


def test_meta_and_record_lie_beside_the_results(run):
    write_results(run)
    assert evidence(run, "model_meta").revision == REVISION
    assert evidence(run, "evaluation_record").query_prefix == ""


@pytest.mark.parametrize("place", ["results/team__run", "results", "."])
def test_record_is_found_above_the_results(run, place):
    write_results(run)
    record = results_folder(run) / "colintern_eval.json"
    record.rename(run / place / "colintern_eval.json")
    assert evidence(run, "evaluation_record").padding_side == "left"


def test_results_with_errors_alone_have_no_table(run):
    write_tasks(run / "results", {})
    (run / "results" / f"{ARXIV}.json").write_text("{")
    assert len(evidence(run, "task_results").errors) == 1
    with pytest.raises(NoEvidence):
        evidence(run, "result_table")


def test_hash_is_compared_with_the_weights(run):
    write_results(run)
    assert evidence(run, "evaluated_weights").same is True
    write_weights(run, 2.0)
    assert evidence(run, "evaluated_weights").hashes_differ


def test_truncated_weights_are_nobodys(run):
    write_results(run)
    weights = run / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4])
    with pytest.raises(ArtifactError, match="truncated"):
        evidence(run, "evaluated_weights")


def test_weights_are_not_hashed_without_a_recorded_hash(run, monkeypatch):
    write_results(run)
    write_record(run, weights_sha256=None)
    monkeypatch.setattr("colintern.engine.evidence.records.weights_sha256", None)
    assert evidence(run, "evaluated_weights").same is None


def test_file_times_never_count(run):
    write_results(run, date=None)
    write_record(run, weights_sha256=None)
    manifest = {"schema": "colintern.run/1", "ended": "2026-05-04T10:00:00Z"}
    (run / "colintern_run.json").write_text(json.dumps(manifest))
    assert evidence(run, "evaluated_weights").same is None


def test_checkpoint_is_no_final_folder(run):
    checkpoint = run / "checkpoint-100"
    checkpoint.mkdir()
    (checkpoint / "adapter_model.safetensors").write_bytes(b"x")
    with pytest.raises(NoEvidence):
        evidence(checkpoint, "processor_files")
    assert evidence(run, "processor_files").missing


def test_run_with_checkpoints_alone_is_not_final(run):
    (run / "adapter_model.safetensors").rename(run / "checkpoint")
    (run / "checkpoint-5").mkdir()
    (run / "checkpoint").rename(run / "checkpoint-5" / "adapter_model.safetensors")
    with pytest.raises(NoEvidence):
        evidence(run, "processor_files")


def test_malformed_result_is_reported_and_the_rest_is_judged(run, tmp_path):
    write_tasks(tmp_path / "scores", {ARXIV: 0.8})
    (tmp_path / "scores" / "VidoreDocVQARetrieval.json").write_text('{"scores": ')
    integrity = evidence(run, "integrity", results=tmp_path / "scores")
    assert "VidoreDocVQARetrieval.json" in [error.path.name for error in integrity.malformed]
    assert [
        row.name for row in evidence(run, "result_table", results=tmp_path / "scores").tasks
    ] == [ARXIV]


@pytest.mark.parametrize("place", ["vidore_v1", "vidore", "ViDoRe_v2", "mteb", "team__run/vidore"])
def test_folder_of_a_benchmark_is_the_runs_own(run, place):
    write_tasks(run / "results" / place, {ARXIV: 0.1})
    assert list(evidence(run, "task_results").tasks) == [ARXIV]
    assert evidence(run, "task_results").folder == run / "results" / place


def test_results_option_takes_a_folder_of_benchmarks(run):
    write_tasks(run / "results" / "vidore_v1", {ARXIV: 0.1})
    assert list(evidence(run, "task_results", results=run / "results").tasks) == [ARXIV]


@pytest.mark.parametrize("place", ["vidore_colpali", "colqwen2", "vidore_v1_colpali"])
def test_folder_of_a_model_is_not_the_runs_own(run, place):
    write_tasks(run / "results" / place, {ARXIV: 0.1})
    with pytest.raises(NoEvidence, match=f"found only {place}"):
        evidence(run, "task_results")


def test_two_benchmarks_are_read_together(run):
    write_tasks(run / "results" / "vidore_v1", {ARXIV: 0.1})
    write_tasks(run / "results" / "vidore_v2", {"Vidore2ESGReportsHLRetrieval": 0.2}, date=DATE + 9)
    found = evidence(run, "task_results")
    assert list(found.tasks) == ["Vidore2ESGReportsHLRetrieval", ARXIV]
    assert (found.folder, found.left_out) == (run / "results", "")


def test_what_is_not_judged_is_shown(pytester, healthy_run):
    write_results(healthy_run)
    folder = results_folder(healthy_run)
    write_tasks(folder.parent / ("a" * 40), {ARXIV: 0.1}, date=DATE - 99)
    (folder / "notes.json").write_text("{}")
    result = audit(pytester, "--checkpoint", healthy_run, "--select", "RES")
    shown = result.check("RES003")["observed"]
    assert f"folders with other results: team__run/{'a' * 40}" in shown
    assert "files without a result: " in shown
    assert "notes.json" in shown
    assert "(team/run)" in result.check("RES001")["observed"]


def test_model_without_a_name_is_its_folder(run):
    write_tasks(run / "results" / "vidore_v1", {ARXIV: 0.1})
    assert evidence(run, "task_results").model == "results/vidore_v1"


@pytest.fixture
def two_benchmarks(run):
    for folder, task in (("vidore_v1", ARXIV), ("vidore_v2", "Vidore2ESGReportsRetrieval")):
        write_tasks(run / "results" / folder, {task: 0.6})
    digest = weights_sha256(Folder.read(run), Enclosure.around(run))
    record = {"weights_sha256": digest, "padding_side": "left", "max_num_visual_tokens": 1536}

    def write(**by_folder):
        for folder, changes in by_folder.items():
            path = run / "results" / folder / "colintern_eval.json"
            path.write_text(json.dumps({**record, **changes}))

    return write


def test_records_of_two_benchmarks_count_together(run, two_benchmarks):
    two_benchmarks(vidore_v1={}, vidore_v2={"padding_side": "right", "ended": "2026-05-05"})
    record = evidence(run, "evaluation_record")
    assert (record.padding_side, record.max_num_visual_tokens) == (None, 1536)
    assert evidence(run, "evaluated_weights").same is True


@pytest.mark.parametrize("stale", ["vidore_v1", "vidore_v2"])
def test_one_benchmark_of_other_weights_is_told(run, two_benchmarks, stale):
    two_benchmarks(**{"vidore_v1": {}, "vidore_v2": {}, stale: {"weights_sha256": "0" * 64}})
    weights = evidence(run, "evaluated_weights")
    assert weights.hashes_differ
    assert str(weights).startswith("sha256 000000000000… evaluated")


def test_record_of_one_benchmark_is_enough(run, two_benchmarks):
    two_benchmarks(vidore_v2={})
    assert evidence(run, "evaluated_weights").same is True
