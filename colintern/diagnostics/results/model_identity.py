"""Whose weights are judged, beside whose results and metadata these are."""

from pathlib import Path

from msgspec import Struct

from colintern.artifacts.results.model_meta import ModelMeta
from colintern.diagnostics.results.published import (
    PublishedModel,
    published_model,
    published_models,
)
from colintern.families.catalogue import mteb_wrappers
from colintern.families.family import Family


class Identity(Struct, frozen=True):
    """What is known of whose weights are judged."""

    names: frozenset[str]
    """Names of the subject, of its folder and of its base."""
    declared: str | None
    """The name in model_meta.json."""
    family: Family | None
    is_own_training: bool
    """Whether a run manifest says that these weights were trained here."""
    has_weights: bool

    def may_be(self, model: PublishedModel) -> bool:
        """Whether the weights can be that model's, or start from it.

        A name that only model_meta.json gives counts where nothing contradicts it: whoever copies a
        folder of results copies that file too.
        """
        if model.name.casefold() in self.names or short_name(model.name) in self.names:
            return True
        named = (self.declared or "").casefold() == model.name.casefold()
        return named and not (self.has_weights and self.contradicts(model))

    def contradicts(self, model: PublishedModel) -> bool:
        """Whether the weights are certainly others: trained here, or of another family."""
        other_family = (
            self.family is not None
            and model.loader in mteb_wrappers()
            and model.loader not in self.family.mteb_wrappers
        )
        return self.is_own_training or other_family


def short_name(name: str) -> str:
    """Return the name without its owner, for comparison.

    >>> short_name("vidore/colpali-v1.3"), short_name("vidore__ColPali-v1.3")
    ('colpali-v1.3', 'colpali-v1.3')
    """
    return name.replace("__", "/").rstrip("/").rpartition("/")[2].casefold()


def names_of(path: Path, *names: str | None) -> frozenset[str]:
    """Return every name that the judged weights have, in full and without the owner."""
    parent = path.parent
    snapshot = parent.parent.name if parent.name == "snapshots" else ""
    hub_id = snapshot.removeprefix("models--").replace("--", "/")
    known = [name for name in (*names, path.name, hub_id) if name]
    return frozenset(
        form for name in known for form in (name.replace("__", "/").casefold(), short_name(name))
    )


def identity_faults(meta: ModelMeta, identity: Identity) -> tuple[str, ...]:
    """Name what model_meta.json says of another model than the judged one.

    A published name is another model's where the weights are certainly others; a published revision
    where model_meta.json itself names another model beside it.
    """
    faults = []
    named = published_model(meta.name) if meta.name and "/" in meta.name else None
    if named is not None and identity.has_weights and not identity.may_be(named):
        faults.append(f"name {named.name}, a published model that these weights are not")
    owners = [model for model in published_models().models if model.revision == meta.revision]
    # One owner may keep several models in one repository: EVA02-CLIP-L and -bigE share a commit.
    own = (meta.name or "").rpartition("/")[0].casefold()
    if owners and own and all(own != model.name.rpartition("/")[0].casefold() for model in owners):
        faults.append(f"revision {owners[0].revision[:12]}, a commit of {owners[0].name}")
    return tuple(faults)
