import json
import subprocess
import sys

import pytest

from colintern.commands.audit import audit
from colintern.commands.search import search
from colintern.commands.train import train
from colintern.engine.request import OUTPUTS, AuditRequest


def colintern(*arguments, cwd, **environment):
    import os  # noqa: PLC0415 - one use

    return subprocess.run(
        [sys.executable, "-c", "from colintern.cli import main; main()", *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )


@pytest.mark.parametrize("command", [train, search])
def test_what_a_run_trains_on_has_both_spellings(command):
    own = ["--output_dir", "runs/a", "--chunk_size", "4", "--contrastive-batch-size", "8"]
    parameters = command.make_context(command.name, own).params
    assert (parameters["output_dir"], parameters["chunk_size"], parameters["batch"]) == (
        "runs/a",
        4,
        8,
    )


def test_help_has_examples(tmp_path):
    for arguments in (["--help"], ["audit", "--help"], ["rules", "-h"]):
        done = colintern(*arguments, cwd=tmp_path)
        assert done.returncode == 0
        assert "Examples:" in done.stdout


def test_audit_passes_every_option_on():
    own = {"paths", "checks", "jobs", "verbose"}
    passed = {*OUTPUTS, *AuditRequest.__struct_fields__}
    passed -= {"here", "checkpoints", "outputs", "progress"}
    assert {parameter.name for parameter in audit.params} - own == passed


def test_audit_gives_the_verdict_of_pytest_from_anywhere(healthy_run, tmp_path):
    done = colintern("audit", healthy_run, "--audit-json", "a.json", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.strip().split("\n")[-1].startswith("verdict: PASS (")
    assert json.loads((tmp_path / "a.json").read_text())["verdict"] == "pass"


def test_audit_is_not_bent_by_the_users_pytest(healthy_run, tmp_path):
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --deselect x -k nothing_at_all\n")
    (tmp_path / "conftest.py").write_text("raise RuntimeError\n")
    done = colintern("audit", healthy_run, cwd=tmp_path, PYTEST_ADDOPTS="-k nothing_at_all")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 failed" in done.stdout


def test_audit_takes_several_paths_and_options(healthy_run, tmp_path):
    other = healthy_run.parent / "other"
    other.mkdir()
    (other / "adapter_config.json").write_text("{")
    arguments = ("--fail-on", "warning", "--select", "SEC", "--html", "r.html", "-n", "2")
    done = colintern("audit", healthy_run, other, *arguments, cwd=tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "verdict: FAIL (7 of 8 checks of 2 subjects judged)" in done.stdout
    assert "<html" in (tmp_path / "r.html").read_text()


def test_audit_runs_a_teams_own_checks_too(healthy_run, tmp_path):
    from support.own_checks import HEAD, check, verdict  # noqa: PLC0415 - text only

    own = tmp_path / "check_team.py"
    own.write_text(HEAD + check(1, verdict(ok=False)))
    done = colintern("audit", healthy_run, "--checks", own, "--audit-json", "a.json", cwd=tmp_path)
    assert done.returncode == 1
    roots = json.loads((tmp_path / "a.json").read_text())["root_causes"]
    assert [root["rule"] for root in roots] == ["TEAM001"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["audit"], "Missing argument"),
        (["audit", "nowhere"], "no folder"),
        (["audit", ".", "--fail-on", "never"], "'error', 'warning'"),
        (["audit", ".", "--select", "ADPX"], "did you mean ADP"),
        (["rules", "ADP03"], "or ADP003"),
        (["adit"], "No such command"),
    ],
)
def test_a_mistake_is_a_usage_error(tmp_path, arguments, message):
    done = colintern(*arguments, cwd=tmp_path)
    assert done.returncode == (4 if arguments[0] == "audit" else 2)
    assert message in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_rules_prints_the_catalogue_and_a_page(tmp_path):
    assert "ADP003  target-matches-nothing" in colintern("rules", cwd=tmp_path).stdout
    assert "\nWhy\n" in colintern("rules", "ADP003", cwd=tmp_path).stdout
