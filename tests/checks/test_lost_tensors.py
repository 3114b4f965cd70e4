"""Reports of tensors that loading loses, rebuilt: what is named, and what is not blamed."""

import json

import numpy as np
import pytest
from builders.adapter import (
    PREFIX,
    write_adapter,
    write_merged,
    write_tensors,
)
from support.auditing import audit

QWEN_TARGETS = (
    "(.*(model).*(down_proj|gate_proj|up_proj|k_proj|q_proj|v_proj|o_proj).*$"
    "|.*(custom_text_proj).*$)"
)


def settings(**changes):
    document = {
        "peft_type": "LORA",
        "base_model_name_or_path": "vidore/colqwen2-base",
        "task_type": "FEATURE_EXTRACTION",
        "r": 8,
        "lora_alpha": 32,
        "target_modules": QWEN_TARGETS,
    }
    return {**document, **changes}


def qwen_tensors():
    """An adapter of ColQwen2 under the names of transformers 4."""
    random = np.random.default_rng(0)
    shapes = {
        "self_attn.q_proj": (64, 64),
        "self_attn.v_proj": (32, 64),
        "mlp.up_proj": (128, 64),
        "mlp.down_proj": (64, 128),
    }
    modules = {f"model.layers.{n}.{kind}": size for n in range(2) for kind, size in shapes.items()}
    modules["custom_text_proj"] = (128, 64)
    return {
        f"{PREFIX}{name}.lora_{part}.weight": random.standard_normal(size).astype("float32") * 0.05
        for name, (out, into) in modules.items()
        for part, size in (("A", (8, into)), ("B", (out, 8)))
    }


def write(folder, tensors, **changes):
    folder.mkdir(exist_ok=True)
    (folder / "adapter_config.json").write_text(json.dumps(settings(**changes)))
    write_tensors(folder / "adapter_model.safetensors", tensors)
    return folder


def weights_findings(result):
    """The findings on weights; a lone adapter folder also lacks its processor."""
    found = {rule for rule in result.roots if rule.startswith(("ADP", "PRJ", "LOG", "SEC"))}
    failed = {c["rule"] for c in result.document["checks"] if c["outcome"] in ("failed", "warned")}
    return found, failed


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {
            "base_model_name_or_path": "google/gemma-3-4b-it",
            "target_modules": ["q_proj", "up_proj"],
        },
        {"target_modules": ["q_proj", "up_proj", "custom_text_proj"]},
        {"target_modules": ["model.layers.*.q_proj"]},
    ],
)
def test_a_file_without_tensors_is_no_fault_of_the_targets(pytester, tmp_path, changes):
    result = audit(pytester, "--checkpoint", write(tmp_path / "run", {}, **changes))
    roots, failed = weights_findings(result)
    assert roots - {"ADP002"} == {"ADP023"}
    assert "ADP003" not in failed
    assert "ZeRO-3" in result.check("ADP023")["fix"]


def test_a_file_with_only_the_head_has_no_adapter(pytester, tmp_path):
    head = {f"{PREFIX}custom_text_proj.weight": np.ones((128, 64)) * np.arange(64)}
    folder = write(tmp_path / "run", head, modules_to_save=["custom_text_proj"])
    roots, failed = weights_findings(audit(pytester, "--checkpoint", folder))
    assert roots == {"ADP023"}
    assert "ADP003" not in failed


@pytest.mark.parametrize("shape", [lambda _: (0,), lambda size: (0, *size[1:])])
def test_tensors_of_size_zero_are_one_finding(pytester, tmp_path, shape):
    hollow = {name: np.zeros(shape(value.shape)) for name, value in qwen_tensors().items()}
    result = audit(pytester, "--checkpoint", write(tmp_path / "run", hollow))
    roots, _ = weights_findings(result)
    assert roots == {"ADP023"}
    assert "dimension of 0" in result.check("ADP023")["observed"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (".lora_", "_"),
        (".lora_A.", ".lora_a."),
        (".lora_A.weight", ".lora_A.mine.weight"),
        (".lora_A.weight", ".lora.down.weight"),
        ("lora_A.weight", "lora_down.weight"),
    ],
)
@pytest.mark.parametrize(
    "targets", [QWEN_TARGETS, ["q_proj", "v_proj", "up_proj", "down_proj", "custom_text_proj"]]
)
def test_mangled_names_are_named_as_such(pytester, tmp_path, old, new, targets):
    tensors = {name.replace(old, new): value for name, value in qwen_tensors().items()}
    folder = write(tmp_path / "run", tensors, target_modules=targets)
    roots, failed = weights_findings(audit(pytester, "--checkpoint", folder))
    assert roots == {"ADP017"}
    assert "ADP003" not in failed


