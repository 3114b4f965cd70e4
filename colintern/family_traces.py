"""Which retriever family a checkpoint is of: told from what it shows, in the order of design 7."""

from typing import Final

from msgspec import Struct

from colintern.artifacts.adapter_config import AdapterConfig
from colintern.families import FAMILIES, Family, family_named, family_of_class


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


def tell_family(traces: FamilyTraces) -> Family | None:
    """Tell the family in the order of design 7, or return None.

    A plain vision-language model is also trained for other things than retrieval: its name or
    architecture counts only when the adapter extracts features or has the family's projection.
    """
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
    name = (traces.base_id or "").replace("\\", "/").rstrip("/").rpartition("/")[2][:200]
    for family in FAMILIES:
        if family.saved_bases.fullmatch(name):
            return family
    for family in FAMILIES:
        of_type = traces.model_type in family.model_types
        if (of_type or family.raw_bases.fullmatch(name)) and _is_retriever(traces, family):
            return family
    return None


def _is_retriever(traces: FamilyTraces, family: Family) -> bool:
    adapter = traces.adapter
    entries = (adapter.target_entries + tuple(adapter.modules_to_save or ())) if adapter else ()
    if family.projection in traces.modules or any(_USUAL_PROJECTION in entry for entry in entries):
        return True
    # ColIdefics3's bases are also trained for classification, as feature extractors (corpus), and
    # `linear` is too common a word in a list of targets.
    usual = family.projection == _USUAL_PROJECTION
    return usual and adapter is not None and adapter.task_type == "FEATURE_EXTRACTION"


_USUAL_PROJECTION: Final = "custom_text_proj"
"""Also targeted by mistake where the class calls it otherwise (failure-modes B05)."""
