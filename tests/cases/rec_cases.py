"""Runs whose files say different things of the same fact."""

import json

from builders.adapter import write_adapter
from builders.manifest import write_manifest
from builders.results import write_record
from builders.training_args import write_training_args
from builders.training_log import write_training_log

from cases.case import Case
from colintern.artifacts.files import Enclosure
from colintern.artifacts.run.layout import Folder
from colintern.artifacts.running.record import LiveFinding, LiveRecord, write_live_record
from colintern.artifacts.tensors.weights_hash import weights_sha256

BASE = "OpenGVLab/InternVL3_5-1B-HF"


def record_weights(run):
    write_manifest(run, weights_sha256=weights_sha256(Folder.read(run), Enclosure.around(run)))


def _train_on(tensors):
    for name in tensors:
        tensors[name] *= 1.01


def _replace_weights(run):
    record_weights(run)
    write_adapter(run, edit=_train_on)


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


def _ten_times_the_rows(run):
    rows = {"name": "vidore/colpali_train_set", "split": "train", "rows": 76_800}
    write_manifest(run, datasets=[rows])


def _ask_for_another_rate(run):
    for write in (write_manifest, _write_arguments):
        write(run, arguments={"learning_rate": 2e-5})


def _write_arguments(run, arguments):
    write_training_args(run, **arguments)


def _lose_a_layer(tensors):
    for name in [name for name in tensors if "layers.1." in name]:
        del tensors[name]


def find_while_training(run, rule="TEAM001", **changes):
    """Leave a finding of the live audit by a rule that the audit itself does not have."""
    finding = {
        "rule": rule,
        "name": "loss-too-smooth",
        "severity": "error",
        "step": 300,
        "last_step": 600,
        "holds": True,
        "observed": "a loss without noise",
        "expected": "some noise",
        "fix": "shuffle the data",
        **changes,
    }
    record = LiveRecord(
        status="ended", stop_on="never", step=600, max_steps=600, findings=(LiveFinding(**finding),)
    )
    write_live_record(run / "colintern_live.json", record)


def _find_for_a_while(run):
    find_while_training(run, last_step=400, holds=False)


CASES = {
    "REC001": Case(bad=_replace_weights, good=record_weights),
    "REC002": Case(bad=_evaluate_on_another_base, good=name_base),
    "REC003": Case(bad=stop_at_two_percent),
    "REC004": Case(bad=_ten_times_the_rows, outcome="warned"),
    "REC005": Case(bad=_ask_for_another_rate, outcome="warned"),
    "REC006": Case(bad=lambda run: write_adapter(run, edit=_lose_a_layer), outcome="warned"),
    "REC008": Case(
        bad=lambda run: write_adapter(run, config={"peft_version": "0.15.2"}),
        outcome="warned",
    ),
    "REC010": Case(bad=find_while_training, good=_find_for_a_while),
}
