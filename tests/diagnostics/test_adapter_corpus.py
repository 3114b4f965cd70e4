import json
import shutil

import pytest
from support.adapter_judging import judge_adapter

from colintern.artifacts.errors import ArtifactError
from colintern.artifacts.model.adapter_config import read_adapter_config

TRUE_OF_THEM = {
    "ADP012": {"info"},
    "ADP015": {"warning"},
    "ADP016": {"info"},
    "ADP023": {"info"},
}
"""Notes that are right: an unused pooler, a base on another machine, no pinned revision, DoRA's
vectors, which transformers' `load_adapter` loses."""


def test_every_adapter_config_is_read(corpus):
    files = sorted(corpus.rglob("*adapter_config.json"))
    assert len(files) > 50
    refused = {}
    for path in files:
        try:
            assert read_adapter_config(path, None).is_lora
        except ArtifactError as error:
            refused[path.name] = error.found
    others = ("Git LFS pointer", "AdapterHub", "lerobot")
    assert all(any(other in found for other in others) for found in refused.values()), refused


def test_no_public_adapter_is_accused(corpus):
    folders = sorted(path.parent for path in corpus.glob("checkpoints/*/adapter_model.safetensors"))
    assert len(folders) > 10
    for folder in folders:
        for rule_id, (outcome, observed) in judge_adapter(folder).items():
            accepted = {"ok", "no evidence"} | TRUE_OF_THEM.get(rule_id, set())
            if never_trained(folder) and rule_id in {"ADP011", "ADP012"}:
                accepted |= {"error"}
            assert outcome in accepted, (folder.name, rule_id, observed)


def never_trained(folder):
    """One step at a learning rate of zero: a no-op in truth (corpus, FACTS 3)."""
    return "sumLoRA" in folder.name


def test_configurations_alone_accuse_nobody(corpus, tmp_path):
    for path in sorted(corpus.glob("adapter_config/*.json")):
        run = tmp_path / path.stem
        run.mkdir()
        shutil.copy(path, run / "adapter_config.json")
        outcomes = judge_adapter(run)
        accepted = {"ok", "no evidence", "info", "malformed"}
        wrong = {
            rule: text for rule, (outcome, text) in outcomes.items() if outcome not in accepted
        }
        # A path of the author's machine, or no base at all, is what ADP015 is there for.
        assert set(wrong) <= {"ADP015"}, (path.name, wrong)


@pytest.mark.parametrize("family", ["ColPali"])
def test_regex_of_a_public_colpali(corpus, tmp_path, family):
    source = next(iter(corpus.glob("adapter_config/guanyuch__colpali_gc__*.json")), None)
    if source is None:
        pytest.skip("the ColPali configuration is in the other half of the corpus")
    document = json.loads(source.read_text())
    run = tmp_path / "run"
    run.mkdir()
    (run / "adapter_config.json").write_text(json.dumps(document))
    outcomes = judge_adapter(run, family=family)
    assert outcomes["ADP002"][0] == outcomes["ADP008"][0] == outcomes["ADP018"][0] == "ok"
