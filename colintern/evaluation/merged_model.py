"""`colintern merge`: a folder that holds the whole model, verified before it appears."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import torch

from colintern.artifacts.printable import printable
from colintern.artifacts.run.layout import MODEL_CARD
from colintern.diagnostics.merge.verification import MergeVerification
from colintern.engine.providers import shipped_providers
from colintern.engine.resolver import Resolver
from colintern.engine.subjects import AuditOptions, Subject
from colintern.evaluation.checkpoint import Checkpoint, CheckpointError, find_checkpoint
from colintern.evaluation.retriever import Retriever, load_retriever

_TYPES: Final = {"BF16": torch.bfloat16, "F16": torch.float16, "F32": torch.float32}
"""Types of safetensors that a base is merged in."""

_CARD: Final = """\
---
base_model: {base}
library_name: transformers
tags:
- colpali
- vidore
- merged
---

# {family}, merged

An adapter folded into its base, by `colintern merge`; the whole model is here.

| | |
|---|---|
| adapter | `{adapter}`, sha256 `{sha256}` |
| base | `{base}` |
| type | {dtype} |
| verified | {verified} adapted matrices are base + s·B·A within rounding |

## Use

```python
from {model_module} import {model_class}
from {processor_module} import {processor_class}

model = {model_class}.from_pretrained(FOLDER).eval()
processor = {processor_class}.from_pretrained(FOLDER)
```
"""


class MergedFolderError(ValueError):
    """The merged folder cannot be written, or is wrong."""


def write_merged(
    argument: str, folder: Path, *, base: str | None = None, family: str | None = None
) -> int:
    """Merge an adapter in the type of its base, verify the files, and only then name them `folder`.

    Args:
        argument: the adapter, as the audit takes it.
        folder: must not exist yet.
        base: folder of the base, where the adapter's own name for it does not lead to it.
        family: where it cannot be told.

    Returns:
        The number of adapted matrices that were verified.

    Raises:
        CheckpointError: the adapter cannot be loaded.
        MergedFolderError: `folder` exists, there is nothing to merge, or the result is wrong.
    """
    if folder.exists():
        raise MergedFolderError(f"{printable(folder)}: must not exist yet; name a new folder")
    checkpoint = find_checkpoint(argument, base=base, family=family)
    if not checkpoint.is_adapter or checkpoint.base is None:
        raise MergedFolderError(f"{printable(argument)}: is a whole model; nothing to merge")
    if not Path(checkpoint.base).is_dir():
        raise MergedFolderError(
            f"the base {printable(checkpoint.base)} is not on this machine, so the merge could not "
            f"be verified: `hf download {printable(checkpoint.base)}`, or --base DIR"
        )
    evidence = _evidence(checkpoint, Path(checkpoint.base), None)
    kind = _base_type(evidence)
    with _appearing(folder) as partial:
        retriever = load_retriever(checkpoint, device="cpu", dtype=kind)
        retriever.model.save_pretrained(partial)
        retriever.processor.save_pretrained(partial)
        verified = _verified(checkpoint, partial)
        (partial / MODEL_CARD).write_text(_card(retriever, verified))
    return verified


@contextmanager
def _appearing(folder: Path) -> Iterator[Path]:
    """Give a folder beside `folder` that takes its name when all is written, and else is removed.

    It is made at once: a place that cannot be written to is told before a model is loaded.
    """
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        yield partial
        partial.rename(folder)
    except OSError as error:
        reason = printable(error.strerror or str(error), limit=200)
        raise MergedFolderError(f"{printable(folder)}: cannot be written ({reason})") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _verified(checkpoint: Checkpoint, merged: Path) -> int:
    """Compare the written files with base and adapter, as the audit does: without torch."""
    found: MergeVerification = _evidence(checkpoint, Path(str(checkpoint.base)), merged).get(
        "merge"
    )
    if found.faults or not found.modules:
        causes = "; ".join(f"{cause}: {names[0]}" for cause, names in found.faults.items())
        raise MergedFolderError(
            f"the merged files are not base + s·B·A ({printable(causes or 'nothing to compare')})"
        )
    return len(found.modules)


def _evidence(checkpoint: Checkpoint, base: Path, merged: Path | None) -> Resolver:
    options = AuditOptions(
        base=base.absolute(),
        merged=merged.absolute() if merged else None,
        invocation_dir=Path.cwd(),
    )
    subject = Subject(checkpoint.layout.path, checkpoint.name)
    return Resolver(shipped_providers(), {"subject": subject, "options": options})


def _base_type(evidence: Resolver) -> torch.dtype:
    """Return the type that most values of the base have."""
    values: dict[str, int] = {}
    for entry in evidence.get("base_tensors").entries.values():
        values[entry.dtype] = values.get(entry.dtype, 0) + entry.num_values
    most = max(values, key=lambda name: values[name], default="F32")
    if most not in _TYPES:
        raise CheckpointError(f"the base is stored as {most}, into which nothing can be merged")
    return _TYPES[most]


def _card(retriever: Retriever, verified: int) -> str:
    checkpoint = retriever.checkpoint
    model, processor = type(retriever.model), type(retriever.processor)
    return _CARD.format(
        base=printable(checkpoint.base_name or ""),
        family=checkpoint.family.name,
        adapter=printable(checkpoint.layout.path.name),
        sha256=checkpoint.weights_sha256,
        dtype=str(retriever.dtype).removeprefix("torch."),
        verified=verified,
        model_module=_public_module(model),
        model_class=model.__name__,
        processor_module=_public_module(processor),
        processor_class=processor.__name__,
    )


def _public_module(kind: type[Any]) -> str:
    engine = kind.__module__.startswith("colpali_engine.")
    return "colpali_engine.models" if engine else kind.__module__
