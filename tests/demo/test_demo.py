import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("colpali_engine")

from click.testing import CliRunner  # noqa: E402 - after the skip

from colintern.cli import main  # noqa: E402 - after the skip
from colintern.demo import runs as demo  # noqa: E402 - after the skip
from colintern.demo.table import table_text  # noqa: E402 - after the skip

pytestmark = [
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"),
    pytest.mark.filterwarnings("ignore:Could not find a config file in:UserWarning"),
    pytest.mark.filterwarnings("ignore:Scores out of bounds:UserWarning"),
]

SHORT = {
    "train_pairs": 16,
    "per_device_train_batch_size": 8,
    "warmup_steps": 1,
    "eval_steps": None,
    "logging_steps": 1,
}


@pytest.fixture(autouse=True)
def _short_runs(monkeypatch):
    recipes = {name: replace(make(), **SHORT) for name, make in demo.RUNS.items()}
    monkeypatch.setattr(demo, "demo_recipe", lambda name, **_: recipes[name])


def invoke(folder, *options):
    return CliRunner().invoke(main, ["demo", "--output-dir", str(folder), *options])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("demo") / "runs"


def test_the_demo_trains_evaluates_audits_and_reports(folder):
    result = invoke(folder)
    assert result.exit_code == 0, result.output
    shown = " ".join(result.output.split())
    assert "healthy guide-as-written poor-settings recipe tiny guide_as_written" in shown
    names = {path.name for path in folder.iterdir()}
    assert names == {*demo.RUNS, "audit.html", "audit.json", "audit.txt", "demo.json"}
    figures = json.loads((folder / "demo.json").read_text())
    audited = json.loads((folder / "audit.json").read_text())
    assert [subject["name"] for subject in audited["subjects"]] == list(figures)
    for name, values in figures.items():
        results = folder / name / "results" / "ColInternPagesRetrieval.json"
        score = json.loads(results.read_text())["scores"]["test"][0]["ndcg_at_5"]
        assert values["NDCG@5"] == score
    assert figures["guide-as-written"]["modules with LoRA"] == 1
    assert figures["guide-as-written"]["root causes"].split()[0] == "ADP003"
    assert "<html" in (folder / "audit.html").read_text()


def test_a_finished_run_is_not_trained_again(folder, monkeypatch):
    def again(*_, **__):
        raise AssertionError

    monkeypatch.setattr(demo, "train", again)
    monkeypatch.setattr(demo, "evaluate_pages", again)
    before = (folder / "demo.json").read_bytes()
    result = invoke(folder)
    assert result.exit_code == 0, result.output
    assert (folder / "demo.json").read_bytes() == before


def test_a_folder_of_other_runs_is_not_mixed_with(folder, monkeypatch):
    longer = replace(demo.demo_recipe("healthy"), num_train_epochs=9)
    monkeypatch.setattr(demo, "demo_recipe", lambda *_, **__: longer)
    result = invoke(folder)
    assert result.exit_code == 2
    assert "must hold a run of the recipe tiny as it is now" in " ".join(result.output.split())


def test_a_full_disk_is_one_error_that_says_how_to_go_on(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(demo, "train", full)
    result = invoke(tmp_path / "runs")
    assert result.exit_code == 1
    assert "No space left on device; the same command goes on" in " ".join(result.output.split())


def test_a_table_has_a_dash_for_what_is_not_known():
    shown = table_text({"a": {"x": 1234, "y": None}, "b": {"x": 0.123456, "y": "z"}})
    assert shown.splitlines() == ["   a      b", "x  1,234  0.1235", "y  -      z"]


@pytest.mark.acceptance
def test_the_full_demo_shows_what_it_must(tmp_path):
    command = [sys.executable, "-m", "colintern", "demo", "--output-dir", str(tmp_path / "runs")]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    healthy, written, poor = json.loads((tmp_path / "runs" / "demo.json").read_text()).values()
    assert healthy["NDCG@5"] >= 0.80
    assert (healthy["audit"], healthy["root causes"]) == ("pass", None)
    assert written["NDCG@5"] < 0.30
    assert (written["audit"], written["root causes"]) == ("fail", "ADP003")
    assert poor["NDCG@5"] < 0.30
    assert {"CFG001", "CFG002"} <= set(poor["root causes"].split())
