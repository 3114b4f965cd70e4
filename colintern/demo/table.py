"""The demonstration runs side by side; every figure is read from a run's files. Free of torch."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from colintern.artifacts.files import Enclosure
from colintern.artifacts.logs.trainer_state import read_trainer_state
from colintern.artifacts.results.task_result import read_task_results
from colintern.artifacts.run.layout import RUN_MANIFEST, TRAINER_STATE
from colintern.artifacts.run.manifest import read_run_manifest
from colintern.diagnostics.log.loss_trajectory import chance_level, loss_trajectory
from colintern.pages.world import TASK

RESULT: Final = f"{TASK}.json"
_NOTHING: Final = "-"


def run_figures(run: Path) -> dict[str, Any]:
    """Return what the files of a finished and evaluated `run` say.

    Raises:
        ArtifactError: a file of it is absent or broken.
    """
    enclosure = Enclosure.around(run)
    manifest = read_run_manifest(run / RUN_MANIFEST, enclosure)
    state = read_trainer_state(run / TRAINER_STATE, enclosure)
    (result,) = read_task_results(run / "results" / RESULT, enclosure)
    loss = loss_trajectory(state.training)
    lora, candidates = manifest.lora, manifest.candidates
    return {
        "recipe": manifest.recipe,
        "modules with LoRA": len(lora.matched or ()) if lora else None,
        "trained parameters": lora.trainable_parameters if lora else None,
        "epochs": (manifest.arguments or {}).get("num_train_epochs"),
        "optimiser steps": state.global_step,
        "pages a query": candidates,
        "loss at chance": round(chance_level(candidates), 2) if candidates else None,
        "final loss": round(loss.final, 2) if loss else None,
        "training seconds": round(state.summary.get("train_runtime", 0.0)),
        "NDCG@5": result.subsets[0].metrics["ndcg_at_5"],
    }


def audit_figures(document: Mapping[str, Any], subject: str) -> dict[str, Any]:
    """Return what an audit (`colintern.audit/2`) says of one subject."""
    verdict = next(each["verdict"] for each in document["subjects"] if each["name"] == subject)
    roots = [each["rule"] for each in document["root_causes"] if each["subject"] == subject]
    explained = {
        rule
        for each in document["root_causes"]
        if each["subject"] == subject
        for rule in each["explains"]
    }
    return {
        "audit": verdict,
        "root causes": " ".join(roots) or None,
        "symptoms": " ".join(sorted(explained)) or None,
    }


def demo_figures(folder: Path, names: Sequence[str], audit: Path) -> dict[str, dict[str, Any]]:
    """Return the figures of the runs `names` in `folder`, and of the audit of them all."""
    document = json.loads(audit.read_text(encoding="utf-8"))
    return {name: run_figures(folder / name) | audit_figures(document, name) for name in names}


def table_text(figures: Mapping[str, Mapping[str, Any]]) -> str:
    """Lay figures out with a column a run.

    >>> print(table_text({"good": {"epochs": 8}, "bad": {"epochs": 1}}))
            good  bad
    epochs  8     1
    """
    rows = [["", *figures]]
    labels = dict.fromkeys(label for values in figures.values() for label in values)
    rows += [[label, *(_shown(each.get(label)) for each in figures.values())] for label in labels]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def _shown(value: Any) -> str:
    if value is None:
        return _NOTHING
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
