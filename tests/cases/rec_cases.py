"""Runs whose files say different things of the same fact."""

import json

from builders.adapter import write_adapter
from builders.manifest import write_manifest
from builders.results import write_record
from builders.training_log import write_training_log

from cases.case import Case
from colintern.artifacts.files import Enclosure
from colintern.artifacts.run.layout import Folder
from colintern.artifacts.tensors.weights_hash import weights_sha256

BASE = "OpenGVLab/InternVL3_5-1B-HF"


def record_weights(run):
    write_manifest(run, weights_sha256=weights_sha256(Folder.read(run), Enclosure.around(run)))


def _replace_weights(run):
    record_weights(run)
    write_adapter(run, seed=1)


def name_base(run, *, trained=BASE, adapter=BASE, **evaluated):
    """Name the base in manifest, adapter and, with any keyword, the evaluation record."""
    write_manifest(run, base={"id": trained})
    path = run / "adapter_config.json"
    config = json.loads(path.read_text()) | {"base_model_name_or_path": adapter}
    path.write_text(json.dumps(config))
    if evaluated:
        write_record(run, base=evaluated)


def _evaluate_on_another_base(run):
    name_base(run)
    write_manifest(run, base={"id": BASE, "layers_sha256": "a" * 64})
    write_record(run, base={"id": "/models/other", "by_option": True, "layers_sha256": "b" * 64})


def stop_at_two_percent(run):
    """Eleven steps of 600, closed by the Trainer and called completed."""
    write_training_log(
        run,
        steps=11,
        max_steps=600,
        edit_rows=lambda rows: rows.append({"step": 11, "train_loss": 2.3, "train_runtime": 27.5}),
    )


CASES = {
    "REC001": Case(bad=_replace_weights, good=record_weights),
    "REC002": Case(bad=_evaluate_on_another_base, good=name_base),
    "REC003": Case(bad=stop_at_two_percent),
}
