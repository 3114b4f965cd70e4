from importlib.metadata import version

import pytest
from builders import family_run
from builders.throwaway_family import throwaway
from click.testing import CliRunner
from support.auditing import audit

pytest.importorskip("mteb")
import torch
import transformers
from mteb.models.model_implementations import colpali_models, colqwen_models, colsmol_models
from support.tiny_families import write_family

from colintern.cli import main
from colintern.evaluation.checkpoint import classes_of, find_checkpoint
from colintern.evaluation.retriever import load_engine_model
from colintern.facts.versions import release
from colintern.families.catalogue import FAMILIES, family_named, mteb_wrappers
from colintern.model.loading import LoadError

pytestmark = [
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"),
    pytest.mark.filterwarnings("ignore:Could not find a config file in:UserWarning"),
]


CANNOT_BE_BUILT = {"ColQwen-Omni"}
"""By colpali-engine 0.3.18 with transformers 5.23: it reads a tower that is not there yet."""


def of_engine():
    return [family for family in FAMILIES if not family.is_ours]


@pytest.mark.parametrize("family", of_engine(), ids=lambda family: family.name)
def test_entry_equals_the_class_of_colpali_engine(family):
    model_class, processor_class = classes_of(family)
    assert {model_class.__name__} == family.architectures
    assert {processor_class.__name__} == family.processor_classes
    if family.name in CANNOT_BE_BUILT:
        with torch.device("meta"), pytest.raises(AttributeError):
            model_class(model_class.config_class())
        return
    config = model_class.config_class()
    config.get_text_config().num_hidden_layers = 1
    with torch.device("meta"):
        model = model_class(config)
    assert getattr(model, family.projection).out_features == family.dimension
    assert config.model_type in family.backbone.model_types
    assert getattr(model, "padding_side", family.padding_side) == family.padding_side
    for key in family.dimension_keys:
        setattr(config, key, 2 * family.dimension)
        with torch.device("meta"):
            model = model_class(config)
        assert getattr(model, family.projection).out_features == 2 * family.dimension


@pytest.mark.parametrize("family", of_engine(), ids=lambda family: family.name)
def test_entry_names_the_class_of_transformers(family):
    (architecture,) = family.architectures
    native = f"{architecture}ForRetrieval"
    assert family.native_class == (native if hasattr(transformers, native) else None)
    if family.native_class is not None:
        native_class = getattr(transformers, native)
        with torch.device("meta"):
            model = native_class(native_class.config_class())
        assert hasattr(model, family.native_projection)


def test_query_prefix_equals_colpali_engine():
    installed = release(version("colpali-engine"))
    for family in of_engine():
        if family.query_prefixes:
            assert family.prefix_in(installed) == classes_of(family)[1].query_prefix


def test_mteb_has_the_wrappers():
    modules = (colpali_models, colqwen_models, colsmol_models)
    for name in mteb_wrappers():
        assert any(hasattr(module, name) for module in modules), name


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_its_classes_are_there(family):
    model_class, processor_class = classes_of(family)
    assert model_class.__name__ in family.architectures
    assert processor_class.__name__ in family.processor_classes


@pytest.mark.parametrize("name", ["ColQwen2", "ColIdefics3", "ColPali"])
def test_a_real_model_of_it_is_audited_and_found(pytester, tmp_path, name):
    family, run = family_named(name), write_family(tmp_path, name)
    result = audit(pytester, "--checkpoint", run)
    assert result.document["subjects"][0]["family"] == name
    for rule in ("ADP003", "ADP021", "PRC001", "PRJ001", "PRJ003"):
        assert result.outcomes[rule] == "passed", (rule, result.check(rule))
    assert find_checkpoint(str(run), family=name).family is family


def test_a_class_that_cannot_be_built_is_one_sentence(tmp_path):
    family = family_named("ColQwen-Omni")
    checkpoint = find_checkpoint(str(family_run.write_run(tmp_path, family)))
    with pytest.raises(LoadError, match="ColQwen2_5Omni of the installed colpali-engine"):
        load_engine_model(checkpoint, torch.float32, "eager")


def test_one_without_classes_is_not_evaluated(tmp_path, known):
    family = known(throwaway(model_class=None, processor_class=None))
    run = family_run.write_run(tmp_path, family)
    words = ["evaluate", "--model-path", str(run), "--family", family.name, "--benchmarks", "pages"]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 1, result.output
    assert "no class here runs ColThrowaway, so it can be audited and not evaluated" in (
        result.output
    )
