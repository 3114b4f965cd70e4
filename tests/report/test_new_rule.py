"""A rule that is new is one file: its fields alone bring it into the live audit and the report."""

import re
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
from builders.results import whole, write_tasks
from support.auditing import CHECKS
from support.running_runs import log_of, manifest, subject

from colintern.diagnostics.results.benchmarks import VIDORE_V1
from colintern.engine import catalogue
from colintern.engine.direct_audit import audit_directly
from colintern.engine.request import AuditRequest, audit_setup
from colintern.engine.running import judge
from colintern.report.document_formats import document_markdown
from colintern.report.training_report import training_report

CACHES = (catalogue.shipped_files, judge.live_rules, judge._catalogue)
FIELDS = 'live={"start"}, setting="Training data", advice={"more-epochs"}, satisfies={"bf16"},'
RULE = '''
from colintern.engine.rule import rule
from colintern.engine.verdict import ERROR, Verdict
from colintern.facts.run_config import RunConfig


@rule("CFG099", "unwanted-seed", severity=ERROR, FIELDS)
def check_seed(run_config: RunConfig) -> Verdict:
    """The seed is unlucky.

    Why: a test asks for it.
    Evidence: the run's configuration.
    Fix: take another seed.
    Source: definition.
    """
    return Verdict(FOUND, observed="seed 42", expected="another seed")
'''


@pytest.fixture
def with_new_rule(tmp_path, monkeypatch):
    """Put one more file into a copy of the rules, and have the audit find it there."""
    folder = shutil.copytree(CHECKS, tmp_path / "checks")
    monkeypatch.setattr(catalogue, "checks_folder", lambda: folder)

    def write(fields, found="False"):
        text = RULE.replace("FIELDS", fields).replace("FOUND", found)
        (folder / "configuration" / "check_new.py").write_text(text)
        for each in CACHES:
            each.cache_clear()

    yield write
    for each in CACHES:
        each.cache_clear()


def sections(run="demo"):
    audit = audit_directly(audit_setup(AuditRequest(here=Path("/"), checkpoints=[str(run)])))
    text = document_markdown(training_report(audit, None, datetime(2026, 1, 1, tzinfo=UTC)))
    return dict(
        re.findall(r"^## ([^\n(]+?)(?: \(.*?)?\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    )


@pytest.mark.parametrize("fields", [FIELDS, ""])
def test_its_fields_alone_bring_a_rule_everywhere(with_new_rule, fields):
    with_new_rule(fields)
    declares = bool(fields)
    results = judge.judge_live(judge.asked_at("start"), subject(manifest()), log_of([]))
    assert ("CFG099" in {each.rule for each in results if each.is_finding}) is declares

    found = sections()
    (row,) = re.findall(
        r"^\| Training data \|.*$", found["The recipe beside the guide"], re.MULTILINE
    )
    assert ("CFG099: another seed" in row) is declares
    step = found["What to try next"]
    assert "CFG099 unwanted-seed" in step
    assert ("Increase the training epochs" in step) is declares
    assert ("num_train_epochs=5" in step) is declares


@pytest.mark.parametrize("fields", [FIELDS, ""])
def test_a_rule_that_passes_shows_what_of_the_checklist_is_done(with_new_rule, healthy_run, fields):
    with_new_rule(fields, found="True")
    shutil.rmtree(healthy_run / "results")
    write_tasks(
        healthy_run / "results", {task.name: whole(task.name, 0.2) for task in VIDORE_V1.tasks}
    )
    done = re.search("- Done already.*", sections(healthy_run)["What to try next"])[0]
    assert ("seed 42 (CFG099)" in done.replace("\\", "")) is bool(fields)
