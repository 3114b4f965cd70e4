"""The LOG rules on one log, without a plugin: what each says of it."""

from pathlib import Path

from colintern.artifacts.errors import ArtifactError
from colintern.artifacts.files import Enclosure
from colintern.artifacts.logs.trainer_state import read_trainer_state
from colintern.artifacts.run.layout import Folder, RunLayout
from colintern.engine.catalogue import shipped_rules
from colintern.engine.evidence import config as policy
from colintern.engine.evidence import log
from colintern.engine.resolver import Resolver, providers_of
from colintern.engine.subjects import AuditOptions
from colintern.engine.verdict import NoEvidence
from colintern.facts.batch_size import BatchSize
from colintern.facts.loss_kind import LossKind
from colintern.facts.run_config import Recorded, RunConfig

RULES = {name: rule for name, rule in shipped_rules().items() if rule.family == "LOG"}


def judge_log(path, *, kind=None, candidates=None, checkpoint=False, config=None, batch=None):
    """Return rule -> (severity value, observed) of what failed, rule -> None of what passed.

    Rules without evidence are left out; anything else that a rule raises is a test failure.
    """
    folder = Folder(path.parent, frozenset({"trainer_state.json"}))
    layout = RunLayout(
        path.parent, "checkpoint" if checkpoint else "run", folder, (), Enclosure(path.parent)
    )
    loss_kind = LossKind() if kind is None else LossKind(kind=kind, candidates=candidates)
    given = {
        "options": AuditOptions(),
        "layout": layout,
        "training_log": read_trainer_state(path, None),
        "loss_kind": loss_kind,
        "batch": batch or BatchSize(),
        "run_config": config or RunConfig(),
    }
    providers = {**providers_of(log, policy), "manifest": absent, "live_end": absent}
    providers |= {"judged_weights": absent, "runs": absent}
    resolver = Resolver({k: v for k, v in providers.items() if k not in given}, given)
    found = {}
    for name, rule in RULES.items():
        try:
            verdict = resolver.call(rule.check)
        except NoEvidence:
            continue
        severity = (verdict.severity or rule.severity).value
        assert rule.up_to.rank <= (verdict.severity or rule.severity).rank, name
        found[name] = None if verdict.ok else (severity, verdict.observed)
    return found


def absent():
    raise NoEvidence("colintern_run.json", needed_for="nothing here")


def fired(found, *severities):
    """Names of the failed rules of these severities."""
    return {name for name, failed in found.items() if failed and failed[0] in severities}


def recorded(value):
    return Recorded(value, "training_args.bin", "key")


def is_broken(path: Path):
    try:
        read_trainer_state(path, None)
    except ArtifactError:
        return True
    return False
