import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest
from click.testing import CliRunner

import colintern
from colintern.commands.docs import docs, entries_of
from colintern.engine.settings import read_settings

PACKAGE = Path(colintern.__file__).parent
PAGES = sorted((PACKAGE / "docs").glob("*.md"))
BIN = Path(sys.executable).parent


def commands():
    for page in PAGES:
        blocks = re.findall(
            r"^```sh\n(.*?)^```$", page.read_text("utf-8"), re.MULTILINE | re.DOTALL
        )
        yield from (pytest.param(block.strip(), id=page.stem) for block in blocks)


def spoken_commands():
    """Commands that a page names within a sentence."""
    for page in PAGES:
        found = re.findall(r"`((?:colintern|pytest) [^`]+)`", page.read_text("utf-8"))
        whole = [" ".join(each.split()) for each in found if "ID" not in each]
        # A bare name is one that the sentence speaks of.
        whole = [each for each in whole if len(each.split()) > 2 and "--" not in each]
        yield from (pytest.param(command, id=command) for command in whole)


def job_commands():
    """What the job of the CI page runs, without installing what is installed here."""
    job = re.search(
        r"^```yaml\n(.*?)^```$",
        (PACKAGE / "docs" / "ci.md").read_text("utf-8"),
        re.MULTILINE | re.DOTALL,
    )[1]
    return re.findall(r"^ +- run: (.+)$", job, re.MULTILINE)


def files_of(page):
    """The files that a page tells its reader to write: Python blocks that begin with a name."""
    text = (PACKAGE / "docs" / page).read_text("utf-8")
    return dict(re.findall(r"^```python\n# (\S+\.py)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))


@pytest.fixture
def project(tmp_path):
    shutil.copytree(
        PACKAGE / "assets" / "demo" / "guide-as-written", tmp_path / "runs" / "candidate"
    )
    for name, text in files_of("own-checks.md").items():
        (tmp_path / name).write_text(text, "utf-8")
    return tmp_path


@pytest.mark.parametrize("block", list(commands()))
def test_every_command_of_the_pages_runs(project, block):
    if "train" in block and find_spec("torch") is None:
        pytest.skip("needs the extra `train`")
    done = bash(project, block)
    # 1: the audit of a bundled faulty run fails, as the page says.
    audits_a_fault = "candidate" in block or "guide-as-written" in block or "poor" in block
    allowed = {0, 1} if audits_a_fault or "runs/*" in block else {0}
    assert done.returncode in allowed, done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def bash(project, command):
    environment = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", "HF_HUB_OFFLINE": "1"}
    return subprocess.run(
        ["bash", "-c", command],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("command", list(spoken_commands()))
def test_commands_within_sentences_run(project, command):
    done = bash(project, command)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_job_of_the_page_gates_and_reports(project):
    install, audit = job_commands()
    assert install.startswith("pip install ")
    done = bash(project, audit)
    assert done.returncode == 1, done.stdout + done.stderr
    job = (PACKAGE / "docs" / "ci.md").read_text("utf-8")
    kept = re.search(r"path: \|\n((?: {12}.+\n)+)", job)[1].split()
    assert all((project / name).stat().st_size for name in kept)
    assert len(kept) == 3
    assert f"sarif_file: {kept[1]}" in job
    shutil.copytree(PACKAGE / "assets" / "demo" / "healthy", project / "good")
    assert bash(project, audit.replace("runs/candidate", "good")).returncode == 0


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


def judged(project, *arguments):
    report = project / "audit.json"
    command = [str(BIN / "colintern"), "audit", "runs/candidate", "--audit-json", str(report)]
    own = ("--checks", "check_team.py", "--checks", "check_owner.py", "--select", "TEAM")
    subprocess.run([*command, *own, *arguments], cwd=project, check=False)
    document = json.loads(report.read_text("utf-8"))
    return {each["rule"]: each["outcome"] for each in document["checks"]}


def test_own_rules_of_the_page_judge(project):
    assert judged(project) == {"TEAM001": "passed", "TEAM002": "no_evidence"}
    config = project / "runs" / "candidate" / "adapter_config.json"
    config.write_text(config.read_text("utf-8").replace('"r": 16', '"r": 64'))
    (config.parent / "OWNER").write_text("")
    assert judged(project) == {"TEAM001": "failed", "TEAM002": "warned"}
    text = (PACKAGE / "docs" / "own-checks.md").read_text("utf-8")
    policy = re.search(r"^```toml\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)[1]
    # The date of the page passes; the waiver of the test must not.
    (project / "pyproject.toml").write_text(policy.replace("2027-", "2999-"))
    assert judged(project) == {"TEAM001": "waived", "TEAM002": "warned"}


def test_the_rule_of_the_page_has_ten_lines():
    _, _, rule = files_of("own-checks.md")["check_team.py"].partition("\n\n\n")
    assert len(rule.strip().split("\n")) == 10


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_and_rules_of_a_page_exist(page):
    from colintern.engine.catalogue import shipped_rules  # noqa: PLC0415 - imports every rule

    named = set(
        re.findall(r"\b(?:CFG|ADP|PRJ|PRC|LOG|RES|SEC|ENV|HWU)\d{3}\b", page.read_text("utf-8"))
    )
    assert named <= set(shipped_rules())


def run(*arguments):
    return CliRunner().invoke(docs, list(arguments))


def test_pages_are_listed_and_printed():
    assert all(page.stem in run().output for page in PAGES)
    for page in PAGES:
        assert run(page.stem).output == page.read_text("utf-8")
    assert (run("cii").exit_code, "did you mean ci" in run("cii").output) == (2, True)


def test_an_entry_of_a_page_is_printed_alone():
    printed = run("sources", "f03", "B11").output
    assert printed.startswith("### F03 Loss at chance level\n")
    assert re.findall(r"^#+ (\w+)", printed, re.MULTILINE) == ["F03", "B11"]
    assert printed.count("- Rules: ") == 2
    assert "ln(candidates)" in printed


def test_a_heading_holds_those_below_it_and_code_has_none():
    page = "# Page\n\na\n\n## One\nb\n```sh\n# no heading\n```\n### Two\nc\n## Three\nd\n"
    found = entries_of(page)
    assert list(found) == ["Page", "One", "Two", "Three"]
    assert found["Two"] == "### Two\nc"
    assert found["One"].endswith("# no heading\n```\n### Two\nc")
    assert found["Page"] == page.strip()


@pytest.mark.parametrize(("entry", "hint"), [("F0", "F0"), ("Z99", "did you mean"), ("", "no ''")])
def test_an_entry_that_is_not_there_is_a_usage_error(entry, hint):
    done = run("sources", entry)
    assert done.exit_code == 2
    assert hint in done.output
