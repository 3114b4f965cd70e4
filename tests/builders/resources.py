"""`colintern_resources.jsonl` of the healthy run: a GPU that is busy and not full."""

import json
from pathlib import Path

GIBIBYTE = 2**30
ROW = {
    "gpu_memory_used": 68 * GIBIBYTE,
    "gpu_memory_total": 80 * GIBIBYTE,
    "gpu_utilisation": 0.96,
    "cpu_memory_used": 40 * GIBIBYTE,
    "cpu_memory_total": 128 * GIBIBYTE,
    "step_seconds": 3.1,
}


def rows(count=60, **changes):
    return [
        {"step": 10 * number, "time": 1_777_881_600.0 + 31 * number, **ROW, **changes}
        for number in range(1, count + 1)
    ]


def write_resources(run: Path, *, count=60, **changes):
    lines = [json.dumps(row) + "\n" for row in rows(count, **changes)]
    (run / "colintern_resources.jsonl").write_text("".join(lines))
