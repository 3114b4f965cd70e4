"""`colintern audit` and `pytest checks/` are two doors of one engine."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.auditing import CHECKS

DEMOS = ("demo:poor-settings", "demo:healthy", "demo:guide-as-written")
HEALTHY = CHECKS.parent / "colintern" / "assets" / "demo" / "healthy"
COLINTERN = Path(sys.executable).with_name("colintern")
DOORS = {
    "command": [COLINTERN, "audit"],
    "command, two processes": [COLINTERN, "audit", "-j", "2"],
    "pytest": [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", CHECKS],
    "pytest, two workers": [
        *(sys.executable, "-m", "pytest", "-p", "no:cacheprovider", CHECKS, "-n", "2")
    ],
}


def through(door, subjects, cwd, *more, **environment):
    """The JSON report without what a clock says."""
    report = cwd / f"{len(list(cwd.iterdir()))}.json"
    named = subjects if "command" in door else [f"--checkpoint={name}" for name in subjects]
    done = subprocess.run(
        [*map(str, (*DOORS[door], *named, f"--audit-json={report}", *more))],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )
    assert report.exists(), done.stdout + done.stderr
    document = json.loads(report.read_text())
    del document["duration_seconds"]
    for check in document["checks"]:
        del check["duration_seconds"]
    return done.returncode, document


@pytest.fixture(scope="module")
def by_command(tmp_path_factory):
    return through("command", DEMOS, tmp_path_factory.mktemp("command"))


@pytest.mark.parametrize("door", [door for door in DOORS if door != "command"])
def test_the_doors_give_the_same_report(door, by_command, tmp_path):
    assert through(door, DEMOS, tmp_path) == by_command


def test_the_order_of_subjects_changes_nothing_else(by_command, tmp_path):
    code, document = through("command", DEMOS[::-1], tmp_path)
    assert code == by_command[0]
    for key in ("checks", "subjects", "root_causes"):
        assert sorted(map(json.dumps, document.pop(key))) == sorted(
            map(json.dumps, by_command[1][key])
        )
    assert document == {key: by_command[1][key] for key in document}


INTRUDERS = (
    *("execnet.py", "pytest.py", "numpy/__init__.py", "colintern/__init__.py", "conftest.py"),
    *("sitecustomize.py", "multiprocessing/__init__.py", "msgspec.py", "jinja2/__init__.py"),
    *("checks/check_own.py", "pytest_colintern/__init__.py", "encodings/evil.py", "json.py"),
)


@pytest.fixture
def trap(healthy_run):
    """A healthy run in whose folder lie modules that leave a mark when they are imported."""
    for name in INTRUDERS:
        path = healthy_run / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(
            "import pathlib\npathlib.Path(__file__).parents[0].joinpath('RAN').touch()\n"
        )
    (healthy_run / "pytest.ini").write_text("[pytest]\naddopts = -p conftest\n")
    return healthy_run


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("-j", "2", "demo"),
        ("-n", "2", "demo"),
        ("--html", "../r.html", "--junitxml", "../r.xml", "--audit-sarif", "../r.sarif"),
        ("--select", "SEC", "-v"),
        ("--baseline", "demo:healthy", "--strict-evidence"),
    ],
)
def test_nothing_of_the_audited_folder_runs(trap, options):
    done = subprocess.run(
        [COLINTERN, "audit", ".", *options],
        cwd=trap,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTEST_PLUGINS": "conftest", "PYTEST_ADDOPTS": "-p conftest"},
    )
    assert done.stdout.strip().split("\n")[-1].startswith("verdict: "), done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert [str(path) for path in trap.rglob("RAN")] == []


def test_the_trap_would_spring(trap):
    subprocess.run(
        [sys.executable, "-c", "import execnet"], cwd=trap, capture_output=True, check=False
    )
    assert (trap / "RAN").exists()


def test_the_module_form_leaves_the_folder_out_once_it_runs(trap):
    # `python -m colintern` finds `colintern` in the current folder first: Python's own doing.
    shutil.rmtree(trap / "colintern")
    subprocess.run(
        [sys.executable, "-m", "colintern", "audit", "."],
        cwd=trap,
        capture_output=True,
        check=False,
    )
    assert [path.parent.name for path in trap.rglob("RAN")] == []


@pytest.mark.parametrize(
    "environment",
    [{"PYTEST_PLUGINS": "nowhere"}, {"PYTEST_ADDOPTS": "-k nothing"}],
)
def test_settings_of_pytest_change_no_verdict(environment, by_command, tmp_path):
    assert through("command", DEMOS, tmp_path, **environment) == by_command


OWN = """
import pytest
from pytest_colintern import ERROR, Verdict, rule

@pytest.fixture
def limit():
    return 5

@rule("TEAM001", "few-epochs", severity=ERROR)
def check_epochs(layout, limit) -> Verdict:
    '''Too few epochs.

    Why: ours.
    Evidence: ours.
    Fix: more.
    Source: definition.
    '''
    return Verdict(True, observed="seen", expected="seen")
