import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest

import colintern
from pytest_colintern.settings import read_settings

PACKAGE = Path(colintern.__file__).parent
PAGES = sorted((PACKAGE / "docs").glob("*.md"))
BIN = Path(sys.executable).parent


def commands():
    for page in PAGES:
        blocks = re.findall(
            r"^```sh\n(.*?)^```$", page.read_text("utf-8"), re.MULTILINE | re.DOTALL
        )
        yield from (pytest.param(block.strip(), id=page.stem) for block in blocks)


@pytest.fixture
def project(tmp_path):
    shutil.copytree(
        PACKAGE / "assets" / "demo" / "guide-as-written", tmp_path / "runs" / "candidate"
    )
    return tmp_path


@pytest.mark.parametrize("block", list(commands()))
def test_every_command_of_the_pages_runs(project, block):
    if "train" in block and find_spec("torch") is None:
        pytest.skip("needs the extra `train`")
    environment = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        ["bash", "-c", block],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    # 1: the audit of a bundled faulty run fails, as the page says.
    audits_a_fault = "candidate" in block or "guide-as-written" in block or "poor" in block
    allowed = {0, 1} if audits_a_fault or "runs/*" in block else {0}
    assert done.returncode in allowed, done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_recorded_findings_pass_as_the_page_says(project):
    block = next(each.values[0] for each in commands() if "--audit-baseline" in each.values[0])
    environment = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-c", block], cwd=project, env=environment, check=False)
    assert done.returncode == 0
    fresh = [str(BIN / "colintern"), "audit", "runs/candidate"]
    assert subprocess.run(fresh, cwd=project, check=False).returncode == 1


def test_policy_of_the_page_is_accepted(tmp_path):
    text = (PACKAGE / "docs" / "ci.md").read_text("utf-8")
    policy = re.search(r"^```toml\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)[1]
    (tmp_path / "pyproject.toml").write_text(policy)
    settings = read_settings(tmp_path)
    assert settings.min_evidence == ("RES001", "LOG", "ADP")
    assert set(tomllib.loads(policy)["tool"]["colintern"]["waive"]) == set(settings.waivers)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_and_rules_of_a_page_exist(page):
    from pytest_colintern.catalogue import shipped_rules  # noqa: PLC0415 - imports every rule

    named = set(
        re.findall(r"\b(?:CFG|ADP|PRJ|PRC|LOG|RES|SEC|ENV|HWU)\d{3}\b", page.read_text("utf-8"))
    )
    assert named <= set(shipped_rules())


def test_pages_are_listed_and_printed():
    def run(*arguments):
        command = [str(BIN / "colintern"), "docs", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    listed = run().stdout
    assert all(page.stem in listed for page in PAGES)
    assert run("ci").stdout == (PACKAGE / "docs" / "ci.md").read_text("utf-8")
    assert (run("cii").returncode, "did you mean ci" in run("cii").stderr) == (2, True)
