"""Adapters and merged models as PEFT itself saves them, of tiny models of colpali-engine."""

import copy
from functools import cache

import pytest
from support.adapter_judging import judge_adapter

torch = pytest.importorskip("torch")
peft = pytest.importorskip("peft")
models = pytest.importorskip("colpali_engine.models")
transformers = pytest.importorskip("transformers")

# colpali-engine, PEFT and transformers warn of each other.
pytestmark = pytest.mark.filterwarnings("ignore")

TEXT = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 64,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
TOWER = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 28,
    "patch_size": 14,
}
KINDS = r"\.(q|k|v|o|gate|up|down)_proj"
LANGUAGE = rf".*(language|text)_model.*{KINDS}"
TARGETS = {
    "ColQwen2": rf"{LANGUAGE}|custom_text_proj",
    "ColPali": rf"{LANGUAGE}|custom_text_proj",
    "ColIdefics3": rf"{LANGUAGE}|linear",
}
RECIPE = {
    "r": 16,
    "lora_alpha": 16,
    "lora_dropout": 0.1,
    "init_lora_weights": "gaussian",
    "task_type": "FEATURE_EXTRACTION",
}


@cache
def tiny_retriever(family):
    torch.manual_seed(0)
    if family == "ColQwen2":
        vision = {"depth": 2, "embed_dim": 32, "hidden_size": 64, "num_heads": 2, "mlp_ratio": 2}
        return models.ColQwen2(transformers.Qwen2VLConfig(text_config=TEXT, vision_config=vision))
    if family == "ColIdefics3":
        vision = {**TOWER, "image_size": 28}
        return models.ColIdefics3(
            transformers.Idefics3Config(
                text_config={**TEXT, "model_type": "llama"},
                vision_config=vision,
                image_token_id=63,
                scale_factor=2,
            )
        )
    return models.ColPali(
        transformers.PaliGemmaConfig(
            text_config={**TEXT, "model_type": "gemma", "head_dim": 16},
            vision_config={**TOWER, "model_type": "siglip_vision_model", "projection_dim": 64},
            projection_dim=64,
            image_token_index=63,
        )
    )


def trained(folder, family="ColQwen2", *, dtype=torch.float32, scale=0.01, **changes):
    """Save a base beside `run`, train a copy of it by chance, and save what PEFT saves."""
    base = copy.deepcopy(tiny_retriever(family)).to(dtype)
    base.save_pretrained(folder / "base")
    config = peft.LoraConfig(**{**RECIPE, "target_modules": TARGETS[family], **changes})
    adapted = peft.get_peft_model(base, config)
    adapted.peft_config["default"].base_model_name_or_path = str(folder / "base")
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for values in filter(lambda each: each.requires_grad, adapted.parameters()):
            noise = torch.randn(values.shape, generator=generator) * scale
            values.add_(noise.to(values.dtype))
    adapted.save_pretrained(folder / "run")
    return adapted


def findings(outcomes):
    return {rule for rule, (outcome, _) in outcomes.items() if outcome not in {"ok", "no evidence"}}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("family", TARGETS)
def test_lora_of_each_family_is_healthy_and_so_is_its_merge(tmp_path, family, dtype):
    # An update as large as the weights: what is rounded is then more than the base.
    merged = trained(tmp_path, family, dtype=dtype, scale=0.2).merge_and_unload()
    merged.save_pretrained(tmp_path / "merged", max_shard_size="100KB")
    assert len(list((tmp_path / "merged").glob("*.safetensors"))) > 1
    outcomes = judge_adapter(tmp_path / "run", merged=tmp_path / "merged")
    assert findings(outcomes) == set()
    assert outcomes["ADP004"][0] == outcomes["PRJ002"][0] == "ok"
    assert outcomes["ADP020"][1].startswith("15 modules and ")
    assert "not compared" not in outcomes["ADP020"][1]


@pytest.mark.parametrize(
    ("changes", "found", "merge"),
    [
        ({"modules_to_save": ["custom_text_proj"], "target_modules": LANGUAGE}, set(), "ok"),
        ({"use_rslora": True, "lora_alpha": 4}, set(), "ok"),
        ({"init_lora_weights": True, "lora_alpha": 32}, {"ADP007"}, "ok"),
        ({"rank_pattern": {"q_proj": 8}, "alpha_pattern": {"q_proj": 8}}, set(), "ok"),
        ({"init_lora_weights": "orthogonal"}, set(), "ok"),
        ({"bias": "all"}, set(), "ok"),
        # PEFT trains the biases of Qwen2's attention and saves none of them.
        ({"bias": "lora_only"}, {"ADP009"}, "ok"),
        ({"trainable_token_indices": [1, 2]}, set(), "ok"),
        ({"target_modules": "all-linear"}, {"ADP005"}, "ok"),
        ({"use_dora": True}, {"ADP023"}, "no evidence"),
        ({"init_lora_weights": "pissa"}, set(), "no evidence"),
        ({"init_lora_weights": "olora"}, set(), "no evidence"),
    ],
    ids=str,
)
def test_kind_of_lora_is_judged_rightly(tmp_path, changes, found, merge):
    trained(tmp_path, **changes).merge_and_unload().save_pretrained(tmp_path / "merged")
    outcomes = judge_adapter(tmp_path / "run", merged=tmp_path / "merged")
    assert findings(outcomes) == found
    assert outcomes["ADP020"][0] == merge, outcomes["ADP020"]
    assert outcomes["ADP004"][0] == "ok"


