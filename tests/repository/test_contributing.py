"""The contributors' page, followed to the letter in a copy of the repository."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from colintern.cli import COMMANDS

REPOSITORY = Path(__file__).parents[2]
PAGE = REPOSITORY / "colintern" / "docs" / "contributing.md"
STEP = re.compile(r"`([\w/]+\.py)`:\n\n```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
STEPS = dict(STEP.findall(PAGE.read_text(encoding="utf-8")))
RULE = next(path for path in STEPS if path.startswith("checks/"))
CASE = next(path for path in STEPS if path.startswith("tests/cases/"))


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    folder = tmp_path_factory.mktemp("copy") / "repository"
    kept = shutil.ignore_patterns("__pycache__", "assets", "*.png")
    for name in ("colintern", "pytest_colintern", "checks", "tests"):
        shutil.copytree(REPOSITORY / name, folder / name, ignore=kept)
    for name in ("pyproject.toml", "conftest.py", "README.md"):
        shutil.copy(REPOSITORY / name, folder / name)
    (folder / "colintern" / "assets").symlink_to(REPOSITORY / "colintern" / "assets")
    return folder


@pytest.fixture
def copy(template, tmp_path):
    folder = tmp_path / "repository"
    shutil.copytree(template, folder, symlinks=True)
    return folder


def follow(copy, *, without=()):
    for path, text in STEPS.items():
        if path not in without:
            (copy / path).write_text(text, encoding="utf-8")


def run(copy, *arguments, **environment):
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=copy,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(copy), **environment},
    )


def cases(copy, *arguments, **environment):
    options = ("-q", "-p", "no:cacheprovider", "-p", "no:xdist")
    return run(copy, "-m", "pytest", *options, *arguments, **environment)


def test_the_page_has_its_steps():
    headings = re.findall(r"^## (.*)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert headings[1:] == ["A rule", "Evidence", "A reader", "A family", "A command"]
    assert len(STEPS) == 4


def test_the_steps_bring_a_rule_and_its_text(copy):
    follow(copy)
    named = ("tests/checks/test_cases.py", "-k", "EXA001")
    written = cases(copy, *named, COLINTERN_UPDATE_EXPECTED="1")
    assert written.returncode == 0, written.stdout
    expected = copy / "tests" / "cases" / "expected" / "EXA001.txt"
    assert "rank 1,024" in expected.read_text()
    assert cases(copy, *named).returncode == 0
    page = run(copy, "-m", "colintern", "rules", "EXA001")
    assert "rank-out-of-proportion" in page.stdout


@pytest.mark.parametrize(
    ("forgotten", "reported"),
    [
        ("case", "test_every_rule_has_a_case"),
        ("expected", "test_every_rule_has_a_case"),
        ("section", "lacks Source"),
    ],
)
def test_a_forgotten_step_is_reported(copy, forgotten, reported):
    follow(copy, without=[CASE] if forgotten == "case" else ())
    if forgotten == "section":
        rule = copy / RULE
        rule.write_text(rule.read_text().replace("    Source: definition.\n", ""))
    done = cases(copy, "tests/checks/test_cases.py", "-k", "every_rule")
    assert done.returncode != 0
    assert reported in done.stdout


def test_the_reader_refuses_what_is_no_name(copy, tmp_path):
    follow(copy)
    bad = tmp_path / "OWNER"
    bad.write_bytes(b"\xff")
    script = (
        "import sys; from pathlib import Path; from colintern.artifacts.run import example; "
        "example.read_owner(Path(sys.argv[1]), None)"
    )
    done = run(copy, "-c", script, bad)
    assert "expected a name in UTF-8" in done.stderr
    bad.write_text("Ada")
    assert run(copy, "-c", script, bad).returncode == 0


def test_the_evidence_is_offered_by_its_name(copy):
    follow(copy)
    script = "from colintern.engine.providers import shipped_providers as s; print('owner' in s())"
    assert run(copy, "-c", script).stdout.strip() == "True"


def test_every_command_is_a_module_of_its_name():
    modules = {path.stem for path in (REPOSITORY / "colintern" / "commands").glob("*.py")}
    assert {name.replace("-", "_") for name in COMMANDS} <= modules
