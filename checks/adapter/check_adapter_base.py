"""The LoRA adapter and what it belongs to: its base, and the family of both."""

import re
from typing import Final

from colintern.artifacts.model.adapter_config import AdapterConfig
from colintern.artifacts.model.base_model import BaseReference
from colintern.artifacts.printable import listed, printable
from colintern.artifacts.run.layout import ADAPTER_PICKLE, ADAPTER_WEIGHTS, RunLayout
from colintern.diagnostics.adapter.coverage import AdapterCoverage
from colintern.diagnostics.weights.base_identity import BaseIdentity
from colintern.engine.evidence import sources
from colintern.engine.evidence.adapter import no_adapter
from colintern.engine.rule import rule
from colintern.engine.verdict import ERROR, INFO, WARNING, NoEvidence, Verdict
from colintern.families.family import Family
from colintern.families.traces import FamilyTraces, contradicting, families_named

_PINNED: Final = re.compile(r"[0-9a-f]{7,40}|v?\d+(\.\d+){0,3}")
_WEIGHTS: Final = re.compile(r".*\.safetensors|(pytorch_model|adapter_model).*\.bin", re.DOTALL)
_ADAPTER: Final = (ADAPTER_WEIGHTS, ADAPTER_PICKLE)
_FIX_WITHOUT_CONFIG: Final = (
    "The adapter's weights are here: copy adapter_config.json from where they were saved, or from "
    "a checkpoint of the run; without it PEFT cannot load them."
)
_FEWEST_TRACES: Final = 2
"""One trace cannot contradict itself."""


@rule(
    "ADP001",
    "not-an-adapter",
    severity=ERROR,
    explains={"ADP002", "ADP003"},
    advice={"load-with-wrapper", "enable-peft"},
    satisfies={"enable-peft"},
)
def check_adapter_is_there(layout: RunLayout, family: Family | None) -> Verdict:
    """The run has no `adapter_config.json`: it was trained without PEFT, or the file was lost.

    Why: without `--peft` the whole model is trained at a learning rate meant for LoRA, or nothing
        that can be loaded as an adapter is saved.
    Evidence: the names in the folder whose weights are judged. Weights of a whole model are no
        evidence (it was merged, or trained in full), and neither is a run that nothing shows to be
        a retriever's.
    Fix: train with `--peft`, or point `--checkpoint` at the folder that holds the adapter.
    Source: the guide, checklist: "PEFT enabled".
    """
    names = layout.weights_folder.names
    found = "adapter_config.json" in names
    weights = sorted(filter(_WEIGHTS.fullmatch, names))
    whole = bool(weights) and not layout.weights_folder.has_any(_ADAPTER)
    if not found and (layout.kind == "merged" or family is None or not weights or whole):
        raise no_adapter(layout, needed_for="telling whether LoRA was used")
    return Verdict(
        found,
        observed="adapter_config.json is there" if found else f"only {listed(weights, most=3)}",
        expected="adapter_config.json beside the weights",
        where=layout.weights_folder.path,
        fix=_FIX_WITHOUT_CONFIG if layout.weights_folder.has_any(_ADAPTER) else None,
    )


@rule(
    "ADP015",
    "base-not-resolvable",
    severity=WARNING,
    up_to=ERROR,
    requires={"ADP001"},
    explains={"LIV006"},
    setting="Base model",
    advice={"load-with-wrapper"},
)
def check_base_is_resolvable(base_reference: BaseReference, adapter: AdapterConfig) -> Verdict:
    """The recorded base cannot be found by anybody else, or is itself an adapter.

    Why: loading starts from `base_model_name_or_path`. A path of the training machine leads nowhere
        on another; an adapter as base means that the new one holds only a second change.
    Evidence: `base_model_name_or_path` in adapter_config.json; the folder that it or `--base` leads
        to. A Hub id that is not in the local cache is no evidence.
    Fix: write the Hub id of the base into adapter_config.json; merge the first adapter before
        training a second one on it.
    Source: sources B08, B09; colpali issues 171, 281 and 282.
    """
    found, stacked = base_reference.folder is not None, base_reference.is_adapter
    if not found and base_reference.is_hub_id:
        raise NoEvidence(
            sources.BASE_IN_CACHE,
            what=printable(base_reference.recorded, limit=120),
            needed_for="checking that the base is whole",
        )
    return Verdict(
        found and not stacked,
        observed=str(base_reference),
        expected="a Hub id, or a folder with a whole model",
        where=adapter.path,
        severity=ERROR if stacked else WARNING,
    )


