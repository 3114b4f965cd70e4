"""Files of a subject that no reader opens: an audit names them, so that none passes in silence."""

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path, PurePath
from typing import Final

from msgspec import Struct

from colintern.artifacts.folder.remote_code import CONFIG_NAMES
from colintern.artifacts.pickle.file import PICKLE_SUFFIXES
from colintern.artifacts.run.layout import CHECKPOINT_FOLDER, KNOWN_NAMES

MOST_NAMED: Final = 50
"""Names of one subject; the rest is counted."""

_SHARD: Final = re.compile(r"model-\d{5,6}-of-\d{5,6}\.safetensors")
_RESULTS: Final = "results"


class UnreadFiles(Struct, frozen=True):
    """What lies below a subject and is not judged."""

    names: tuple[str, ...]
    """Relative paths in their order; a folder of nothing else is one name, as `runs/ (12 files)`.
    At most `MOST_NAMED`."""
    num_files: int
    """All of them."""


def unread_files(root: Path, files: Iterable[Path], *, is_complete: bool) -> UnreadFiles:
    """Tell those of `files` that are judged by nothing: no name that training writes, no pickle.

    Args:
        root: the subject.
        files: what was found below it.
        is_complete: whether that is all there is.
    """
    relative = [path.relative_to(root) for path in files]
    unread = [path for path in relative if not _is_read(path)]
    folders = {path.parts[0] for path in relative if _is_read(path) and len(path.parts) > 1}
    inside = Counter(path.parts[0] for path in unread if _is_below(path, folders))
    names = [path.as_posix() for path in unread if not _is_below(path, folders)]
    names += [f"{name}/ ({count} file{'s' * (count > 1)})" for name, count in inside.items()]
    more = [] if is_complete else ["what lies deeper, or beyond the files that an audit lists"]
    return UnreadFiles((*sorted(names)[:MOST_NAMED], *more), len(unread))


def _is_below(path: PurePath, read: set[str]) -> bool:
    """Whether the path lies in a folder of which nothing is read."""
    return len(path.parts) > 1 and path.parts[0] not in read


def _is_read(path: PurePath) -> bool:
    """By name, as the readers choose: pickles anywhere; JSON of results; else only certain places.

    An adapter in a folder of its own is another adapter, which nobody asked about.
    """
    place, name = path.parts[:-1], path.name
    if path.suffix.lower() in PICKLE_SUFFIXES or name in CONFIG_NAMES:
        return True
    if place and place[0] == _RESULTS:
        return path.suffix == ".json"
    is_here = not place or (len(place) == 1 and CHECKPOINT_FOLDER.fullmatch(place[0]) is not None)
    return is_here and (name in KNOWN_NAMES or _SHARD.fullmatch(name) is not None)
