import csv

import pytest
from builders.results import revision_of, task_result, write_json, write_tasks
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
    assert output.count(", by sampling error") == 14
    assert "worse" not in output
    assert "settings" not in output


def test_loss_is_told_with_its_interval(folders):
    code, output = compare(*folders)
    assert code == 0
    assert f"{ARXIV}: worse (-0.2000, -0.25" in output
    assert "mean of 1 common task    0.8000  0.6000" in output


def test_other_revisions_are_refused(folders):
    first, second = folders
    write_tasks(second, {ARXIV: 0.6}, dataset_revision="f" * 40)
    code, output = compare(first, second)
    assert code == 1
    assert f"{ARXIV}: not compared: dataset revision {revision_of(ARXIV)} and {'f' * 40}" in output
    assert "worse" not in output
    assert "common tasks" not in output


def csv_rows(path):
    return list(csv.DictReader(path.read_text().splitlines()))


def test_written_tables_run_nothing(folders, tmp_path):
    names = ["=1+1|<b>", "@SUM(1)", "+1", " =1", "\t=1", "[x](y)", "# title", "-x"]
    for folder in folders:
        for number, name in enumerate(names):
            write_json(folder / f"odd{number}.json", task_result(name, 0.5))
    outputs = tmp_path / "out.md", tmp_path / "out.csv"
    code, _ = compare(*folders, "--markdown", outputs[0], "--csv", outputs[1])
    assert code == 0
    cells = {cell for row in csv_rows(outputs[1]) for cell in row.values()}
    assert {"'=1+1|<b>", "'@SUM(1)", "' =1", "'-x", "-0.20000"} <= cells
    assert not [cell for cell in cells if cell.lstrip()[:1] in set("=@") or cell in names[3:5]]
    text = outputs[0].read_text()
    for name in ("=1+1|<b>", "@SUM(1)", "+1", "[x](y)", "# title", "-x"):
        assert f"| {name} |" not in text
    assert "\\|&lt;b&gt;" in text


def test_csv_has_a_row_a_score(folders, tmp_path):
    path = tmp_path / "out.csv"
    compare(*folders, "--csv", path)
    rows = csv_rows(path)
    found = {(row["run"], row["task"], row["metric"]): row for row in rows}
    assert len(rows) == len(found) == 2 * 3 * 3
    row = found["b", ARXIV, "NDCG@5"]
    assert (row["score"], row["verdict"], row["basis"]) == ("0.60000", "worse", "sampling error")
    assert float(row["low"]) < float(row["difference"]) < float(row["high"])
    assert row["note"] == "a: no predictions"
    assert found["a", ARXIV, "NDCG@5"]["verdict"] == ""
    assert found["b", "VidoreTabfquadRetrieval", "NDCG@10"]["score"] == ""


def test_demo_runs_are_found():
    code, output = compare("demo:healthy", "demo:guide-as-written")
    assert code == 0
    assert "ColInternPagesRetrieval: worse" in output
    assert "LoRA target_modules" in output


def test_one_run_twice_is_told_apart(folders, tmp_path):
    path = tmp_path / "out.csv"
    compare(folders[0], folders[0], "--csv", path)
    assert {row["run"] for row in csv_rows(path)} == {str(folders[0]), f"{folders[0]} (2)"}


def test_broken_predictions_leave_the_figures(folders):
    (folders[0] / f"{ARXIV}_predictions.json").write_text("[")
    code, output = compare(*folders)
    assert code == 0
    assert f"{ARXIV}: worse" in output
    assert "not query by query" in output
    assert "expected valid JSON" in output


def test_other_settings_are_shown(folders, healthy_run):
    _, output = compare(healthy_run, folders[0])
    assert "num_train_epochs" in output


@pytest.mark.parametrize(
    ("others", "message"),
    [
        (None, "Missing argument"),
        ([], "at least two runs"),
        (["empty"], "no task result"),
        (["/no/such/folder"], "no folder /no/such/folder"),
        (["demo:none"], "there is demo:"),
        (["empty", "--html", "/no/such/folder/x.html"], "no task result"),
    ],
)
def test_mistakes_are_one_error(folders, tmp_path, monkeypatch, others, message):
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    code, output = compare(*([] if others is None else [folders[0], *others]))
    assert code == 2
    assert message in output
    assert "Traceback" not in output


def test_an_output_that_cannot_be_written(folders):
    code, output = compare(*folders, "--html", "/no/such/folder/x.html")
    assert code == 2
    assert "/no/such/folder/x.html: cannot be written" in output
