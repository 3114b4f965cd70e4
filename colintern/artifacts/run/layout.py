"""What a path holds (a run, a checkpoint, an adapter, a merged model) and where its files are."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Final, Literal

from msgspec import Struct

from colintern.artifacts import limits
from colintern.artifacts.errors import ArtifactError
from colintern.artifacts.files import Enclosure, reason_of

Kind = Literal["run", "checkpoint", "adapter", "merged"]

ADAPTER_CONFIG: Final = "adapter_config.json"
ADAPTER_WEIGHTS: Final = "adapter_model.safetensors"
ADAPTER_PICKLE: Final = "adapter_model.bin"
MODEL_CONFIG: Final = "config.json"
MODEL_WEIGHTS: Final = "model.safetensors"
MODEL_INDEX: Final = "model.safetensors.index.json"
MODEL_PICKLE: Final = "pytorch_model.bin"
TRAINER_STATE: Final = "trainer_state.json"
TRAINING_ARGS: Final = "training_args.bin"
RUN_MANIFEST: Final = "colintern_run.json"
RESOURCE_LOG: Final = "colintern_resources.jsonl"
LIVE_RECORD: Final = "colintern_live.json"
LIVE_LOG: Final = "colintern_log.jsonl"
MODEL_CARD: Final = "README.md"
PREPROCESSOR_CONFIG: Final = "preprocessor_config.json"
PROCESSOR_CONFIG: Final = "processor_config.json"
TOKENIZER_CONFIG: Final = "tokenizer_config.json"
TOKENIZER: Final = "tokenizer.json"

STAGING: Final = ".saving"
"""Folder of a run where a save in progress lies: what is found in it was cut off, and nothing ever
loads it."""

KNOWN_NAMES: Final = frozenset(
    {
        ADAPTER_CONFIG,
        ADAPTER_WEIGHTS,
        ADAPTER_PICKLE,
        MODEL_CONFIG,
        MODEL_WEIGHTS,
        MODEL_INDEX,
        MODEL_PICKLE,
        TRAINER_STATE,
        TRAINING_ARGS,
        RUN_MANIFEST,
        RESOURCE_LOG,
        LIVE_RECORD,
        LIVE_LOG,
        MODEL_CARD,
        PREPROCESSOR_CONFIG,
        PROCESSOR_CONFIG,
        TOKENIZER_CONFIG,
        TOKENIZER,
        "special_tokens_map.json",
        "added_tokens.json",
        "chat_template.json",
        "chat_template.jinja",
        "vocab.json",
        "vocab.txt",
        "merges.txt",
        "tokenizer.model",
        "spiece.model",
        "generation_config.json",
        "model_meta.json",
        "git_hash.txt",
        "colintern_progress.json",
    }
)
"""Files that training, PEFT, transformers and mteb write, and that a reader may open."""
CHECKPOINT_FOLDER: Final = re.compile(r"checkpoint-(\d{1,12})")
_MOST_LOOKED_INTO: Final = 1_000
"""Names of a folder that are looked into for an adapter."""
_RUN_TRACES: Final = (TRAINER_STATE, TRAINING_ARGS, RUN_MANIFEST)
_MODEL_WEIGHTS: Final = (MODEL_WEIGHTS, MODEL_INDEX, MODEL_PICKLE)
_WEIGHTS: Final = (ADAPTER_WEIGHTS, ADAPTER_PICKLE, *_MODEL_WEIGHTS)


class Folder(Struct, frozen=True):
    """One folder and the names in it, listed once."""

    path: Path
    names: frozenset[str]

    @classmethod
    def read(cls, path: Path) -> "Folder":
        """List `path`.

        Raises:
            ArtifactError: it cannot be listed, or holds more than `limits.FOLDER_ENTRIES` names.
        """
        try:
            with os.scandir(path) as entries:
                listed = islice(entries, limits.FOLDER_ENTRIES + 1)
                names = frozenset(entry.name for entry in listed)
        except (OSError, ValueError) as error:
            raise ArtifactError(
                path, expected="a readable folder", found=reason_of(error)
            ) from error
        if len(names) > limits.FOLDER_ENTRIES:
            raise ArtifactError(
                path,
                expected=f"at most {limits.FOLDER_ENTRIES:,} files",
                found="more",
                remedy="Point --checkpoint at the run's own folder.",
            )
        return cls(path, names)

    def get(self, name: str) -> Path | None:
        """Return the path of `name`, or None when the folder has no such entry."""
        return self.path / name if name in self.names else None

    def has_any(self, names: tuple[str, ...]) -> bool:
        """Whether one of `names` is here."""
        return any(name in self.names for name in names)


class CheckpointFolder(Struct, frozen=True):
    """A `checkpoint-N` folder of a run."""

    step: int
    """N: the optimiser step at which it was saved."""
    folder: Folder


@dataclass(frozen=True)
class RunLayout:
    """A subject of the audit on disk. Paths are found by name only; nothing was opened."""

    path: Path
    """Absolute, as the user meant it (links kept)."""
    kind: Kind
    """`run`: traces of a training run, or `checkpoint-*` folders. `checkpoint`: one `checkpoint-N`.
    `adapter`: an adapter without traces of its run. `merged`: model weights without an adapter."""
    folder: Folder
    checkpoints: tuple[CheckpointFolder, ...]
    """Of a run, by ascending step."""
    enclosure: Enclosure = field(repr=False)
    faults: tuple[ArtifactError, ...] = ()
    """Checkpoint folders that could not be listed."""

    @cached_property
    def weights_folder(self) -> Folder:
        """The folder of the judged weights: the root, else the newest checkpoint with weights."""
        return next(
            (folder for folder in self.folders() if folder.has_any((ADAPTER_CONFIG, *_WEIGHTS))),
            self.folder,
        )

    @property
    def weights_of(self) -> str | None:
        """The checkpoint that the judged weights lie in, where the root holds none."""
        return None if self.weights_folder is self.folder else self.weights_folder.path.name

    @cached_property
    def adapters_below(self) -> tuple[str, ...]:
        """Folders right below the path that hold an adapter, by name."""
        names = sorted(self.folder.names)[:_MOST_LOOKED_INTO]
        return tuple(name for name in names if os.path.lexists(self.path / name / ADAPTER_CONFIG))

    @property
    def is_checkpoint(self) -> bool:
        """One snapshot from the middle of a run, not the run itself."""
        return self.kind == "checkpoint"

    def folders(self) -> Iterator[Folder]:
        """Yield the root, then the checkpoints from the newest to the oldest."""
        yield self.folder
        yield from (checkpoint.folder for checkpoint in reversed(self.checkpoints))

    def find(self, name: str) -> Path | None:
        """Find a file of the run: in the root, else in the newest checkpoint that has it."""
        return next((path for folder in self.folders() if (path := folder.get(name))), None)

    def beside_weights(self, name: str) -> Path | None:
        """Find a file that belongs to the judged weights: in their folder, else in the root."""
        return self.weights_folder.get(name) or self.folder.get(name)

    def is_cut_off(self, path: Path) -> bool:
        """Whether `path` is what a save that was cut off has left."""
        return path.is_relative_to(self.path / STAGING)


def read_run_layout(path: Path) -> RunLayout:
    """Tell what `path` is and list it.

    Raises:
        ArtifactError: it is no folder, cannot be listed, or has too many entries.
    """
    absolute = Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow links
    enclosure = Enclosure.around(absolute)
    folder = Folder.read(absolute)
    checkpoints, faults = _checkpoints(folder, enclosure)
    kind = _kind(folder, checkpoints)
    return RunLayout(absolute, kind, folder, checkpoints, enclosure, faults)


def _checkpoints(
    folder: Folder, enclosure: Enclosure
) -> tuple[tuple[CheckpointFolder, ...], tuple[ArtifactError, ...]]:
    """List the checkpoints by step; a link that leads outside is left to the walk for links."""
    steps = sorted(
        (int(match.group(1)), name)
        for name in folder.names
        if (match := CHECKPOINT_FOLDER.fullmatch(name)) and os.path.isdir(folder.path / name)  # noqa: PTH112 - Path.is_dir raises without permission
    )
    found: list[CheckpointFolder] = []
    faults: list[ArtifactError] = []
    num_entries = 0
    for step, name in steps:
        if not enclosure.holds(folder.path / name):
            continue
        try:
            checkpoint = Folder.read(folder.path / name)
        except ArtifactError as error:
            faults.append(error.with_traceback(None))
            continue
        num_entries += len(checkpoint.names)
        if num_entries > limits.RUN_ENTRIES:
            faults.append(_too_many_entries(folder.path))
            break
        found.append(CheckpointFolder(step, checkpoint))
    return tuple(found), tuple(faults)


def _too_many_entries(path: Path) -> ArtifactError:
    return ArtifactError(
        path,
        expected=f"at most {limits.RUN_ENTRIES:,} files in all checkpoints",
        found="more",
        remedy="Point --checkpoint at one checkpoint.",
    )


def _kind(folder: Folder, checkpoints: tuple[CheckpointFolder, ...]) -> Kind:
    if CHECKPOINT_FOLDER.fullmatch(folder.path.name):
        return "checkpoint"
    if checkpoints or folder.has_any(_RUN_TRACES):
        return "run"
    if ADAPTER_CONFIG in folder.names or folder.has_any((ADAPTER_WEIGHTS, ADAPTER_PICKLE)):
        return "adapter"
    return "merged" if folder.has_any((*_MODEL_WEIGHTS, MODEL_CONFIG)) else "run"
