"""README.md of a run: the few facts that Trainer, PEFT and sentence-transformers write into it.

The front matter is YAML, of which only flat keys and lists of strings are read. Every pattern here
is matched against one line of bounded length and cannot backtrack far.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Final

from colintern.artifacts import limits
from colintern.artifacts.files import Enclosure, read_bytes

_LINE_CHARACTERS: Final = 2_000
_FRONT_MATTER_KEYS: Final = frozenset(
    {"base_model", "library_name", "pipeline_tag", "tags", "datasets"}
)
_KEY: Final = re.compile(r"([A-Za-z_][A-Za-z0-9_-]{0,60}):(?: (.*))?")
_TRAINER_LINE: Final = re.compile(r"- ([a-z0-9_]{1,60}): (\S.*)")
_SENTENCE_TRANSFORMERS_LINE: Final = re.compile(r"- `([a-z0-9_]{1,60})`: (\S.*)")
_VERSION_LINE: Final = re.compile(r"- ([A-Za-z][A-Za-z ]{1,40}?):? (\d[\w.+-]{0,40})")
_LOSS_LINE: Final = re.compile(r"\* Loss: \[<code>([A-Za-z_][\w.]{0,80})</code>\]")
_LOSS_TAG: Final = re.compile(r"loss:([A-Za-z_]\w{0,80})")
_TRAINER_HEADING: Final = "the following hyperparameters were used during training"


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What the card says; all of it is untrusted text."""

    front_matter: Mapping[str, tuple[str, ...]] = field(
        default_factory=lambda: MappingProxyType({})
    )
    """The keys that are read (`base_model`, `library_name`, `tags`, ...), each with its values."""
    hyperparameters: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Trainer's "Training hyperparameters" under Trainer's card names, as written."""
    arguments: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """The hyperparameters of a sentence-transformers card, under TrainingArguments' names."""
    versions: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """"Framework versions": version by name in lower case, as `peft`."""
    losses: tuple[str, ...] = ()
    """Loss classes that sentence-transformers recorded, in order of appearance, each once."""

    @property
    def base_model(self) -> str | None:
        """The base that the card names, if it names one."""
        names = self.front_matter.get("base_model", ())
        return names[0] if names else None

    @property
    def library_name(self) -> str | None:
        """As `peft` or `sentence-transformers`."""
        names = self.front_matter.get("library_name", ())
        return names[0] if names else None

    @property
    def tags(self) -> tuple[str, ...]:
        """The card's tags."""
        return self.front_matter.get("tags", ())

    @property
    def datasets(self) -> tuple[str, ...]:
        """The datasets that the card names."""
        return self.front_matter.get("datasets", ())


def read_model_card(path: Path, enclosure: Enclosure | None) -> ModelCard:
    """Read README.md. A README without any of these facts gives an empty card.

    Raises:
        ArtifactError: it cannot be read, or is larger than `limits.MODEL_CARD_BYTES`.
    """
    content = read_bytes(path, enclosure, limit=limits.MODEL_CARD_BYTES)
    # A README may be of any encoding: what is no UTF-8 cannot be a fact that we look for.
    text = content.decode("utf-8-sig", errors="replace")
    lines = text.split("\n", limits.MODEL_CARD_LINES)[: limits.MODEL_CARD_LINES]
    front, body = _split_front_matter([line[:_LINE_CHARACTERS].rstrip() for line in lines])
    front_matter = _front_matter(front)
    return ModelCard(
        front_matter=MappingProxyType(front_matter),
        hyperparameters=MappingProxyType(_trainer_lines(body)),
        arguments=MappingProxyType(_sentence_transformers_lines(body)),
        versions=MappingProxyType(_versions(body)),
        losses=tuple(dict.fromkeys(_losses(body, front_matter.get("tags", ())))),
    )


def _losses(body: list[str], tags: tuple[str, ...]) -> Iterator[str]:
    for line in body:
        if match := _LOSS_LINE.match(line.lstrip()):
            yield match[1].rpartition(".")[2]
    for tag in tags:
        if match := _LOSS_TAG.fullmatch(tag):
            yield match[1]


def _split_front_matter(lines: list[str]) -> tuple[list[str], list[str]]:
    if not lines or lines[0] != "---" or "---" not in lines[1:]:
        return [], lines
    end = lines.index("---", 1)
    return lines[1:end], lines[end + 1 :]


def _front_matter(lines: list[str]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    current: str | None = None
    for line in lines:
        if match := _KEY.fullmatch(line):
            current = match[1] if match[1] in _FRONT_MATTER_KEYS and match[1] not in found else None
            if current is not None:
                found[current] = tuple(_scalars(match[2] or ""))
        elif current is not None and line.lstrip().startswith("- "):
            item = _unquoted(line.lstrip()[2:])
            if item and len(found[current]) < limits.MODEL_CARD_VALUES:
                found[current] += (item,)
    return {key: values for key, values in found.items() if values}


def _scalars(text: str) -> Iterator[str]:
    """The values after `key:`; a flow list `[a, b]` gives several."""
    stripped = text.strip()
    is_list = stripped.startswith("[") and stripped.endswith("]")
    parts = stripped[1:-1].split(",") if is_list else [stripped]
    for part in islice(parts, limits.MODEL_CARD_VALUES):
        if value := _unquoted(part):
            yield value


def _unquoted(text: str) -> str:
    value = text.strip()
    if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
        return value[1:-1]
    # A comment after a plain scalar; block scalars and nulls are no values that we read.
    value = value.partition(" #")[0].rstrip()
    return "" if value in {"", "null", "~", "|", ">", ">-", "|-"} else value


def _trainer_lines(body: list[str]) -> dict[str, str]:
    start = next((i for i, line in enumerate(body) if _TRAINER_HEADING in line.lower()), None)
    found: dict[str, str] = {}
    for line in body[start + 1 :] if start is not None else ():
        if match := _TRAINER_LINE.fullmatch(line):
            found.setdefault(match[1], match[2])
        elif line:
            break
    return found


def _sentence_transformers_lines(body: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in body:
        match = _SENTENCE_TRANSFORMERS_LINE.fullmatch(line)
        if match and len(found) < limits.MODEL_CARD_VALUES:
            found.setdefault(match[1], match[2])
    return found


def _versions(body: list[str]) -> dict[str, str]:
    start = next((i for i, line in enumerate(body) if _is_versions_heading(line)), None)
    found: dict[str, str] = {}
    for line in body[start + 1 :] if start is not None else ():
        if line.startswith("#"):
            break
        match = _VERSION_LINE.fullmatch(line)
        if match and len(found) < limits.MODEL_CARD_VALUES:
            found.setdefault(match[1].lower(), match[2])
    return found


def _is_versions_heading(line: str) -> bool:
    return line.startswith("#") and line.lower().lstrip("# ") == "framework versions"
