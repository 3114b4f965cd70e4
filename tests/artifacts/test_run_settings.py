"""`run_settings.jsonl` of MTEB 2.26, whole and broken."""

import json

import pytest
from builders.results import write_tasks

from colintern.artifacts.files import Enclosure
from colintern.artifacts.results.folder import read_results_folder
from colintern.artifacts.results.run_settings import RUN_SETTINGS, read_run_settings

ARXIV, DOCVQA = "VidoreArxivQARetrieval", "VidoreDocVQARetrieval"
LINE = {
    "task": ARXIV,
    "version": {"mteb": "2.26.24", "torch": "2.9.0", "flash-attn": None},
    "encode_kwargs": {"batch_size": 4},
    "splits": ["test"],
    "subsets": ["default"],
}


def write_lines(folder, *lines):
    text = "".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines)
    (folder / RUN_SETTINGS).write_text(text)


def read(folder):
    return read_run_settings(folder / RUN_SETTINGS, Enclosure.around(folder))


def test_line_of_mteb_is_read(tmp_path):
    write_lines(tmp_path, LINE)
    (settings,) = read(tmp_path)
    assert (settings.task, settings.splits, settings.subsets) == (ARXIV, ("test",), ("default",))
    assert settings.version == LINE["version"]
    assert settings.encode_kwargs == {"batch_size": 4}


@pytest.mark.parametrize(
    "line", ["", "{", "[]", "null", '{"task": 3}', '{"split": "test"}', "[" * 100_000, "\x00"]
)
def test_line_that_is_no_record_is_left_out(tmp_path, line):
    write_lines(tmp_path, line, LINE)
    assert [settings.task for settings in read(tmp_path)] == [ARXIV]


def test_absent_and_escaping_files_say_nothing(tmp_path):
    inside = tmp_path / "inside"
    inside.mkdir()
    assert read(inside) == ()
    write_lines(tmp_path, LINE)
    (inside / RUN_SETTINGS).symlink_to(tmp_path / RUN_SETTINGS)
    assert read(inside) == ()


@pytest.mark.parametrize(
    ("tasks", "lost"), [((ARXIV,), ()), ((ARXIV, DOCVQA), (DOCVQA,)), ((), ())]
)
def test_task_that_was_evaluated_and_is_not_here_is_lost(tmp_path, tasks, lost):
    write_tasks(tmp_path, {ARXIV: 0.8})
    write_lines(tmp_path, *({**LINE, "task": task} for task in tasks))
    results = read_results_folder(tmp_path, Enclosure.around(tmp_path))
    assert results.lost_tasks == lost


def test_malformed_result_is_not_lost(tmp_path):
    write_tasks(tmp_path, {ARXIV: 0.8})
    (tmp_path / f"{DOCVQA}.json").write_text("{")
    write_lines(tmp_path, {**LINE, "task": DOCVQA})
    assert read_results_folder(tmp_path, Enclosure.around(tmp_path)).lost_tasks == ()


def test_mteb_writes_what_is_read(tmp_path):
    task_result = pytest.importorskip("mteb.results.task_result")
    task_result._write_and_merge_keyed_json(tmp_path / RUN_SETTINGS, [LINE])
    assert [settings.task for settings in read(tmp_path)] == [ARXIV]
