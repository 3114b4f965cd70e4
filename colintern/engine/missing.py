"""What is missing where a rule could not be judged: a record from the provider to each report."""

# No msgspec: every pytest run of an installation with the plugin imports this.
from dataclasses import dataclass
from typing import Final

from colintern.artifacts.printable import printable

_MAX_TEXT_CHARACTERS: Final = 400
"""Of one field: a path and a few names."""


@dataclass(frozen=True, slots=True)
class Source:
    """A place that evidence is read from, and how a person gets it there."""

    name: str
    """A file, a folder or an option, as `trainer_state.json`."""
    hint: str = ""
    """What to do where all of it is absent."""
    part_hint: str = ""
    """What to do where it is there, and a part of it is not."""
    is_option: bool = False
    """Whether it is an option: nobody failed to record anything where it was not given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """One piece of evidence that is absent.

    >>> missing = Missing(
    ...     source="colintern_resources.jsonl", what="rows of a GPU", purpose="GPU memory"
    ... )
    >>> missing.sentence
    'needs rows of a GPU in colintern_resources.jsonl for GPU memory'
    >>> missing.short
    'colintern_resources.jsonl (rows of a GPU)'
    """

    source: str
    """The file, folder or option that would hold it."""
    what: str = ""
    """The part of the source that is absent; empty where all of it is."""
    detail: str = ""
    """What is there instead, or where it was looked for: `found 12`."""
    purpose: str = ""
    """What it would be used for, as it reads after "for"."""
    hint: str = ""
    """What a person can do; empty where no advice is known."""
    is_option: bool = False
    """Whether nobody failed to record it: its source is an option that was not given."""

    @property
    def sentence(self) -> str:
        """All of it but the hint. Its subject is the rule, so the verb is always right."""
        place = f"{self.what} in {self.source}" if self.what else self.source
        purpose = f" for {self.purpose}" if self.purpose else ""
        detail = f" ({self.detail})" if self.detail else ""
        return f"needs {place}{purpose}{detail}"

    @property
    def short(self) -> str:
        """The source, and the part of it that is absent."""
        return f"{self.source} ({self.what})" if self.what else self.source

    @property
    def part(self) -> str:
        """What to say of it where the source is named already; may be empty."""
        if self.what and self.detail:
            return f"{self.what} ({self.detail})"
        return self.what or self.detail

    def shown(self) -> "Missing":
        """Make every text printable: a family, a path or a name may stem from an artefact."""
        return Missing(
            source=_shown(self.source),
            what=_shown(self.what),
            detail=_shown(self.detail),
            purpose=_shown(self.purpose),
            hint=_shown(self.hint),
            is_option=self.is_option,
        )


def _shown(text: str) -> str:
    return printable(text, limit=_MAX_TEXT_CHARACTERS)
