"""Named ways to break the names, shapes, types, flags, layers and head of what was saved.

A mutation changes tensors by name, and the document of the configuration, in place. `ADAPTERS` and
`MODELS` list single ones; `combined` pairs those that do not undo one another.
"""

from dataclasses import dataclass
from itertools import combinations

import torch

PREFIX = "base_model.model."


@dataclass(frozen=True)
class Mutation:
    name: str
    tensors: object = None
    config: object = None

    def __call__(self, tensors, config):
        if self.config is not None:
            self.config(config)
        return tensors if self.tensors is None else self.tensors(tensors)


def renamed(old, new, only=""):
    def edit(tensors):
        return {
            name.replace(old, new) if only in name else name: value
            for name, value in tensors.items()
        }

    return edit


def without(*parts):
    def edit(tensors):
        return {
            name: value
            for name, value in tensors.items()
            if not all(part in name for part in parts)
        }

    return edit


def changed(part, change):
    def edit(tensors):
        return {name: change(value) if part in name else value for name, value in tensors.items()}

    return edit


def copied(old, new):
    def edit(tensors):
        copies = {name.replace(old, new): value for name, value in tensors.items() if old in name}
        return tensors | copies

    return edit


def added(name, *shape):
    return lambda tensors: tensors | {name: torch.full(shape, 0.25)}


def settings(**values):
    return lambda config: config.update(values)


def text_settings(**values):
    return lambda config: config["text_config"].update(values)


def _rows_off(value):
    return value[:-1]


def _hollow(value):
    return value[:0]


def _adapter_mutations():
    parts = ("lora_A", "lora_B", "q_proj", "mlp", "custom_text_proj", "layers.0.")
    yield Mutation("as saved")
    for adapter in ("default", "mine"):
        for part in ("lora_A", "lora_B"):
            edit = renamed(f"{part}.", f"{part}.{adapter}.")
            yield Mutation(f"{adapter} in {part}", edit)
        yield Mutation(
            f"{adapter} in layer 0", renamed(".weight", f".{adapter}.weight", "layers.0.")
        )
        saved = renamed("text_proj.", f"text_proj.modules_to_save.{adapter}.")
        yield Mutation(f"{adapter} in the head", saved)
    for old, new in (
        (PREFIX, ""),
        (PREFIX, PREFIX * 2),
        (PREFIX, "base_model."),
        (PREFIX, f"{PREFIX}_orig_mod."),
        (PREFIX, f"{PREFIX}model."),
        (PREFIX, f"module.{PREFIX}"),
        ("language_model.", "model."),
        ("language_model.", "language_model.model."),
        ("language_model.", "model.language_model.model."),
        (".lora_A.", "_A."),
        (".lora_B.", "_B."),
        ("lora_A", "lora_a"),
        ("lora_B.weight", "lora_B"),
        ("self_attn", "attention"),
        ("up_proj", "upproj"),
    ):
        yield Mutation(f"{old} is {new}", renamed(old, new))
        yield Mutation(f"{old} is {new} in layer 1", renamed(old, new, "layers.1."))
    for part in parts:
        yield Mutation(f"without {part}", without(part))
        yield Mutation(f"without {part} of layer 1", without("layers.1.", part))
        yield Mutation(f"a row less in {part}", changed(part, _rows_off))
        yield Mutation(f"no values in {part}", changed(part, _hollow))
        if part != "custom_text_proj":  # which is square here
            yield Mutation(f"{part} turned", changed(part, lambda v: v.T if v.dim() > 1 else v))
        for kind in (torch.bfloat16, torch.float16, torch.int8):
            yield Mutation(f"{part} as {kind}", changed(part, lambda v, kind=kind: v.to(kind)))
    yield Mutation("nothing", lambda _: {})
    yield Mutation("without the head's bias", without("custom_text_proj.bias"))
    for layer in (2, 7):
        yield Mutation(f"layer {layer} more", copied("layers.1.", f"layers.{layer}."))
    yield Mutation("a stranger", added(f"{PREFIX}stranger.weight", 8, 8))
    yield Mutation("a norm", added(f"{PREFIX}language_model.norm.weight", 128))
    yield Mutation("an embedding", added(f"{PREFIX}language_model.embed_tokens.weight", 88, 128))
    yield Mutation(
        "a larger embedding", added(f"{PREFIX}language_model.embed_tokens.weight", 96, 128)
    )
    yield Mutation("an output layer", added(f"{PREFIX}lm_head.weight", 88, 128))
    query = f"{PREFIX}language_model.layers.0.self_attn.q_proj"
    yield Mutation("a magnitude", added(f"{query}.lora_magnitude_vector", 128))
    yield Mutation("a bias of B", added(f"{query}.lora_B.bias", 128))
    yield Mutation("a base layer", added(f"{query}.base_layer.weight", 128, 128))
    yield Mutation("a bare weight", added(f"{query}.weight", 128, 128))
    for name, values in (
        ("peft_type", ("LORAX", "lora", "IA4")),
        ("task_type", ("STRANGE",)),
        ("init_lora_weights", ("strange", "pissa_niter_x", "kaiming", "gaussian", False)),
        ("bias", ("strange", "all", "lora_only")),
        ("layers_to_transform", ([0], 1)),
        ("layers_pattern", ("layers",)),
        ("fan_in_fan_out", (True,)),
        ("use_dora", (True,)),
        ("use_rslora", (True,)),
        ("lora_bias", (True,)),
        ("r", (2, 8)),
        ("lora_alpha", (8,)),
        ("rank_pattern", ({"q_proj": 2}, {r".*layers\.1\..*": 8})),
        ("alpha_pattern", ({"q_proj": 16},)),
        ("modules_to_save", (None, [], ["custom_text_proj", "nothing"], ["embed_tokens"])),
        ("exclude_modules", (["q_proj"], r".*layers\.0\..*")),
        ("target_modules", (None, ["nothing"], ["q_proj"], ["q_proj", "input_layernorm"])),
    ):
        for value in values:
            yield Mutation(f"{name} = {value}", config=settings(**{name: value}))


