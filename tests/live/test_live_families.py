import json
import shutil

import pytest
from support.auditing import audit

pytest.importorskip("peft")
import torch
from safetensors.torch import load_file, save_file
from support.tiny_families import write_family

from colintern.evaluation.checkpoint import find_checkpoint
from colintern.evaluation.merged_model import write_merged
from colintern.evaluation.retriever import load_retriever
from colintern.live import model as live_model

pytestmark = [
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"),
    pytest.mark.filterwarnings("ignore:Could not find a config file in:UserWarning"),
]
NAMES = ("ColQwen2", "ColIdefics3", "ColPali")
ALWAYS = {"LIV001", "LIV002", "LIV003", "LIV005", "LIV006", "LIV009"}
OF_AN_ADAPTER = {"LIV004", "LIV008"}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return {name: write_family(tmp_path_factory.mktemp(name), name) for name in NAMES}


def live(pytester, paths, *arguments):
    named = [word for path in paths for word in ("--checkpoint", path)]
    return audit(pytester, "--live", "--select", "LIV", *named, *arguments)


def of_subject(result, name):
    """The rules of one subject by outcome."""
    found = {}
    for check in result.document["checks"]:
        if check["subject"] == name:
            found.setdefault(check["outcome"], set()).add(check["rule"])
    return found


@pytest.mark.parametrize(
    "kind", [pytest.param(torch.float32, marks=pytest.mark.acceptance), torch.bfloat16]
)
def test_sound_adapters_pass_every_live_rule(pytester, runs, monkeypatch, kind):
    monkeypatch.setattr(live_model, "fitting_type", lambda *_: kind)
    result = live(pytester, runs.values())
    for subject in result.document["subjects"]:
        assert of_subject(result, subject["name"]) == {
            "passed": ALWAYS | OF_AN_ADAPTER,
            "no_evidence": {"LIV007", "LIV010"},
        }, result.output


def test_sound_merged_models_pass_every_live_rule(pytester, runs, tmp_path):
    merged = [tmp_path / name for name in NAMES]
    for name, folder in zip(NAMES, merged, strict=True):
        write_merged(str(runs[name]), folder)
    result = live(pytester, merged)
    for name in NAMES:
        assert of_subject(result, name) == {
            "passed": ALWAYS,
            "no_evidence": {"LIV007", "LIV010"} | OF_AN_ADAPTER,
        }, result.output


def test_the_names_of_older_versions_are_understood(pytester, runs, tmp_path):
    run = tmp_path / "old"
    shutil.copytree(runs["ColQwen2"], run)
    path = run / "adapter_model.safetensors"
    tensors = {
        name.replace("model.language_model.layers", "model.model.layers"): tensor
        for name, tensor in load_file(path).items()
    }
    assert any("model.model.layers" in name for name in tensors)
    save_file(tensors, path, metadata={"format": "pt"})
    assert live(pytester, [run]).outcomes["LIV006"] == "passed"


def test_a_task_type_of_text_generation_changes_nothing(pytester, runs, tmp_path):
    run = tmp_path / "causal"
    shutil.copytree(runs["ColIdefics3"], run)
    config = json.loads((run / "adapter_config.json").read_text()) | {"task_type": "CAUSAL_LM"}
    (run / "adapter_config.json").write_text(json.dumps(config))
    assert live(pytester, [run]).outcomes["LIV006"] == "passed"


def test_a_query_is_embedded_alike_alone_and_in_a_batch(runs):
    retriever = load_retriever(find_checkpoint(str(runs["ColPali"])))
    short, long = "red lamp", "blue chair of the red lamp in june"
    alone, together = (retriever.embed_queries(texts)[0] for texts in ([short], [short, long]))
    assert torch.allclose(alone, together, atol=1e-5)
