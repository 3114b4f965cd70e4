"""Evidence of the software that trained and evaluated, and of where the code came from."""

from contextlib import suppress
from typing import Final

from colintern.artifacts.files import read_bytes
from colintern.artifacts.model.adapter_config import AdapterConfig
from colintern.artifacts.model.model_card import ModelCard
from colintern.artifacts.results.evaluation_record import EvaluationRecord
from colintern.artifacts.run.layout import RunLayout
from colintern.artifacts.run.manifest import RunManifest
from colintern.engine.evidence import sources
from colintern.engine.resolver import Resolver, artifact, evidence
from colintern.engine.verdict import NoEvidence
from colintern.facts.versions import (
    ENGINE,
    Environment,
    VersionPair,
    missing_provenance,
    unknown_engine,
    version_pairs,
)
from colintern.families.family import Family

GIT_HASH: Final = "git_hash.txt"
_GIT_HASH_BYTES: Final = 4096


@artifact
def git_hash(layout: RunLayout) -> str:
    """The commit that colpali-engine's trainer noted; empty outside a repository."""
    path = layout.find(GIT_HASH)
    if path is None:
        raise NoEvidence(sources.GIT_HASH, needed_for="the commit of the training code")
    return (
        read_bytes(path, layout.enclosure, limit=_GIT_HASH_BYTES).decode("utf-8", "replace").strip()
    )


@evidence
def compared_versions(
    manifest: RunManifest | None,
    model_card: ModelCard | None,
    adapter: AdapterConfig | None,
    evaluation_record: EvaluationRecord | None,
    family: Family | None,
) -> tuple[VersionPair, ...]:
    """Every pair of recorded packages between which bounds are declared.

    Pairs that fit say nothing where the engine is of a release whose bounds are not known.
    """
    training = Environment.of(
        "training",
        (manifest.versions or {}) if manifest else {},
        model_card.versions if model_card else {},
        {"peft": adapter.peft_version} if adapter else {},
    )
    recorded = (evaluation_record.versions or {}) if evaluation_record else {}
    evaluation = Environment.of("evaluation", recorded)
    pairs = version_pairs(training, family) + version_pairs(evaluation, family)
    unknown = unknown_engine(training) or unknown_engine(evaluation)
    if unknown is not None and all(pair.compatible for pair in pairs):
        raise NoEvidence(
            sources.RELEASES, what=f"{ENGINE} {unknown}", needed_for="the versions that fit it"
        )
    if not pairs:
        raise NoEvidence(
            sources.MANIFEST_OR_CARD,
            what=f"versions of {ENGINE}, transformers and PEFT",
            needed_for="checking that they fit together",
        )
    return pairs


@evidence
def unrecorded(
    manifest: RunManifest | None, git_hash: str | None, resolver: Resolver
) -> tuple[str, ...]:
    """What must be recorded to repeat the run, and is not.

    A manifest that is there and cannot be read records nobody knows what.
    """
    with suppress(NoEvidence):
        resolver.get("manifest")
    return tuple(missing_provenance(manifest, git_hash))
