"""Every other file of the corpus, through the readers that it would reach in a run's folder."""

import shutil

import pytest
from support.auditing import audit
from support.log_judging import fired, judge_log

from colintern.artifacts.errors import ArtifactError
from colintern.artifacts.files import Enclosure
from colintern.artifacts.json.document import read_json_object
from colintern.artifacts.logs.trainer_state import read_trainer_state
from colintern.artifacts.results.folder import read_results_folder

POINTER = b"version https://git-lfs"


def misc_files(corpus):
    files = sorted(path for path in (corpus / "misc").rglob("*") if path.is_file())
    assert len(files) > 15
    return files


def found(read, path):
    """None for what was read; else the one error that a reader may raise."""
    try:
        read(path, None)
    except ArtifactError as error:
        return str(error)
    return None


def test_only_pointers_are_no_json(corpus):
    for path in misc_files(corpus):
        error = found(read_json_object, path)
        assert (error is not None) is path.read_bytes().startswith(POINTER), (path, error)


def test_printed_logs_are_read_and_judged(corpus):
    fragments = [path for path in misc_files(corpus) if path.parent.name == "embedded_logs"]
    assert fragments
    for path in fragments:
        assert found(read_trainer_state, path) is None
        judge_log(path)


def test_nan_fragments_are_called_broken(corpus):
    judged = {
        path.name: fired(judge_log(path), "error")
        for path in misc_files(corpus)
        if path.parent.name == "embedded_logs" and "nan" in path.name
    }
    assert len(judged) > 4
    assert {name for name, rules in judged.items() if "LOG001" not in rules} == set()


def test_other_documents_are_no_log(corpus):
    for path in misc_files(corpus):
        if path.parent.name != "embedded_logs":
            assert found(read_trainer_state, path) is not None, path


def test_other_documents_are_no_results(corpus):
    results = read_results_folder(corpus / "misc", Enclosure.around(corpus / "misc"))
    assert results is None or not results.tasks


@pytest.mark.parametrize("place", [".", "results", "results/vidore_v1"])
def test_run_that_holds_them_is_audited(pytester, corpus, healthy_run, place):
    folder = healthy_run / place
    folder.mkdir(parents=True, exist_ok=True)
    for path in misc_files(corpus):
        shutil.copyfile(path, folder / path.name)
    result = audit(pytester, "--checkpoint", healthy_run)
    assert result.of_outcome("error") == [], result.output
    assert set(result.of_outcome("failed")) <= {"SEC003"}, result.output
