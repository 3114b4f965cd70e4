"""Examples of the safety rules."""

import json

from builders.hostile import EXECUTED, reduced
from builders.training_args import write_archive

from cases.case import Case


def attacked(run):
    write_archive(run / "training_args.bin", reduced("posix", "system", f"touch {EXECUTED}"))


def with_code(run):
    path = run / "processor_config.json"
    config = json.loads(path.read_text())
    config["auto_map"] = {"AutoProcessor": "processing_colintern.ColInternProcessor"}
    path.write_text(json.dumps(config))


def truncated(run):
    path = run / "trainer_state.json"
    path.write_bytes(path.read_bytes()[:1000])


def escaping(run):
    (run.parent / "secret.json").write_text("{}")
    (run / "vocab.json").symlink_to("../secret.json")


CASES = {
    "SEC001": Case(bad=attacked),
    "SEC002": Case(bad=with_code, outcome="warned"),
    "SEC003": Case(bad=truncated),
    "SEC004": Case(bad=escaping),
}
