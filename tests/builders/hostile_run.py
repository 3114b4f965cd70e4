"""A run whose every text that can reach a report would act there, if a report let it."""

import json
import shutil
import subprocess
import sys

import numpy as np
from support.auditing import CHECKS

from builders.adapter import adapter_config, adapter_tensors, write_tensors
from builders.results import results_folder, task_result, write_json

MARKS = (
    "folder",
    "target",
    "tensor",
    "task",
    "model",
    "waiver",
    "observed",
    "missing",
    "raised",
    "rule",
)
"""What is hostile: each text begins with its mark, so that a test sees it arrive."""


def hostile(mark):
    """HTML, Markdown, terminal, table, spreadsheet and workflow commands in one text."""
    return (
        f"{mark}mark <img src=x onerror=alert(1)></script><script>alert(1)</script>"
        " [a](javascript:alert(1)) ![b](http://attacker.example) @you `c` | # d"
        " \x1b[31m\x07\u202e\u2028\r\n::error::e\n=HYPERLINK(1) ]]> &lt; {{ 7 * 7 }}"
        " %0A::warning::f"
    )


def audit_hostile(folder, template, *options):
    """Audit a hostile run by shipped and hostile rules in `folder`; return what was printed."""
    shutil.copytree(template, folder / "subject", symlinks=True)
    run = make_hostile(folder / "subject" / "run")
    (folder / "check_own.py").write_text(hostile_check_file())
    (folder / "pyproject.toml").write_text(WAIVER)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", str(CHECKS)]
    done = subprocess.run(
        [*command, "check_own.py", f"--checkpoint={run}", *options],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout


def make_hostile(run):
    """Put a hostile text into each kind of file of a healthy run; return a folder of a bad name."""
    config = adapter_config(
        target_modules=["q_proj", hostile("target")], base_model_name_or_path=hostile("model")
    )
    (run / "adapter_config.json").write_text(json.dumps(config))
    tensors = adapter_tensors()
    name = f"base_model.model.{hostile('tensor')}.lora_A.weight"
    write_tensors(
        run / "adapter_model.safetensors", tensors | {name: np.full((4, 4), np.nan, np.float32)}
    )
    folder = results_folder(run)
    write_json(folder / "Hostile.json", task_result(hostile("task"), score=1.7))
    meta = json.loads((folder / "model_meta.json").read_text())
    meta |= {"name": hostile("model"), "revision": hostile("revision")}
    write_json(folder / "model_meta.json", meta)
    return run.rename(run.with_name(hostile("folder").replace("/", "")[:200]))


def hostile_check_file():
    """A team's own rules; what they say of themselves is hostile too."""
    text = hostile("rule").replace("\r\n", " ").replace("\n", " ")
    docstring = "\n".join(
        [text, *(f"\n{each}: {text}" for each in ("Why", "Evidence", "Fix", "Source"))]
    )
    return f"""
from pytest_colintern import ERROR, NoEvidence, Verdict, rule


def check_fault(layout):
    text = {hostile("observed")!r}
    return Verdict(False, observed=text, expected=text, where=text)


def check_missing(layout):
    raise NoEvidence({hostile("missing")!r}, needed_for={hostile("missing")!r})


def check_broken(layout):
    raise ValueError({hostile("raised")!r})


def check_accepted(layout):
    return check_fault(layout)


checks = (check_fault, check_missing, check_broken, check_accepted)
for number, check in enumerate(checks, start=1):
    check.__doc__ = {docstring!r}
    rule(f"TEAM00{{number}}", f"own-{{number}}", severity=ERROR)(check)
"""


WAIVER = (
    "[tool.colintern.waive]\n"
    f"TEAM004 = {{reason = {json.dumps(hostile('waiver'))}, until = 2999-01-01}}\n"
)
