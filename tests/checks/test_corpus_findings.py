"""Every artefact of the corpus through every rule that it reaches: none breaks, none accuses."""

import shutil

import pytest

from colintern.engine.catalogue import shipped_rules
from colintern.engine.outcome import Outcome
from colintern.engine.policy import Policy
from colintern.engine.providers import judge_of
from colintern.engine.subjects import AuditOptions, Subject

FINDINGS = (Outcome.FAILED, Outcome.WARNED)
KINDS = {
    "trainer_state": ("*.json", "trainer_state.json", {"LOG", "SEC003"}),
    "training_args": ("*.bin", "training_args.bin", {"SEC001"}),
    "adapter_config": ("*.json", "adapter_config.json", {"ADP015", "SEC003"}),
}
"""What a folder of such a file alone may be accused of: what it logs, a pointer in its place, an
unknown class, weights and base that are not here."""


@pytest.fixture(scope="module")
def rules():
    return {name: rule for name, rule in shipped_rules().items() if rule.family != "LIV"}


def results(folder, rules, **options):
    subject = Subject(folder, folder.name)
    judge = judge_of(subject, AuditOptions(**options), rules, Policy())
    return [judge.result(rule) for rule in rules.values()]


def accused(found):
    return {result.rule for result in found if result.outcome in FINDINGS}


@pytest.mark.parametrize("kind", KINDS)
def test_file_alone_is_judged_by_what_it_holds(corpus, tmp_path, rules, kind):
    pattern, name, allowed = KINDS[kind]
    paths = sorted((corpus / kind).glob(pattern))
    assert len(paths) > 5
    for number, path in enumerate(paths):
        run = tmp_path / str(number)
        run.mkdir()
        shutil.copyfile(path, run / name)
        found = results(run, rules, invocation_dir=run)
        broken = [result.observed for result in found if result.outcome is Outcome.ERROR]
        assert broken == [], path.name
        strange = {rule for rule in accused(found) if not {rule, rule[:3]} & allowed}
        assert strange == set(), path.name


def test_published_results_break_no_rule(corpus, tmp_path, rules):
    revisions = sorted(path for path in corpus.glob("mteb_results/*/*/") if path.is_dir())
    assert len(revisions) > 20
    for revision in revisions:
        found = results(tmp_path, rules, invocation_dir=tmp_path, results=revision)
        assert {result.rule for result in found if result.outcome is Outcome.ERROR} == set()
        assert {rule[:3] for rule in accused(found)} <= {"RES"}, revision
        assert accused(found).isdisjoint({"RES004", "RES006", "RES012"}), revision
