"""How long the pass over a model's weights takes beside just reading them, and in what memory.

    python tests/benchmarks/bench_weight_scan.py [--gigabytes 2] [--rounds 5]

Both passes read the same file in the same pieces on the same threads, in turn, from the page cache.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from colintern.artifacts.tensors.scan import scan
from colintern.artifacts.tensors.store import read_tensor_store
from colintern.diagnostics.weights.statistics import measure_weights

_PEAK = """
import sys
from pathlib import Path
from colintern.artifacts.tensors.store import read_tensor_store
from colintern.diagnostics.weights.statistics import measure_weights
measure_weights(read_tensor_store(Path(sys.argv[1]), None))
# Not ru_maxrss, which Linux hands down from the parent.
status = Path("/proc/self/status").read_text().splitlines()
print(next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024)
"""


def write_model(path, *, num_bytes):
    """A bf16 file: two large embeddings, then layers of four megabytes, values of ordinary size."""
    sizes = [num_bytes // 8, num_bytes // 8]
    while (rest := num_bytes - sum(sizes)) > 0:
        sizes.append(min(rest, 4 << 20))
    header, position = {}, 0
    for number, size in enumerate(sizes):
        offsets = [position, position + size]
        header[f"w{number}"] = {"dtype": "BF16", "shape": [size // 2], "data_offsets": offsets}
        position += size
    text = json.dumps(header).encode()
    # Random mantissas and signs, exponents of 2^-4 and below.
    block = bytes(b if i % 2 == 0 else (b & 0x80) | 0x3C for i, b in enumerate(os.urandom(1 << 20)))
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for size in sizes:
            file.writelines(
                block[: min(len(block), size - at)] for at in range(0, size, len(block))
            )


def seconds(action):
    """Wall and processor seconds; the second figure does not depend on what else is running."""
    start, start_cpu = time.perf_counter(), time.process_time()
    action()
    return time.perf_counter() - start, time.process_time() - start_cpu


def ratios(reading, scanning, index):
    """The pass over the weights against the reading next to it; the first round only warms up."""
    pairs = zip(reading[1:], scanning[1:], strict=True)
    return [scanned[index] / read[index] for read, scanned in pairs]


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--gigabytes", type=float, default=2.0)
    arguments.add_argument("--rounds", type=int, default=5)
    chosen = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        write_model(path, num_bytes=int(chosen.gigabytes * 1e9) // 16 * 16)
        store = read_tensor_store(path, None)
        reading, scanning = [], []
        for _ in range(chosen.rounds + 1):
            reading.append(seconds(lambda: scan(store, lambda *_: 0, max)))
            scanning.append(seconds(lambda: measure_weights(store)))
        peak = subprocess.run(
            [sys.executable, "-c", _PEAK, str(path)], check=True, capture_output=True, text=True
        ).stdout
    read_seconds, scan_seconds = (
        statistics.median(wall for wall, _ in passes[1:]) for passes in (reading, scanning)
    )
    sys.stdout.write(
        f"read {read_seconds:.3f} s, scan {scan_seconds:.3f} s, "
        f"{chosen.gigabytes / scan_seconds:.1f} GB/s, peak {float(peak):.0f} MB\n"
    )
    for index, name in enumerate(("wall", "processor")):
        each = ratios(reading, scanning, index)
        shown = ", ".join(f"{ratio:.2f}" for ratio in each)
        sys.stdout.write(f"{name} time ratio: median {statistics.median(each):.2f} of {shown}\n")


if __name__ == "__main__":
    main()
