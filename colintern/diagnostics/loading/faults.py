"""What is lost when a folder is loaded, in words: by which loader, how much, and what mends it."""

from collections.abc import Iterable, Mapping
from typing import Final, Literal

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from colintern.artifacts.model.adapter_config import AdapterConfig
from colintern.artifacts.printable import listed, printable
from colintern.artifacts.tensors.safetensors_file import TensorEntry
from colintern.artifacts.tensors.store import TensorStore
from colintern.diagnostics.adapter.coverage import AdapterCoverage
from colintern.diagnostics.adapter.faults import disagreements, unknown_layouts
from colintern.diagnostics.loading.adapter_names import (
    MAGNITUDE,
    PEFT,
    TRANSFORMERS,
    Loader,
    Parameter,
    read_name,
)
from colintern.diagnostics.loading.adapter_plan import LoaderPlan, Mismatch, plan_adapter
from colintern.diagnostics.loading.base_modules import BaseModules
from colintern.diagnostics.loading.model_plan import ModelPlan
from colintern.diagnostics.loading.settings import refused_settings
from colintern.diagnostics.weights.tensor_names import TensorNames, is_dropped, is_embedding

Gravity = Literal["error", "warning", "info"]

_SAVE_AGAIN: Final = (
    "save the weights again, gathered: the shards of DeepSpeed ZeRO-3 or FSDP hold none on one "
    "process (`stage3_gather_16bit_weights_on_model_save: true`, FSDP's FULL_STATE_DICT, or "
    "`zero_to_fp32.py` on the last checkpoint)."
)
_SAVE_UNWRAPPED: Final = (
    "save the unwrapped model: `accelerator.unwrap_model(model)`, for an adapter on it "
    "`merge_and_unload()` first, then `save_pretrained`."
)
_RENAME: Final = "take `default` out of the names: `save_pretrained` of PEFT writes none."
_WITH_PEFT: Final = "load it with `PeftModel.from_pretrained`, not with `model.load_adapter`."
_NAME_SAVED: Final = (
    "name the modules in `modules_to_save`, or take their tensors out of the file if they were not "
    "trained."
)
_MOST_COMPARED: Final = 100
"""Tensors that replace the base's own and are compared with them."""
_CORRECT_SETTING: Final = "correct adapter_config.json: take the one that `save_pretrained` wrote."


class LoadFault(Struct, frozen=True):
    """One way in which loading the folder goes wrong."""

    text: str
    gravity: Gravity = "error"
    fix: str | None = None
    """What mends this very fault; None for the rule's own."""
    leaves_nothing: bool = False
    """Whether nothing of the weights is left, so that whatever else they show follows from it."""


def empty_file(entries: Mapping[str, TensorEntry]) -> LoadFault | None:
    """Say that the weights hold no tensor, or tensors without a value; None where they do."""
    if not entries:
        text = "the file of the weights holds no tensor: nothing would be loaded"
        return LoadFault(text, fix=_SAVE_AGAIN, leaves_nothing=True)
    hollow = [entry.name for entry in entries.values() if 0 in entry.shape]
    if not hollow:
        return None
    text = f"{len(hollow)} of {len(entries)} tensors have a dimension of 0: every loader refuses"
    return LoadFault(
        f"{text} {listed(hollow, most=1)}",
        fix=_SAVE_AGAIN,
        leaves_nothing=len(hollow) == len(entries),
    )


def adapter_faults(
    config: AdapterConfig,
    store: TensorStore,
    coverage: AdapterCoverage | None,
    base: BaseModules | None,
    base_store: TensorStore | None = None,
) -> tuple[LoadFault, ...]:
    """List what PEFT and transformers would lose of an adapter.

    Targets that match nothing, tensors that contradict the settings, names of an unknown layout and
    a projection of another size have rules of their own, and are left to them.

    Args:
        config: of the adapter, of any kind.
        store: the tensors of its file.
        coverage: where it is LoRA: what it reaches.
        base: the model that it is loaded on, where that is known.
        base_store: its weights.

    Raises:
        ArtifactError: a tensor that takes the place of the base's own cannot be read.
    """
    entries = store.entries
    refused = tuple(
        LoadFault(f"PEFT refuses to load it: {text}", fix=_CORRECT_SETTING)
        for text in refused_settings(config)
    )
    empty = empty_file(entries)
    if empty is not None:
        return (empty, *refused)
    if refused or coverage is None:
        return refused
    if not coverage.tensors.modules and not coverage.tensors.mangled:
        return (_without_lora(entries, coverage),)
    plans = plan_adapter(config, entries.values(), base) if base is not None else None
    if plans is None or base is None or not base.is_exact:
        named = _named_otherwise(entries, coverage)
        return (*named, *(_other_shapes(plans[0], coverage) if plans is not None else ()))
    replaced = _replaced(plans[0], coverage, store, base_store)
    return (*_lost_by_loader(plans, coverage), *replaced)