def _model_mutations():
    yield Mutation("as saved")
    for prefix in ("model.", PREFIX, "module.", "_orig_mod."):
        yield Mutation(f"{prefix} before all", _before(prefix))
    for old, new in (
        ("language_model.", "language_model.model."),
        ("language_model.", "model."),
        ("language_model.", ""),
        ("q_proj.weight", "q_proj.base_layer.weight"),
        ("text_proj.", "text_proj.modules_to_save.default."),
        ("text_proj.", "text_projection."),
        ("layers.1.", "layers.2."),
        ("vision_tower.", "vision."),
    ):
        yield Mutation(f"{old} is {new}", renamed(old, new))
    for part in (
        *("custom_text_proj", "custom_text_proj.bias", "embed_tokens", "language_model.norm"),
        *("layers.1.", "layers.0.input_layernorm", "layers.0.self_attn.q_proj", "q_norm"),
        *("vision_tower", "encoder.layer.2.", "encoder.layer.1.layernorm_before.weight"),
        *("multi_modal_projector", "linear_1.bias", "patch_embeddings", "cls_token"),
        *("mlp.down_proj", "layer.0.attention.k_proj.bias"),
    ):
        yield Mutation(f"without {part}", without(part))
        yield Mutation(f"a row less in {part}", changed(part, _rows_off))
        yield Mutation(f"no values in {part}", changed(part, _hollow))
        yield Mutation(f"{part} of zeros", changed(part, torch.zeros_like))
        yield Mutation(f"{part} as bfloat16", changed(part, lambda v: v.to(torch.bfloat16)))
    yield Mutation("nothing", lambda _: {})
    yield Mutation("a layer more", copied("layers.1.", "layers.2."))
    yield Mutation("layer 0 twice", copied("layers.0.", "layers.1."))
    yield Mutation("an output layer", added("lm_head.weight", 88, 128))
    yield Mutation("a stranger", added("stranger.weight", 8, 8))
    yield Mutation("LoRA", added("language_model.layers.0.mlp.up_proj.lora_A.weight", 4, 128))
    for layers in (1, 3):
        kinds = ["full_attention"] * layers
        config = text_settings(num_hidden_layers=layers, layer_types=kinds)
        yield Mutation(f"{layers} layers in the config", config=config)
    yield Mutation("narrow layers in the config", config=text_settings(intermediate_size=96))
    yield Mutation("more words in the config", config=text_settings(vocab_size=100))


def _before(prefix):
    return lambda tensors: {f"{prefix}{name}": value for name, value in tensors.items()}


ADAPTERS = tuple(_adapter_mutations())
MODELS = tuple(_model_mutations())


def combined(mutations, most):
    """Pairs of mutations, spread over the list; the second acts on what the first has left."""
    pairs = list(combinations(mutations[1:], 2))
    step = max(1, len(pairs) // most)
    for first, second in pairs[::step][:most]:
        yield Mutation(
            f"{first.name}, {second.name}",
            lambda tensors, one=first, two=second: (two.tensors or _same)(
                (one.tensors or _same)(tensors)
            ),
            lambda config, one=first, two=second: (
                (one.config or _same)(config),
                (two.config or _same)(config),
            ),
        )


def _same(value):
    return value
