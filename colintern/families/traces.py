"""Which retriever family a checkpoint is of: told from what it shows (sources N05)."""

from collections.abc import Mapping

from msgspec import Struct

from colintern.artifacts.model.adapter_config import AdapterConfig
from colintern.families.catalogue import (
    families,
    families_of_type,
    family_named,
    family_of_class,
    variants_of,
)
from colintern.families.family import USUAL_PROJECTION, Family


class FamilyTraces(Struct, frozen=True, kw_only=True):
    """What a subject shows of its family; None where it shows nothing."""

    option: str | None = None
    """`--family`."""
    manifest: str | None = None
    """`family` in colintern_run.json."""
    processor_class: str | None = None
    """`processor_class` in a processor's or tokenizer's configuration."""
    architectures: tuple[str, ...] = ()
    """`architectures` in the base's config.json."""
    model_type: str | None = None
    """`model_type` in the base's config.json."""
    base_id: str | None = None
    """Hub id or path of the base."""
    adapter: AdapterConfig | None = None
    modules: frozenset[str] = frozenset()
    """Modules that the weights hold tensors of."""


def families_named(traces: FamilyTraces) -> dict[str, frozenset[str]]:
    """Return the families that each trace of the files speaks for, by what the trace is.

    `--family` is no trace: it is the user's word, given where the files tell too little.
    """
    base = _last_part(traces.base_id)
    told = {
        "the manifest": _names_of(family_named(traces.manifest or "")),
        f"processor class {traces.processor_class}": _names_of(
            family_of_class(traces.processor_class or "")
        ),
        f"base {base}": frozenset(
            family.name
            for family in families()
            if family.saved_bases.fullmatch(base) or family.raw_bases.fullmatch(base)
        ),
    }
    classes = [_names_of(family_of_class(each)) for each in traces.architectures]
    of_type = frozenset(family.name for family in families_of_type(traces.model_type))
    # One file speaks once: its class, which is the retriever's own, before the type of its base.
    told["config.json"] = next((names for names in classes if names), of_type)
    return {trace: names for trace, names in told.items() if names}


def contradicting(named: Mapping[str, frozenset[str]]) -> bool:
    """Whether no family agrees with all traces; one that is another in small is the other here."""
    original = {family.name: family.same_model_as or family.name for family in families()}
    alike = [{original[name] for name in names} for names in named.values()]
    return bool(alike) and not set.intersection(*alike)


def _names_of(family: Family | None) -> frozenset[str]:
    return frozenset() if family is None else frozenset({family.name})


def _last_part(base_id: str | None) -> str:
    return (base_id or "").replace("\\", "/").rstrip("/").rpartition("/")[2][:200]


def tell_family(traces: FamilyTraces) -> Family | None:
    """Tell the family in the order of sources N05, or return None.

    A plain vision-language model is also trained for other things than retrieval: its name or
    architecture counts only when the adapter extracts features or has the family's projection.
    A family that is another one in small has that one's classes: only the manifest and its base
    tell it from that.
    """
    found = _told(traces)
    if found is None or traces.option or traces.manifest:
        return found
    return in_small(found, traces.base_id)


def in_small(family: Family, base_id: str | None) -> Family:
    """Return the small variant of `family` that has a base of this name, else `family` itself."""
    base = _last_part(base_id)
    return next((each for each in variants_of(family) if each.saved_bases.fullmatch(base)), family)


def _told(traces: FamilyTraces) -> Family | None:
    for name in (traces.option, traces.manifest):
        if name and (family := family_named(name)):
            return family
    if traces.processor_class:
        if family := family_of_class(traces.processor_class):
            return family
        if traces.processor_class.startswith(("Bi", "bi")):
            return None
    for architecture in traces.architectures:
        if family := family_of_class(architecture):
            return family
    return _of_base(traces)


def _of_base(traces: FamilyTraces) -> Family | None:
    name = _last_part(traces.base_id)
    for family in families():
        if family.saved_bases.fullmatch(name):
            return family
    of_type = families_of_type(traces.model_type)
    for family in families():
        plain = family in of_type or family.raw_bases.fullmatch(name)
        if plain and _is_retriever(traces, family):
            return family
    return None


def _is_retriever(traces: FamilyTraces, family: Family) -> bool:
    adapter = traces.adapter
    entries = (adapter.target_entries + tuple(adapter.modules_to_save or ())) if adapter else ()
    if family.projection in traces.modules or any(USUAL_PROJECTION in entry for entry in entries):
        return True
    # ColIdefics3's bases also serve classification, as feature extractors (sources M08), and
    # `linear` is too common a word in a list of targets.
    usual = family.projection == USUAL_PROJECTION
    return usual and adapter is not None and adapter.task_type == "FEATURE_EXTRACTION"