def _replaced(
    plan: LoaderPlan,
    coverage: AdapterCoverage,
    store: TensorStore,
    base_store: TensorStore | None,
) -> Iterable[LoadFault]:
    """Name tensors that quietly replace other ones of the base; its own values are a copy."""
    if base_store is None or plan.is_refused:
        return
    names = TensorNames(base_store.entries.values())
    other: list[str] = []
    for name, place in plan.replaced[:_MOST_COMPARED]:
        parameter = place.name.removeprefix("base_layer.")
        trained = parameter == "bias" and coverage.config.bias != "none"
        own = names.find(f"{place.module}.{parameter}")
        if trained or own is None or coverage.is_projection(place.module):
            continue
        if not _is_same(store.read_float32(name), base_store.read_float32(own.name)):
            other.append(name)
    if other:
        text = f"{_tensors(other)} replace the base's own, which modules_to_save does not name"
        yield LoadFault(text, gravity="warning", fix=_NAME_SAVED)


def _is_same(one: NDArray[np.float32], other: NDArray[np.float32]) -> bool:
    """Whether two tensors agree within the rounding of bf16."""
    return one.shape == other.shape and bool(np.allclose(one, other, rtol=2**-7, atol=1e-6))


def _without_lora(entries: Mapping[str, TensorEntry], coverage: AdapterCoverage) -> LoadFault:
    saved = "" if not coverage.config.modules_to_save else " beside modules_to_save"
    text = f"none of {len(entries)} tensors is LoRA's{saved}: the adapter would change nothing"
    return LoadFault(text, fix=_SAVE_AGAIN, leaves_nothing=True)


def _named_otherwise(
    entries: Mapping[str, TensorEntry], coverage: AdapterCoverage
) -> tuple[LoadFault, ...]:
    """Say which names one loader reads and the other does not, where the base is not known."""
    unknown = {*unknown_layouts(coverage.tensors, judge_layers=False)}
    lost = [
        name
        for name in entries
        if name not in unknown
        and read_name(PEFT, name) is not None
        and read_name(TRANSFORMERS, name) is None
    ]
    return _by_transformers(lost)


def _by_transformers(lost: Iterable[str]) -> tuple[LoadFault, ...]:
    names = list(lost)
    vectors = [name for name in names if name.endswith(MAGNITUDE)]
    others = [name for name in names if not name.endswith(MAGNITUDE)]
    found: list[LoadFault] = []
    if others:
        text = f"transformers' `load_adapter` loses {_tensors(others)}, which PeftModel loads"
        found.append(LoadFault(text, gravity="warning", fix=_RENAME))
    if vectors:
        text = f"transformers' `load_adapter` loses DoRA's vectors: {_tensors(vectors)}"
        found.append(LoadFault(text, gravity="info", fix=_WITH_PEFT))
    return tuple(found)


def _lost_by_loader(
    plans: tuple[LoaderPlan, ...], coverage: AdapterCoverage
) -> Iterable[LoadFault]:
    peft, transformers = plans
    claimed = _claimed(coverage)
    faults = [
        *(LoadFault(f"PEFT refuses to load it: {text}") for text in peft.refusals),
        *_other_shapes(peft, coverage),
        *_unfilled(peft, claimed),
        *_dropped(peft, claimed, coverage),
    ]
    yield from faults
    if not faults:
        known = {*peft.lost, *claimed}
        yield from _by_transformers(name for name in transformers.lost if name not in known)


def _other_shapes(plan: LoaderPlan, coverage: AdapterCoverage) -> Iterable[LoadFault]:
    """Name a module's own tensors of another shape; of LoRA's, what the settings agree with."""
    claimed = _claimed(coverage)
    own = [
        each
        for each in plan.mismatched
        if each.parameter.module not in claimed
        and not coverage.is_projection(each.parameter.module)
        and (not each.parameter.is_lora or each.parameter.module in coverage.tensors.modules)
    ]
    if not own:
        return
    first = own[0]
    more = f" and {len(own) - 1} more" if len(own) > 1 else ""
    yield LoadFault(
        f"PEFT and transformers refuse to load it: {printable(first.name, limit=120)} is "
        f"{_shape(first.found)} where the base has {_shape(first.expected)}{more}",
        fix=_fix_of_shape(first),
    )