@rule(
    "ADP022",
    "base-changed",
    severity=WARNING,
    up_to=ERROR,
    requires={"ADP001"},
    explains={
        "ADP009",
        "ADP020",
        "LIV006",
        "LIV007",
        "LIV009",
        "LIV010",
        "PRJ002",
        "RES001",
        "RES002",
        "RES005",
    },
)
def check_base_is_the_same(
    base_identity: BaseIdentity, coverage: AdapterCoverage, adapter: AdapterConfig
) -> Verdict:
    """The base is not the one that the adapter was trained on.

    Why: an adapter is a change of certain weights. On another model, or on a base whose projection
        was drawn again, the same change is noise, and nothing raises an error.
    Evidence: `base` in colintern_run.json (the hash of the projection before the first step, that
        of a sample of the layers, the Hub id) beside the base that adapter_config.json or `--base`
        leads to. Where only the names differ, or only a projection that the adapter brings along
        itself, it is a warning.
    Fix: name the base of the run in adapter_config.json, or give it with `--base DIR`; train again
        if it is lost.
    Source: sources B08, C01; colpali issues 11 and 281.
    """
    harmless = coverage.projection_saved and base_identity.layers_are_same is not False
    same = base_identity.weights_are_same
    return Verdict(
        same if same is not None else bool(base_identity.name_is_same),
        observed=str(base_identity),
        expected="the base that the run recorded",
        where=adapter.path,
        severity=WARNING if same is not False or harmless else ERROR,
    )


@rule("ADP016", "base-not-pinned", severity=INFO, requires={"ADP001"})
def check_base_is_pinned(adapter: AdapterConfig, base_reference: BaseReference) -> Verdict:
    """The base's revision is not recorded.

    Why: a repository can change under its name; with it the adapter's results.
    Evidence: `revision` in adapter_config.json. A base that is a folder has none: no evidence.
    Fix: load the base with `revision=COMMIT`; PEFT then records it.
    Source: sources B08; sources M08: 26 of 189 hold a placeholder instead.
    """
    if not base_reference.is_hub_id:
        raise NoEvidence(
            sources.ADAPTER_CONFIG,
            what="the Hub id of a base",
            detail="the base is a folder",
            needed_for="its pinned revision",
        )
    revision = adapter.revision or ""
    return Verdict(
        _PINNED.fullmatch(revision) is not None,
        observed=f"revision {printable(revision, limit=60)}" if revision else "no revision",
        expected="a commit hash or a version",
        where=adapter.path,
    )


@rule(
    "ADP021",
    "family-contradiction",
    severity=WARNING,
    explains={"ADP002", "LIV006", "PRC002", "PRJ001", "PRJ003"},
    setting="Base model",
)
def check_family_is_one(family_traces: FamilyTraces, layout: RunLayout) -> Verdict:
    """Base, processor and manifest are of different retriever families.

    Why: the processor of another family cuts pages and queries into tokens that this model never
        saw, and the audit itself takes projection, padding side and figures from the family.
    Evidence: `processor_class` of the saved processor, the base's name, `model_type` and
        `architectures` of config.json, and `family` in colintern_run.json; two of them at least.
    Fix: save the processor that training used beside the weights, and the base's true name in
        adapter_config.json; `--family NAME` judges by one family meanwhile.
    Source: colpali-engine: each model class has one processor class and one base architecture.
    """
    named = families_named(family_traces)
    if len(named) < _FEWEST_TRACES:
        raise NoEvidence(
            sources.FAMILY_FILES,
            detail=f"found {len(named)}",
            needed_for="comparing them",
        )
    told = [f"{trace} is {' or '.join(sorted(names))}" for trace, names in named.items()]
    return Verdict(
        not contradicting(named),
        observed=listed(told, most=4),
        expected="one family in all of them",
        where=layout.weights_folder.path,
    )
