"""Where configuration files name code that the loading libraries would import and run."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from colintern.artifacts import limits
from colintern.artifacts.errors import ArtifactError
from colintern.artifacts.files import Enclosure, read_bytes
from colintern.artifacts.json.document import parse_json

CONFIG_NAMES: Final = frozenset(
    {
        "config.json",
        "generation_config.json",
        "modules.json",
        "preprocessor_config.json",
        "processor_config.json",
        "tokenizer_config.json",
        "video_preprocessor_config.json",
    }
)
"""Where transformers looks for `auto_map`, and sentence-transformers for its modules."""

_MODULES: Final = "modules.json"
_MOST_FILES: Final = 200
_ALWAYS_PARSED_BYTES: Final = 64 * limits.KIBIBYTE
_OWN_MODULES: Final = ("sentence_transformers.", "pylate.")


class CodeReference(Struct, frozen=True):
    """One place that names code outside the installed libraries."""

    path: Path
    key: str
    """`auto_map.AutoModel`, `custom_pipelines.NAME` or `type`."""
    target: str
    """As `modeling_x.Model` beside the file, or `ORG/NAME--modeling_x.Model` elsewhere."""


class RemoteCode(Struct, frozen=True):
    """What loading with `trust_remote_code=True` would run."""

    references: tuple[CodeReference, ...]
    num_files: int
    """Configuration files read."""
    faults: tuple[ArtifactError, ...]
    """Configuration files that cannot be read."""
    is_complete: bool
    """False when there are more configuration files than are read."""


def read_remote_code(paths: Iterable[Path], enclosure: Enclosure | None) -> RemoteCode:
    """Read the configuration files among `paths`."""
    references: list[CodeReference] = []
    faults: list[ArtifactError] = []
    configs = [path for path in paths if path.name in CONFIG_NAMES]
    for path in configs[:_MOST_FILES]:
        try:
            references += _references(path, enclosure)
        except ArtifactError as error:
            faults.append(error.with_traceback(None))
    num_read = min(len(configs), _MOST_FILES)
    return RemoteCode(tuple(references), num_read, tuple(faults), num_read == len(configs))


def _references(path: Path, enclosure: Enclosure | None) -> Iterator[CodeReference]:
    content = read_bytes(path, enclosure, limit=limits.CONFIG_JSON_BYTES)
    is_long = len(content) > _ALWAYS_PARSED_BYTES and path.name != _MODULES
    # A key may be written with escapes, hence the backslash.
    hints = (b"auto_map", b"custom_pipelines", b"\\u")
    if is_long and not any(hint in content for hint in hints):
        return
    document = parse_json(path, content)
    if path.name == _MODULES:
        yield from _modules(path, document)
    elif isinstance(document, dict):
        for key in ("auto_map", "custom_pipelines"):
            yield from _named(path, key, document.get(key))


def _named(path: Path, key: str, table: Any) -> Iterator[CodeReference]:
    # transformers still reads the list of early tokenizers: the slow class and the fast one.
    entries = table if isinstance(table, dict) else {"AutoTokenizer": table}
    for name, target in entries.items():
        chosen = target.get("impl") if isinstance(target, dict) else target
        for text in chosen if isinstance(chosen, list) else [chosen]:
            if isinstance(text, str):
                yield CodeReference(path, f"{key}.{name}", text)


def _modules(path: Path, document: Any) -> Iterator[CodeReference]:
    for module in document if isinstance(document, list) else ():
        kind = module.get("type") if isinstance(module, dict) else None
        if isinstance(kind, str) and not kind.startswith(_OWN_MODULES):
            yield CodeReference(path, "type", kind)
