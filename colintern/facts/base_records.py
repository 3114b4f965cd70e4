"""Which base the adapter was trained on, stands on and was evaluated on, by everybody who says so.

Hub ids are compared with one another. A path is no other model than an id: a run that was moved, or
a base that was downloaded, is the same under both names.
"""

import re
from typing import Final

from msgspec import Struct

from colintern.artifacts.hub_cache import is_hub_id
from colintern.artifacts.model.base_model import BaseReference
from colintern.artifacts.results.evaluation_record import EVALUATION_RECORD, EvaluatedBase
from colintern.artifacts.run.layout import ADAPTER_CONFIG, MODEL_CARD, RUN_MANIFEST
from colintern.artifacts.run.manifest import BaseRecord
from colintern.facts.fact import Fact, Records, Witness, fact_of, records_of
from colintern.families.traces import FamilyTraces, families_named

_URL: Final = re.compile(r"https?://(?:www\.)?(?:huggingface\.co|hf\.co)/")
_CACHED: Final = re.compile(
    r"models--([\w.-]{1,96}?)--([\w.-]{1,96})(?:[/\\]snapshots[/\\]([0-9a-f]{7,64}))?"
)
_MIRROR: Final = re.compile(
    r"(?:[-_.](?:bnb|unsloth|4bit|8bit|gptq|awq|fp8|bf16|fp16|hf|int4|int8|dynamic|w4a16))+$"
)
_COMMIT: Final = re.compile(r"[0-9a-f]{7,64}")
_SHOWN: Final = 12

_FOLDERS: Final = frozenset(
    {"base", "bases", "base_model", "base_models", "cache", "ckpt", "ckpts", "checkpoint"}
    | {"checkpoints", "data", "download", "downloads", "model", "models", "output", "outputs"}
    | {"pretrained", "result", "results", "run", "runs", "tmp", "weights"}
)
"""Relative paths that look like ids: nobody's organisation, but everybody's folder."""

BASE: Final = "base"
LAYERS: Final = "sha256 of the base's layers"
REVISION: Final = "revision of the base"


class NamedBase(Struct, frozen=True):
    """A base as some file names it."""

    hub_id: str | None
    """As ORG/NAME; None where it is a path."""
    revision: str | None
    """A commit; None for a branch, a placeholder or none."""


def named_base(text: str | None, revision: str | None = None) -> NamedBase:
    """Read a base's name: an id, its address on the Hub, its folder in the cache, or a path.

    >>> named_base("/data/hub/models--Qwen--Qwen2-VL-2B/snapshots/0123456789abcdef").hub_id
    'Qwen/Qwen2-VL-2B'
    """
    name = _URL.sub("", (text or "").strip()[:1000]).rstrip("/")
    commit = revision if revision and _COMMIT.fullmatch(revision) else None
    if cached := _CACHED.search(name):
        return NamedBase(f"{cached[1]}/{cached[2]}", commit or cached[3])
    is_folder = name.partition("/")[0].casefold() in _FOLDERS
    return NamedBase(name if is_hub_id(name) and not is_folder else None, commit)


def same_model(first: str, second: str) -> bool:
    """Whether two Hub ids may be one model: by case, of a mirror, or of the oldest names."""
    return _plain(first) == _plain(second)


def _plain(hub_id: str) -> str:
    return _MIRROR.sub("", hub_id.rpartition("/")[2].casefold())


def base_records(
    *,
    trained: BaseRecord | None,
    adapter: BaseReference | None,
    adapter_revision: str | None,
    evaluated: EvaluatedBase | None,
    card: tuple[str, ...],
    layers_here: str | None,
) -> Records:
    """Compare what every file says of the base.

    Args:
        trained: `base` of the run manifest.
        adapter: what adapter_config.json names; a name that leads to a folder here is a path.
        adapter_revision: its revision.
        evaluated: `base` of the evaluation record.
        card: `base_model` of the model card, which may name several.
        layers_here: hash of the base on this machine, where it is the one that the adapter names.
    """
    named = {
        RUN_MANIFEST: named_base(trained.id, trained.revision) if trained else None,
        ADAPTER_CONFIG: named_base(adapter.recorded, adapter_revision) if adapter else None,
        EVALUATION_RECORD: named_base(evaluated.id) if evaluated else None,
    }
    if adapter is not None and not adapter.by_option and not adapter.is_hub_id:
        cached = _CACHED.search(adapter.recorded or "")
        named[ADAPTER_CONFIG] = named[ADAPTER_CONFIG] if cached else None
    ids = [_id_witness(source, base.hub_id) for source, base in named.items() if base]
    commits = [_revision_witness(source, base) for source, base in named.items() if base]
    return records_of(
        fact_of(BASE, [*ids, _card_witness(card, ids)], _names_agree),
        fact_of(REVISION, commits, lambda a, b: _prefix(a.value, b.value)),
        _layers(trained, evaluated, layers_here),
    )


def _id_witness(source: str, hub_id: str | None) -> Witness[str] | None:
    return Witness(value=hub_id, source=source) if hub_id else None


def _revision_witness(source: str, base: NamedBase) -> Witness[str] | None:
    if base.revision is None:
        return None
    return Witness(value=base.revision, source=source, shown=base.revision[:_SHOWN])


def _card_witness(card: tuple[str, ...], ids: list[Witness[str] | None]) -> Witness[str] | None:
    """Of several bases, the one that agrees; a card names a model's ancestors too."""
    named = [hub_id for text in card[:10] if (hub_id := named_base(text).hub_id)]
    known = [witness.value for witness in ids if witness is not None]
    fitting = (name for name in named if any(_related(name, each) for each in known))
    chosen = next(fitting, next(iter(named), None))
    return _id_witness(MODEL_CARD, chosen)


def _names_agree(first: Witness[str], other: Witness[str]) -> bool:
    if other.source == MODEL_CARD:
        return _related(first.value, other.value)
    return same_model(first.value, other.value)


def _related(first: str, second: str) -> bool:
    """Whether both are bases of one retriever family: a card names the raw one, or the saved."""
    families = [
        set().union(*families_named(FamilyTraces(base_id=name)).values())
        for name in (first, second)
    ]
    return same_model(first, second) or bool(families[0] & families[1])


def _prefix(first: str, second: str) -> bool:
    return first.startswith(second) or second.startswith(first)


def _layers(
    trained: BaseRecord | None, evaluated: EvaluatedBase | None, here: str | None
) -> Fact[str] | None:
    said = (
        (RUN_MANIFEST, trained.layers_sha256 if trained else None),
        (EVALUATION_RECORD, evaluated.layers_sha256 if evaluated else None),
        # What is here is set against the manifest by a rule of its own.
        ("the base here", here if not (trained and trained.layers_sha256) else None),
    )
    return fact_of(
        LAYERS,
        [
            Witness(value=value, source=source, shown=value[:_SHOWN])
            for source, value in said
            if value
        ],
    )


def is_other_model(records: Records) -> bool:
    """Whether the disagreement is about another base for certain.

    That are two hashes, or two ids of which no hash says that they are the same model; what a card
    names is an ancestor as often as the base.
    """
    harmless = {MODEL_CARD}
    for fact in records.facts:
        if fact.name == LAYERS and not fact.agreed:
            return True
        if fact.name == LAYERS:
            harmless.add(EVALUATION_RECORD)
    return any(
        witness.source not in harmless
        for fact in records.contradicted
        if fact.name == BASE
        for witness in fact.disagreeing
    )
