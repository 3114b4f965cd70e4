"""A figure that a team overrides is the one that its people read."""

import re

import pytest
from builders.manifest import write_manifest
from builders.training_log import write_training_log
from support.auditing import audit

from colintern.engine.catalogue import shipped_rules

FIGURES = re.compile(r"\b(64|100|200|five|5e-5|2e-5|7e-5|num_train_epochs=\d|0\.02|dropout 0\.1)\b")
"""The guide's own, which `--guide` or the family replace."""


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("to 64 together", True),
        ("`temperature=0.02`", True),
        ("set `num_train_epochs=5`", True),
        ("2", False),
    ],
)
def test_figures_are_recognised(text, found):
    assert bool(FIGURES.search(text)) is found


def test_no_fix_states_an_overridable_figure():
    families = {"CFG", "LOG", "RES", "ENV"}
    # RES012 divides a percentage by 100, whatever the guide says.
    fixes = {
        rule.id: rule.fix
        for rule in shipped_rules().values()
        if rule.family in families and rule.id != "RES012"
    }
    assert {name: fix for name, fix in fixes.items() if FIGURES.search(fix)} == {}


def test_fixes_follow_the_overridden_guide(pytester, healthy_run):
    loss = {"class": "ColbertLoss", "temperature": 1.0, "normalize_scores": True}
    write_manifest(healthy_run, world_size=1, loss=loss)
    guide = pytester.path / "guide.toml"
    guide.write_text(
        "min_epochs = 7\nmin_effective_batch_size = 96\nnormalised_temperature = 0.03\n"
    )
    result = audit(pytester, "--checkpoint", healthy_run, "--guide", guide, "--select", "CFG")
    assert result.of_outcome("failed") == ["CFG001", "CFG002", "CFG013"]
    assert "num_train_epochs=7" in result.check("CFG001")["fix"]
    assert "`temperature=0.03`" in result.check("CFG013")["fix"]
    assert "to 96 together" in result.check("CFG002")["fix"]


@pytest.mark.parametrize(
    ("warmup", "shown"),
    [
        (0, "no warm-up: the peak is there at step 1"),
        (5, "a warm-up of at most 5 steps: 90% of the peak are there at step 5"),
    ],
)
def test_short_warmup_is_named_as_it_was(pytester, healthy_run, warmup, shown):
    write_training_log(healthy_run, logging_steps=1, warmup=warmup)
    result = audit(pytester, "--checkpoint", healthy_run, "--select", "LOG012")
    assert result.check("LOG012")["observed"] == shown