"""


def test_a_rule_with_fixtures_needs_the_other_door(healthy_run, tmp_path):
    (tmp_path / "check_team.py").write_text(OWN)
    done = subprocess.run(
        [COLINTERN, "audit", healthy_run, "--checks", "check_team.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 4
    assert "TEAM001 takes 'limit'" in done.stderr
    assert f"pytest checks/ {tmp_path / 'check_team.py'} --checkpoint PATH" in done.stderr


def test_a_check_file_that_breaks_fails_the_audit(healthy_run, tmp_path):
    (tmp_path / "check_team.py").write_text("raise OSError('no disk')\n")
    code, document = through(
        "command", [healthy_run], tmp_path, "--checks", tmp_path / "check_team.py"
    )
    assert code == 1
    assert document["breakdowns"] == [f"{tmp_path / 'check_team.py'}: OSError: no disk"]


def test_many_subjects_are_told_apart(tmp_path):
    # More than are kept in memory: the others come back from the disk.
    runs = [shutil.copytree(HEALTHY, tmp_path / f"run-{number:02}") for number in range(20)]
    (runs[18] / "adapter_config.json").write_text("{")
    folder = tmp_path / "out"
    folder.mkdir()
    code, document = through("command", runs, folder, "--html", folder / "r.html", "-j", "2")
    assert code == 1
    assert [subject["name"] for subject in document["subjects"]] == [run.name for run in runs]
    assert {root["subject"] for root in document["root_causes"]} == {"run-18"}
    assert len(document["checks"]) == 20 * len({check["rule"] for check in document["checks"]})
    assert "run-19" in (folder / "r.html").read_text()


@pytest.mark.parametrize("door", ["command", "command, two processes"])
@pytest.mark.parametrize("leave", ["SystemExit(0)", "SystemExit", "GeneratorExit"])
def test_a_rule_that_leaves_is_an_error(door, leave, healthy_run, tmp_path):
    text = OWN.replace("layout, limit", "layout").replace(
        "return Verdict", f"raise {leave}\n    Verdict"
    )
    (tmp_path / "check_team.py").write_text(text)
    runs = [healthy_run, "demo"]
    code, document = through(door, runs, tmp_path, "--checks", tmp_path / "check_team.py")
    assert code == 1
    found = [check["outcome"] for check in document["checks"] if check["rule"] == "TEAM001"]
    assert found == ["error", "error"]


def test_a_check_file_that_leaves_fails_the_audit(healthy_run, tmp_path):
    (tmp_path / "check_team.py").write_text("raise SystemExit(0)\n")
    code, document = through(
        "command", [healthy_run], tmp_path, "--checks", tmp_path / "check_team.py"
    )
    assert (code, len(document["breakdowns"])) == (1, 1)


def test_an_empty_folder_of_checks_is_a_mistake(tmp_path):
    (tmp_path / "rules").mkdir()
    done = subprocess.run(
        [COLINTERN, "audit", "demo", "--checks", "rules"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, "holds no check_*.py" in done.stderr) == (4, True)


SLOW = """
import os, time
from pytest_colintern import ERROR, Verdict, rule

@rule("TEAM001", "slow", severity=ERROR)
def check_slowly(subject) -> Verdict:
    '''It takes long.

    Why: ours.
    Evidence: ours.
    Fix: ours.
    Source: definition.
    '''
    ACT
    return Verdict(True, observed="seen", expected="seen")
"""


def test_a_killed_process_names_who_was_not_judged(tmp_path):
    runs = [shutil.copytree(HEALTHY, tmp_path / f"run-{number}") for number in range(8)]
    act = "if subject.name == 'run-3': os._exit(1)"
    (tmp_path / "check_team.py").write_text(SLOW.replace("ACT", act))
    folder = tmp_path / "out"
    folder.mkdir()
    code, document = through(
        "command, two processes", runs, folder, "--checks", tmp_path / "check_team.py"
    )
    assert code == 1
    (breakdown,) = document["breakdowns"]
    judged = {subject["name"] for subject in document["subjects"]}
    assert "run-3" in breakdown
    assert all(run.name in judged or run.name in breakdown for run in runs)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
def test_no_process_outlives_the_audit(number, tmp_path):
    runs = [shutil.copytree(HEALTHY, tmp_path / f"run-{index}") for index in range(4)]
    mark = "open(f'{os.getpid()}.pid', 'w').close(); time.sleep(3)"
    (tmp_path / "check_team.py").write_text(SLOW.replace("ACT", mark))
    with subprocess.Popen(
        [COLINTERN, "audit", *runs, "-j", "2", "--checks", "check_team.py"],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as audit:
        wait_for(lambda: len(list(tmp_path.glob("*.pid"))) == 2)
        audit.send_signal(number)
        code = audit.wait(timeout=60)
    assert code == (-signal.SIGKILL if number == signal.SIGKILL else 2)
    workers = [int(path.stem) for path in tmp_path.glob("*.pid")]
    wait_for(lambda: not any(Path(f"/proc/{worker}").exists() for worker in workers))


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)
