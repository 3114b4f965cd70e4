import pytest
from builders.adapter import (
    PREFIX,
    PROJECTION,
    TARGETS,
    adapter_config,
    adapter_tensors,
    outline,
    write_tensors,
)

from colintern.artifacts.model.adapter_config import AdapterConfig
from colintern.artifacts.tensors.store import read_tensor_store
from colintern.diagnostics.adapter import faults as adapter_faults
from colintern.diagnostics.adapter.coverage import measure_coverage

NEW, OLD = f"{PREFIX}language_model.layers", f"{PREFIX}model.layers"


def coverage(folder, *, config=None, known=True, family=True, **changes):
    rename = changes.pop("rename", None)
    edit = changes.pop("edit", None)
    tensors = adapter_tensors(**changes)
    if edit is not None:
        edit(tensors)
    if rename is not None:
        tensors = {name.replace(*rename): values for name, values in tensors.items()}
    write_tensors(folder / "adapter_model.safetensors", tensors)
    store = read_tensor_store(folder / "adapter_model.safetensors", None)
    fields = {**adapter_config(), **(config or {})}
    return measure_coverage(
        AdapterConfig(**fields), store, outline() if known else None, PROJECTION if family else None
    )


@pytest.mark.parametrize("known", [True, False])
def test_healthy_adapter_has_no_gap(tmp_path, known):
    found = coverage(tmp_path, known=known)
    assert (
        found.unmatched
        == adapter_faults.unpaired(found.tensors)
        == adapter_faults.wrong_ranks(found)
        == adapter_faults.wrong_shapes(found)
        == ()
    )
    assert (
        found.missing
        == found.undeclared
        == adapter_faults.unsaved(found)
        == found.language_missing
        == ()
    )
    assert found.missing_layers == ()
    assert found.projection_saved


@pytest.mark.parametrize(
    ("targets", "unmatched"),
    [
        (["q_proj", "v_proj"], ()),
        (["layers.0.mlp.up_proj"], ()),
        (
            ["language_model.layers.*.self_attn.q_proj", "up_proj"],
            ("language_model.layers.*.self_attn.q_proj",),
        ),
        (["q_proj", "qq_proj"], ("qq_proj",)),
        (["q_proj", PROJECTION], ()),
        (["q_proj", "fc1"], ()),
        (TARGETS, ()),
        (".*nothing.*", (".*nothing.*",)),
        ("all-linear", ()),
    ],
)
def test_unmatched_entries(tmp_path, targets, unmatched):
    assert coverage(tmp_path, config={"target_modules": targets}).unmatched == unmatched


def test_entry_of_the_base_alone_needs_the_outline(tmp_path):
    config = {"target_modules": ["q_proj", "fc1"]}
    assert coverage(tmp_path, config=config, known=True).unmatched == ()
    assert coverage(tmp_path, config=config, known=False).unmatched == ("fc1",)


@pytest.mark.parametrize("layout", ["model.", "model.language_model.", "language_model.model."])
@pytest.mark.parametrize(
    "targets",
    [
        r".*layers.*\.(q|k|v|o|gate|up|down)_proj",
        r"model\.layers\..*_proj",
        ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
    ],
)
def test_older_layouts_are_covered(tmp_path, layout, targets):
    rename = (NEW, f"{PREFIX}{layout}layers")
    found = coverage(tmp_path, rename=rename, config={"target_modules": targets})
    assert found.unmatched == found.undeclared == found.missing == found.language_missing == ()
    assert adapter_faults.wrong_shapes(found) == ()


def test_names_of_an_older_layout_in_the_configuration(tmp_path):
    targets = [f"model.layers.{layer}.mlp.up_proj" for layer in (0, 1)] + ["q_proj"]
    found = coverage(
        tmp_path, known=False, config={"target_modules": [*targets, "model.x.up_proj"]}
    )
    assert found.unmatched == ("model.x.up_proj",)
    assert not any("up_proj" in name for name in found.undeclared)


def test_condensed_list_of_many_names(tmp_path):
    targets = ["0.self_attn.q_proj", "1.self_attn.q_proj", "mlp.up_proj"]
    found = coverage(tmp_path, config={"target_modules": targets})
    assert found.unmatched == ()
    assert found.undeclared