def test_parameters_with_lora_are_no_fault(tmp_path):
    parameters = ["mlp.gate_proj.weight", "mlp.up_proj.weight"]
    modules = rf"{LANGUAGE.replace('gate|up|', '')}|custom_text_proj"
    adapted = trained(
        tmp_path, lora_dropout=0.0, target_modules=modules, target_parameters=parameters
    )
    adapted.merge_and_unload().save_pretrained(tmp_path / "merged")
    outcomes = judge_adapter(tmp_path / "run", merged=tmp_path / "merged")
    assert findings(outcomes) <= {"ADP008"}, outcomes


def test_replicated_layers_are_no_evidence(tmp_path):
    torch.manual_seed(0)
    base = transformers.LlamaModel(transformers.LlamaConfig(**TEXT))
    base.save_pretrained(tmp_path / "base")
    config = {**RECIPE, "target_modules": ["q_proj", "v_proj"]}
    config["layer_replication"] = [[0, 2], [1, 2]]
    adapted = peft.get_peft_model(base, peft.LoraConfig(**config))
    adapted.peft_config["default"].base_model_name_or_path = str(tmp_path / "base")
    with torch.no_grad():
        for name, values in adapted.named_parameters():
            if "lora_B" in name:
                values.normal_(0, 0.01)
    adapted.save_pretrained(tmp_path / "run")
    # Whatever is called merged: its layers are others than the adapter's.
    outcomes = judge_adapter(tmp_path / "run", merged=tmp_path / "base")
    assert findings(outcomes) == set()
    assert outcomes["ADP020"][0] == outcomes["ADP004"][0] == "no evidence"


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32], ids=str)
def test_merge_saved_in_another_type_is_right(tmp_path, dtype):
    merged = trained(tmp_path, dtype=torch.bfloat16).merge_and_unload().to(dtype)
    merged.save_pretrained(tmp_path / "merged")
    assert judge_adapter(tmp_path / "run", merged=tmp_path / "merged")["ADP020"][0] == "ok"


def once_more(adapted):
    merged = adapted.merge_and_unload()
    base = dict(tiny_retriever("ColQwen2").named_parameters())
    with torch.no_grad():
        for name, values in merged.named_parameters():
            values.add_(values - base[name])
    return merged


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        (lambda adapted: adapted.unload(), "not applied: 15 weights"),
        (once_more, "applied twice: 15 weights"),
    ],
    ids=["not merged", "merged twice"],
)
def test_wrong_merge_of_peft_is_named(tmp_path, change, cause):
    change(trained(tmp_path)).save_pretrained(tmp_path / "merged")
    outcome, text = judge_adapter(tmp_path / "run", merged=tmp_path / "merged")["ADP020"]
    assert (outcome, text.partition(" in ")[0]) == ("error", cause)


GLOBS = [f"language_model.layers.*.self_attn.{kind}" for kind in ("q_proj", "v_proj")]


@pytest.mark.parametrize(
    ("changes", "scale", "first", "severity"),
    [
        ({"target_modules": [*GLOBS, "custom_text_proj"]}, 0.01, "ADP003", "error"),
        ({"target_modules": LANGUAGE}, 0.01, "ADP002", "error"),
        ({"target_modules": "custom_text_proj"}, 0.01, "ADP004", "warning"),
        ({}, 0.0, "ADP011", "error"),
    ],
    ids=["globs", "no projection", "projection alone", "untrained"],
)
def test_fault_of_peft_adapter_is_named(tmp_path, changes, scale, first, severity):
    trained(tmp_path, scale=scale, **changes)
    outcomes = judge_adapter(tmp_path / "run")
    assert outcomes[first][0] == severity, outcomes[first]
    assert findings(outcomes) <= {first, "ADP004", "ADP012", "PRJ002"}


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("AdaLoraConfig", {"init_r": 12, "target_r": 8, "total_step": 10}),
        ("LoHaConfig", {"r": 8, "alpha": 8}),
        ("IA3Config", {"feedforward_modules": []}),
    ],
)
def test_other_kind_of_adapter_is_no_evidence(tmp_path, kind, settings):
    config = getattr(peft, kind)(target_modules=["q_proj", "v_proj"], **settings)
    peft.get_peft_model(copy.deepcopy(tiny_retriever("ColQwen2")), config).save_pretrained(tmp_path)
    outcomes = judge_adapter(tmp_path)
    assert findings(outcomes) == set()
    assert outcomes["ADP003"][0] == outcomes["ADP004"][0] == "no evidence"


def test_block_diagonal_matrices_are_no_wrong_ranks(tmp_path):
    blocks = {"target_modules_bd_a": ["q_proj"], "target_modules_bd_b": ["o_proj"], "nblocks": 2}
    blocks["match_strict"] = False
    targets = ["q_proj", "o_proj", "custom_text_proj"]
    trained(tmp_path, target_modules=targets, use_bdlora=peft.BdLoraConfig(**blocks))
    assert findings(judge_adapter(tmp_path / "run")) == {"ADP004"}
