import csv

import pytest
from builders.results import task_result, write_json, write_tasks
from click.testing import CliRunner

from colintern.cli import main

ARXIV = "VidoreArxivQARetrieval"


def compare(*arguments):
    done = CliRunner().invoke(main, ["compare", *map(str, arguments)])
    return done.exit_code, done.output


@pytest.fixture
def folders(tmp_path):
    write_tasks(tmp_path / "a", {ARXIV: 0.8, "VidoreTabfquadRetrieval": 0.9})
    write_tasks(tmp_path / "b", {ARXIV: 0.6})
    return tmp_path / "a", tmp_path / "b"


def test_run_beside_itself_is_no_difference(healthy_run):
    code, output = compare(healthy_run, healthy_run)
    assert code == 0
    assert output.count("no difference") == 15
    assert "worse" not in output
    assert "settings" not in output


def test_loss_is_told_with_its_interval(folders):
    code, output = compare(*folders)
    assert code == 0
    assert f"{ARXIV}: worse (-0.2000, -0.25" in output
    assert "mean of 1 common tasks   0.8000  0.6000" in output


def test_other_revisions_are_refused(folders):
    first, second = folders
    write_tasks(second, {ARXIV: 0.6}, dataset_revision="f" * 40)
    code, output = compare(first, second)
    assert code == 1
    assert f"{ARXIV}: not compared: dataset revision {'e' * 40} and {'f' * 40}" in output
    assert "worse" not in output
    assert "common tasks" not in output


def test_written_tables_run_nothing(folders, tmp_path):
    first, second = folders
    for folder in folders:
        write_json(folder / "odd.json", task_result("=1+1|<b>", 0.5))
    outputs = tmp_path / "out.md", tmp_path / "out.csv"
    code, _ = compare(first, second, "--markdown", outputs[0], "--csv", outputs[1])
    assert code == 0
    rows = list(csv.reader(outputs[1].read_text().splitlines()))
    assert rows[0] == ["NDCG@5", "a", "b"]
    assert ["'=1+1|<b>", "0.5000", "0.5000"] in rows
    assert "\\|\\<b\\>" in outputs[0].read_text()


def test_other_settings_are_shown(folders, healthy_run):
    _, output = compare(healthy_run, folders[0])
    assert "num_train_epochs" in output


@pytest.mark.parametrize(
    ("number", "message"), [(1, "at least two runs"), (2, "no task result"), (0, "Missing")]
)
def test_mistakes_are_one_error(folders, tmp_path, number, message):
    (tmp_path / "empty").mkdir()
    code, output = compare(*[folders[0], tmp_path / "empty"][:number])
    assert code == 2
    assert message in output