def test_layers_left_out_on_purpose(tmp_path):
    def first_layer_only(tensors):
        for name in [name for name in tensors if "layers.1." in name]:
            del tensors[name]

    suffixes = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    config = {"target_modules": suffixes, "layers_to_transform": [0]}
    found = coverage(tmp_path, edit=first_layer_only, config=config)
    assert found.missing == found.undeclared == found.unmatched == ()
    assert found.missing_layers == (1,)
    assert found.is_deliberate
    assert not coverage(tmp_path, edit=first_layer_only).is_deliberate


def test_dora_and_embedding_and_bias_names(tmp_path):
    def others(tensors):
        up = f"{NEW}.0.mlp.up_proj"
        tensors[f"{up}.lora_magnitude_vector"] = tensors[f"{up}.lora_B.weight"][:, 0]
        tensors[f"{up}.bias"] = tensors[f"{up}.lora_B.weight"][:, 0]
        tensors[f"{up}.lora_B.bias"] = tensors[f"{up}.lora_B.weight"][:, 0]
        embedding = f"{PREFIX}language_model.embed_tokens"
        tensors[f"{embedding}.lora_embedding_A"] = tensors[f"{up}.lora_A.weight"]
        tensors[f"{embedding}.lora_embedding_B"] = tensors[f"{up}.lora_B.weight"]

    found = coverage(tmp_path, edit=others, config={"target_modules": f"{TARGETS}|.*embed_tokens"})
    assert (
        adapter_faults.unpaired(found.tensors)
        == adapter_faults.wrong_ranks(found)
        == found.undeclared
        == found.language_missing
        == ()
    )
    assert found.tensors.modules["language_model.embed_tokens"].is_embedding
    assert found.tensors.modules["language_model.layers.0.mlp.up_proj"].magnitude is not None


def test_adapter_name_in_the_keys(tmp_path):
    found = coverage(tmp_path, rename=(".lora_", ".lora_"), edit=named_default)
    assert adapter_faults.unpaired(found.tensors) == found.language_missing == ()
    assert len(found.tensors.pairs) == 14


def named_default(tensors):
    for name in list(tensors):
        tensors[
            name.replace("lora_A.", "lora_A.default.").replace("lora_B.", "lora_B.default.")
        ] = tensors.pop(name)


@pytest.mark.parametrize(
    ("names", "unsaved"),
    [
        ([PROJECTION], ()),
        ([PROJECTION, "score"], ("score",)),
        ([PROJECTION, "classifier", "score", "classifier"], ("classifier", "score")),
        (None, ()),
    ],
)
def test_modules_to_save(tmp_path, names, unsaved):
    assert adapter_faults.unsaved(coverage(tmp_path, config={"modules_to_save": names})) == unsaved


def test_classifier_heads_are_alternatives(tmp_path):
    def head(tensors):
        tensors[f"{PREFIX}classifier.dense.weight"] = tensors[f"{PREFIX}{PROJECTION}.weight"]
        tensors[f"{PREFIX}classifier.modules_to_save.out_proj.weight"] = tensors[
            f"{PREFIX}{PROJECTION}.weight"
        ]

    names = {"modules_to_save": [PROJECTION, "classifier", "score"]}
    assert adapter_faults.unsaved(coverage(tmp_path, edit=head, config=names)) == ()


def test_wrong_rank_and_shape(tmp_path):
    def wrong(tensors):
        up = f"{NEW}.0.mlp.up_proj.lora_A.weight"
        down = f"{NEW}.0.mlp.down_proj.lora_A.weight"
        tensors[up] = tensors[up][:8]
        tensors[down] = tensors[down][:, :60]

    found = coverage(tmp_path, edit=wrong)
    assert adapter_faults.wrong_ranks(found) == ("language_model.layers.0.mlp.up_proj",)
    assert adapter_faults.wrong_shapes(found) == ("language_model.layers.0.mlp.down_proj",)
    patterned = {"rank_pattern": {"up_proj": 4}}
    assert len(adapter_faults.wrong_ranks(coverage(tmp_path, config=patterned))) == 2


def test_pattern_that_cannot_be_tried(tmp_path):
    found = coverage(tmp_path, config={"target_modules": "(a*)*b"})
    assert found.problem == "a regular expression with nested repeats"
    assert found.missing == found.undeclared == ()
