"""Every published result in the corpus, through the readers and the rules."""

from collections import Counter

import pytest

from colintern.artifacts.files import Enclosure
from colintern.artifacts.results.folder import TaskResults, read_results_folder
from colintern.artifacts.results.task_result import read_task_results
from colintern.diagnostics.results.score_validity import score_faults
from colintern.engine.catalogue import shipped_rules
from colintern.engine.providers import shipped_providers
from colintern.engine.resolver import Resolver
from colintern.engine.subjects import AuditOptions, Subject
from colintern.engine.verdict import INFO, NoEvidence

SILENT = {"RES004", "RES006", "RES012"}
AGAINST_PUBLISHED = {"RES002", "RES009", "RES010"}
JUDGED = SILENT | AGAINST_PUBLISHED | {"RES001", "RES003", "RES005", "RES007", "RES008", "RES011"}


@pytest.fixture(scope="module")
def revisions(corpus):
    models = (corpus / "mteb_results").iterdir()
    return sorted(
        revision
        for model in models
        if model.name != "_vidore_legacy"
        for revision in model.iterdir()
        if revision.is_dir()
    )


@pytest.fixture(scope="module")
def failures(revisions):
    rules = {name: rule for name, rule in shipped_rules().items() if name in JUDGED}
    found = {}
    for revision in revisions:
        subject = Subject(revision, revision.parent.name)
        given = {"subject": subject, "options": AuditOptions(results=revision)}
        resolver = Resolver(shipped_providers(), given)
        for rule in rules.values():
            try:
                verdict = resolver.call(rule.check)
            except NoEvidence:
                continue
            if not verdict.ok:
                found[rule.id, subject.name] = verdict
    return found


def test_every_file_is_read_and_none_is_lost(revisions, corpus):
    tasks = experiments = 0
    for revision in revisions:
        results = read_results_folder(revision, Enclosure.around(revision))
        assert (results.errors, results.repeated, results.other_folders) == ((), (), ())
        assert results.ignored == ()
        assert results.model_meta is not None
        tasks += len(results.tasks)
        experiments += sum(map(len, results.experiments.values()))
    files = [path.name for path in (corpus / "mteb_results").rglob("Vidore*.json")]
    assert tasks + experiments == len(files)


def test_legacy_files_are_read_and_possible(corpus):
    counts = Counter()
    for path in sorted((corpus / "mteb_results" / "_vidore_legacy").glob("*.json")):
        for result in read_task_results(path, None):
            counts[result.harness] += 1
            alone = TaskResults(
                root=path.parent, folder=path.parent, tasks={"x": result}, model_meta=None
            )
            assert score_faults(alone) == ()
    assert counts == {"vidore-benchmark": 80}


@pytest.mark.parametrize("rule", sorted(SILENT))
def test_published_scores_are_valid(failures, rule):
    assert [name for found, name in failures if found == rule] == []


def test_only_models_that_do_not_retrieve_are_at_chance(failures):
    accused = {name for rule, name in failures if rule == "RES005"}
    assert accused == {
        "Salesforce__blip-image-captioning-base",
        "Salesforce__blip-image-captioning-large",
        "nomic-ai__nomic-embed-vision-v1.5",
        "openai__clip-vit-base-patch32",
    }


@pytest.fixture(scope="module")
def late(revisions):
    return {
        revision.parent.name
        for revision in revisions
        if read_results_folder(revision, Enclosure.around(revision)).model_meta.is_late_interaction
    }


def test_no_late_interaction_model_is_below_good(failures, late):
    assert len(late) > 20
    assert not late & {name for rule, name in failures if rule in ("RES001", "RES005")}


@pytest.mark.parametrize("rule", sorted(AGAINST_PUBLISHED))
def test_late_interaction_models_are_only_noted(failures, late, rule):
    graver = {
        name
        for (found, name), verdict in failures.items()
        if found == rule and verdict.severity is not INFO
    }
    assert not graver & late


def test_metadata_findings_are_the_known_aliases(failures):
    texts = [verdict.observed for (rule, _), verdict in failures.items() if rule == "RES011"]
    assert len(texts) > 5
    for text in texts:
        assert all(part.startswith("training set ") for part in text.split("; ")), text


def test_published_results_have_no_weights_to_differ_from(failures):
    assert not [name for rule, name in failures if rule in ("RES007", "RES008")]