def _fix_of_shape(mismatch: Mismatch) -> str:
    if is_embedding(mismatch.name):
        rows = mismatch.found[0] if mismatch.found else 0
        return (
            f"resize the base before the adapter is loaded: `resize_token_embeddings({rows:,})`, "
            "or train from a base that was saved with the tokens added."
        )
    return "load it on the base that it was trained on (`base_model_name_or_path`, `revision`)."


def _unfilled(plan: LoaderPlan, claimed: frozenset[str]) -> Iterable[LoadFault]:
    left = [str(name) for name in plan.missing if name.module not in claimed]
    saved = [str(name) for name in plan.missing if not name.is_lora and name.module not in claimed]
    if saved:
        text = f"PEFT refuses to load it: the file lacks {_tensors(saved)} of modules_to_save"
        yield LoadFault(text)
    elif left:
        yield LoadFault(f"PEFT finds no tensor for {_tensors(left)}: they stay as LoRA starts")


def _dropped(
    plan: LoaderPlan, claimed: frozenset[str], coverage: AdapterCoverage
) -> Iterable[LoadFault]:
    left = [
        name
        for name in plan.lost
        if not is_dropped(name) and claimed.isdisjoint({name, _module(plan.loader, name)})
    ]
    if left:
        lora = {entry.name for m in coverage.tensors.modules.values() for entry in m.entries}
        gravity: Gravity = "error" if lora & {*left} else "warning"
        yield LoadFault(f"PEFT drops {_tensors(left)}, which fit no module", gravity=gravity)


def _module(loader: Loader, name: str) -> str:
    read = read_name(loader, name)
    return read.module if read is not None else name


def _claimed(coverage: AdapterCoverage) -> frozenset[str]:
    """Modules and tensors that contradict the settings, or are of an unknown layout."""
    faults = disagreements(coverage)
    layouts = unknown_layouts(coverage.tensors, judge_layers=True)
    modules = {name for _, names in faults for name in names}
    strangers = {_module_of_stranger(name) for name in layouts}
    return frozenset({*modules, *layouts, *strangers})


def _module_of_stranger(name: str) -> str:
    """Return the module that a name of an unknown layout would belong to."""
    read = read_name(TRANSFORMERS, name)
    return read.module if isinstance(read, Parameter) else name


def model_faults(
    plan: ModelPlan, entries: Mapping[str, TensorEntry], projections: frozenset[str]
) -> tuple[LoadFault, ...]:
    """List what the family's class would lose of a whole model.

    Args:
        plan: of the class.
        entries: the weights.
        projections: names of the projection, whose absence has a rule of its own.
    """
    empty = empty_file(entries)
    if empty is not None:
        return (empty,)
    found: list[LoadFault] = []
    if plan.wrapped:
        text = f"{_tensors(plan.wrapped)} of {len(entries)} are named as inside a wrapper"
        whole = len(plan.wrapped) == len(entries)
        found.append(
            LoadFault(f"{text}: they are dropped", fix=_SAVE_UNWRAPPED, leaves_nothing=whole)
        )
    if plan.mismatched:
        text = f"loading is refused: {_tensors(plan.mismatched)} of another shape than config.json"
        found.append(LoadFault(f"{text} asks for"))
    missing = [name for name in plan.missing if name.rpartition(".")[0] not in projections]
    bias = [name for name in plan.missing if name.endswith(".bias") and name not in missing]
    if (missing or bias) and not plan.wrapped:
        found.append(LoadFault(f"drawn at random by each load: {_tensors([*missing, *bias])}"))
    if plan.unexpected and not plan.wrapped:
        text = f"{_tensors(plan.unexpected)} fit nothing that config.json asks for: dropped"
        found.append(LoadFault(text))
    if plan.num_short and not plan.wrapped:
        text = f"{plan.num_short:,} values of the towers are in no tensor: drawn at random"
        found.append(LoadFault(text))
    return tuple(found)


def _tensors(names: Iterable[str]) -> str:
    known = list(names)
    return f"{len(known)} tensor{'s' * (len(known) != 1)} ({listed(known, most=1)})"


def _shape(shape: tuple[int, ...]) -> str:
    return " x ".join(f"{size:,}" for size in shape) or "a single number"
