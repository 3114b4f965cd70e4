import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from support.readme_commands import README

import colintern
from colintern.cli import main

PACKAGE = Path(colintern.__file__).parent
BIN = Path(sys.executable).parent
PLACES = {"RUN1": "runs/a", "RUN2": "runs/b", "RUN": "runs/a", "BASE": "base"}
"""What the README writes in capitals, and what stands for it here."""
RUNS_HERE = re.compile(
    r"pytest checks/|colintern (audit(?!.*--live)|rules|docs|plan|doctor|compare|report|\S+ --help)"
)
"""Commands that need no weights, no torch and no minutes: the others are read, not run."""
TRAINS = re.compile(r"colintern train(?!.*(--resume|--params))")


def commands():
    text = README.read_text("utf-8").replace("\\\n", " ")
    lines = re.findall(r"^(?:    |\$ )(.+)$", text, re.MULTILINE)
    lines += re.findall(r"`((?:colintern|pytest) [^`]+)`", text)
    found = (" ".join(line.partition(" # ")[0].split()) for line in lines)
    found = (line.removeprefix(".venv/bin/") for line in found)
    known = [line for line in found if line.split()[0] in ("colintern", "pytest", "torchrun")]
    # A command by its bare name is one that the text speaks of.
    return list(dict.fromkeys(line for line in known if len(line.split()) > 2 or "doctor" in line))


def words(command):
    spelt = re.sub(r"\b(RUN[12]?|BASE)\b", lambda match: PLACES[match[1]], command)
    spelt = re.sub(r"^torchrun .* -m ", "", spelt)
    return shlex.split(spelt)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("project")
    demo = PACKAGE / "assets" / "demo"
    for name in ("a", "before", "my-retriever"):
        shutil.copytree(demo / "guide-as-written", folder / "runs" / name)
    for name in ("b", "after", "tiny"):
        shutil.copytree(demo / "healthy", folder / "runs" / name)
    shutil.copytree(PACKAGE / "assets" / "tiny-base", folder / "base")
    results = folder / "results" / "mteb_evaluation" / "runs" / "a"
    shutil.copytree(demo / "guide-as-written" / "results", results)
    own = re.findall(r"^```python\n(.*?)^```$", README.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    (folder / "check_team.py").write_text(own[0], "utf-8")
    (folder / "checks").symlink_to(PACKAGE.parent / "checks")
    (folder / "pytest_colintern").symlink_to(PACKAGE.parent / "pytest_colintern")
    return folder


def run(project, arguments):
    environment = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", "HF_HUB_OFFLINE": "1"}
    return subprocess.run(
        [str(BIN / arguments[0]), *arguments[1:]],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("command", [*filter(RUNS_HERE.match, commands())])
def test_commands_of_the_readme_run(project, command):
    done = run(project, words(command))
    # 1: the audit of a faulty run, or a machine that cannot train.
    may_fail = any(word in command for word in ("audit", "checks/", "doctor"))
    assert done.returncode in ({0, 1} if may_fail else {0}), done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert "INTERNALERROR" not in done.stdout


@pytest.mark.parametrize("command", [*filter(TRAINS.search, commands())])
def test_trainings_of_the_readme_have_a_plan(tmp_path, monkeypatch, command):
    pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, [*words(command)[1:], "--dry-run"])
    assert done.exit_code == 0, done.output


def read(command):
    """Read a command's options as the command line does, and run nothing."""
    _, name, *arguments = words(command)
    found = main.get_command(click.Context(main), name)
    assert found is not None, f"no command {name}"
    return found.make_context(name, arguments)


NOT_RUN = [each for each in commands() if not RUNS_HERE.match(each) and not TRAINS.search(each)]


@pytest.mark.parametrize("command", NOT_RUN)
def test_other_commands_of_the_readme_are_read(command):
    read(command)


def test_a_misspelt_command_is_not_read():
    for command in ("colintern merge RUN --outputdir x", "colintern evaluat RUN"):
        with pytest.raises((click.UsageError, AssertionError)):
            read(command)


def test_the_readme_has_commands_of_each_kind():
    names = {words(each)[1] for each in commands() if not each.startswith("pytest")}
    wanted = {"audit", "train", "plan", "search", "evaluate", "compare", "report", "merge"}
    assert wanted <= names
