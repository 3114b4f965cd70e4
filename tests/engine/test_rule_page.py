import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from colintern.engine.catalogue import shipped_rules
from colintern.engine.rule_page import docstring_sections

REPOSITORY = Path(__file__).parents[2]
RULES = shipped_rules()


@pytest.mark.parametrize("rule_id", sorted(RULES))
def test_a_page_without_docstrings_is_that_with_them(rule_id, monkeypatch):
    declared = RULES[rule_id]
    monkeypatch.setattr(declared.check, "__doc__", None)
    sections = docstring_sections(rule_id, declared.check)
    assert sections == {
        "Summary": declared.summary,
        "Why": declared.why,
        "Evidence": declared.evidence,
        "Fix": declared.fix,
        "Source": declared.source,
    }


def test_a_function_whose_source_is_gone_has_no_page(tmp_path):
    namespace = {}
    exec(compile("def check(): ...", tmp_path / "gone.py", "exec"), namespace)  # noqa: S102 - ours
    with pytest.raises(ValueError, match="TEAM001 lacks Summary, Why"):
        docstring_sections("TEAM001", namespace["check"])


def checks_of(folder, *flags):
    command = [sys.executable, *flags, "-m", "colintern", "audit", "demo:guide-as-written"]
    done = subprocess.run(
        [*command, "--audit-json", "audit.json"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "HF_HUB_OFFLINE": "1"},
    )
    assert done.returncode == 1, done.stdout + done.stderr
    document = json.loads((folder / "audit.json").read_text())
    for check in document["checks"]:
        del check["duration_seconds"]
    return document["verdict"], document["root_causes"], document["checks"]


@pytest.mark.parametrize("flag", ["-O", "-OO"])
def test_an_optimised_python_gives_the_same_audit(tmp_path, flag):
    plain = checks_of(tmp_path)
    assert len(plain[2]) > 80
    assert checks_of(tmp_path, flag) == plain