def test_the_same_adapter_under_its_own_names_is_healthy(pytester, tmp_path):
    folder = write(tmp_path / "run", qwen_tensors())
    assert weights_findings(audit(pytester, "--checkpoint", folder))[0] == set()


def test_default_in_the_names_names_the_loader(pytester, tmp_path):
    tensors = {
        name.replace(".weight", ".default.weight"): value for name, value in qwen_tensors().items()
    }
    result = audit(pytester, "--checkpoint", write(tmp_path / "run", tensors))
    assert result.check("ADP023")["outcome"] == "warned"
    observed = result.check("ADP023")["observed"]
    assert "`load_adapter`" in observed
    assert "PeftModel loads" in observed


@pytest.mark.parametrize(("rows", "outcome"), [(64, "passed"), (72, "failed"), (56, "failed")])
def test_embeddings_are_set_against_the_base(pytester, healthy_run, rows, outcome):
    def with_embedding(tensors):
        random = np.random.default_rng(3)
        values = random.standard_normal((rows, 64))
        tensors[f"{PREFIX}language_model.embed_tokens.weight"] = values

    saved = ["custom_text_proj", "embed_tokens"]
    write_adapter(healthy_run, config={"modules_to_save": saved}, edit=with_embedding)
    result = audit(pytester, "--checkpoint", healthy_run)
    assert result.outcomes["ADP023"] == outcome
    if outcome == "failed":
        assert f"resize_token_embeddings({rows})" in result.check("ADP023")["fix"]


@pytest.mark.parametrize(
    "changes",
    [
        {"peft_type": "LORAX"},
        {"init_lora_weights": "kaiming"},
        {"bias": "some"},
        {"layers_to_transform": [0]},
    ],
)
def test_settings_that_peft_refuses(pytester, healthy_run, changes):
    write_adapter(healthy_run, config=changes)
    result = audit(pytester, "--checkpoint", healthy_run)
    assert result.outcomes["ADP023"] == "failed"
    assert "PEFT refuses" in result.check("ADP023")["observed"]


def merged(healthy_run, edit=None):
    folder = healthy_run.parent / "whole"
    write_merged(folder, healthy_run, edit=edit)
    return folder


def _zero_head(tensors):
    tensors["custom_text_proj.weight"][:] = 0


def _nan(tensors):
    tensors["language_model.layers.0.mlp.up_proj.weight"][0, 0] = np.nan


def _without_layer(tensors):
    for name in [name for name in tensors if "layers.1." in name]:
        del tensors[name]


def _copied(tensors):
    for name in [name for name in tensors if "layers.0." in name]:
        tensors[name.replace("layers.0.", "layers.1.")] = tensors[name]


def _inside_peft(tensors):
    for name in list(tensors):
        tensors[f"{PREFIX}{name}"] = tensors.pop(name)


@pytest.mark.parametrize(
    ("edit", "rule", "said"),
    [
        (_zero_head, "ADP024", "projection of zeros"),
        (_nan, "ADP010", "NaN"),
        (_without_layer, "ADP023", "drawn at random"),
        (_copied, "ADP024", "copies"),
        (_inside_peft, "ADP023", "wrapper"),
    ],
)
def test_a_merged_model_is_judged_too(pytester, healthy_run, edit, rule, said):
    folder = merged(healthy_run, edit)
    result = audit(pytester, "--checkpoint", folder)
    assert said in result.check(rule)["observed"]
    assert rule in result.roots
