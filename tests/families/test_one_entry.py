"""A family is one entry: what every command does with it follows from that alone."""

import json
import sys
import types

import pytest
from builders import family_run
from builders.throwaway_family import throwaway
from click.testing import CliRunner
from support.auditing import audit

from colintern.artifacts.model.model_config import as_model_config
from colintern.artifacts.model.processor_config import ImageProcessorConfig, ProcessorConfig
from colintern.artifacts.results.model_meta import ModelMeta
from colintern.cli import main
from colintern.diagnostics.processor.query_format import is_mteb_wrapper, training_format
from colintern.diagnostics.processor.resolution import visual_tokens
from colintern.evaluation.checkpoint import CheckpointError, classes_of, find_checkpoint
from colintern.families import catalogue
from colintern.families.module_name import place_of

PASSED = ("ADP001", "ADP003", "ADP004", "ADP021", "PRC002", "PRJ001", "PRJ003")
"""Rules that take their expectation from the entry; PRC002 has no evidence where the class sets
the side by itself."""


def every_family():
    return pytest.mark.parametrize("family", catalogue.FAMILIES, ids=lambda family: family.name)


def audit_of(pytester, run, family):
    """Audit by what the files show; a family in small shows itself by its base's name."""
    result = audit(pytester, "--checkpoint", run)
    (subject,) = result.document["subjects"]
    assert subject["family"] == family.name, result.output
    return result


def assert_audited(result, family):
    assert result.of_outcome("error") == [], result.output
    unknown = set() if family.padding_in_file else {"PRC002"}
    for rule in set(PASSED) - unknown:
        assert result.outcomes[rule] == "passed", (rule, result.check(rule))
    assert all(result.outcomes[rule] == "no_evidence" for rule in unknown)


def assert_found(run, family):
    """As `colintern evaluate --family NAME` finds it, before it imports the model's library."""
    checkpoint = find_checkpoint(str(run), family=family.name)
    assert checkpoint.family is family
    assert checkpoint.is_ours is (family.model_class or "").startswith("colintern.")


def assert_outlined(family):
    outline = family_run.outline(family)
    assert outline.num_layers == 4
    assert all(each.name.startswith(family.backbone.language) for each in outline.language)
    towers = {each.place.tower for each in outline.modules}
    assert {"language", "vision"} <= towers <= {"language", "vision", "connector"}
    assert place_of(family.projection).tower == "projection"
    names = family_run.names_in_layouts(family)
    prefixes = (family.backbone.language, *family.backbone.earlier_language)
    assert all(any(name.startswith(prefix) for name in names) for prefix in prefixes)


def assert_planned(run, family):
    base = run.parent / family_run.base_name(family)
    result = CliRunner().invoke(main, ["plan", str(base), "--gpu-memory", "24", "--json"])
    if family.is_ours:
        assert result.exit_code == 0, result.output
        proposed = json.loads(result.output)["hyperparameters"]
        assert proposed["learning_rate"] == family.learning_rates[0].proposed
    else:
        assert result.exit_code == 2, result.output
        assert f"its config says model_type {family.backbone.model_types[0]}" in result.output


@every_family()
def test_it_is_audited_from_its_files(pytester, tmp_path, family):
    assert_audited(audit_of(pytester, family_run.write_run(tmp_path, family), family), family)


@every_family()
def test_it_is_found_for_evaluation(tmp_path, family):
    assert_found(family_run.write_run(tmp_path, family), family)


@every_family()
def test_its_outline_follows_from_a_config(family):
    assert_outlined(family)


@every_family()
def test_it_is_planned_or_refused_in_a_sentence(tmp_path, family):
    assert_planned(family_run.write_run(tmp_path, family), family)


def test_a_new_family_needs_one_entry(pytester, tmp_path, known):
    family = known(throwaway())
    run = family_run.write_run(tmp_path, family)
    assert_audited(audit_of(pytester, run, family), family)
    assert_found(run, family)
    assert_outlined(family)
    assert_planned(run, family)
    assert catalogue.family_named("throw it away") is family


def test_without_its_entry_nothing_knows_it(pytester, tmp_path, known, monkeypatch):
    run = family_run.write_run(tmp_path, known(throwaway()))
    monkeypatch.undo()
    place_of.cache_clear()
    result = audit(pytester, "--checkpoint", run)
    assert result.document["subjects"][0]["family"] is None
    assert result.outcomes["PRJ003"] == "no_evidence"
    assert_usage_error(run, "ColThrowaway")


def assert_usage_error(run, name):
    with pytest.raises(CheckpointError, match=f"{name} is none of ColIntern3.5, "):
        find_checkpoint(str(run), family=name)


def test_what_its_entry_says_of_its_processor_holds(known):
    family = known(throwaway())
    image = ImageProcessorConfig(image_processor_type="ThrowawayImageProcessorFast")
    saved = ProcessorConfig(path="p", image=image, has_image_processor=True)
    assert visual_tokens(saved).most == (3 + 1) * 7
    found = training_format(None, processor_prefix=None, engine_version="0.3.18", family=family)
    assert (found.prefix, found.num_augmentation_tokens) == ("Find: ", 3)
    assert is_mteb_wrapper(ModelMeta(path="m", loader="ThrowawayWrapper"))


def test_a_vector_of_another_size_is_found(pytester, tmp_path, known):
    family = known(throwaway())
    run = family_run.write_run(tmp_path, family)
    config = {**family_run.config_of(family), "numbers_in_a_vector": 49}
    assert family.dimension_in(as_model_config("config.json", config)) == 49
    family_run.write_config(run, family, config)
    result = audit(pytester, "--checkpoint", run)
    assert result.outcomes["PRJ003"] == "failed", result.check("PRJ003")


def test_its_classes_are_imported_by_their_paths(known, monkeypatch):
    library = types.ModuleType("throwaway_library")
    library.ColThrowaway, library.ColThrowawayProcessor = object, str
    monkeypatch.setitem(sys.modules, "throwaway_library", library)
    assert classes_of(known(throwaway())) == (object, str)
    del library.ColThrowaway
    with pytest.raises(CheckpointError, match="ColThrowaway, which the installed throwaway_lib"):
        classes_of(throwaway())


def test_one_without_classes_is_audited_and_not_evaluated(pytester, tmp_path, known):
    family = known(throwaway(model_class=None, processor_class=None))
    run = family_run.write_run(tmp_path, family)
    assert_audited(audit_of(pytester, run, family), family)
    with pytest.raises(CheckpointError, match="no class here runs ColThrowaway, so it can be"):
        find_checkpoint(str(run), family=family.name)
