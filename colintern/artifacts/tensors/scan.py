"""One pass over all weights on a few threads, in memory that does not grow with the file."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Final, TypeVar

from colintern.artifacts import limits
from colintern.artifacts.tensors.safetensors_file import TensorEntry
from colintern.artifacts.tensors.store import Bytes, TensorStore, new_buffer, read_pieces

R = TypeVar("R")

THREADS: Final = 2
"""Reading and reducing both release the interpreter's lock; more threads than memory channels of a
small CI machine gain nothing."""

_SPAN_BYTES: Final = 16 * limits.MEBIBYTE
"""Work of one task: large beside the cost of opening the file, small enough to share out evenly."""

_Span = tuple[TensorEntry, int, int]


def scan(
    store: TensorStore,
    measure: Callable[[TensorEntry, int, Bytes], R],
    merge: Callable[[R, R], R],
) -> dict[str, R]:
    """Measure every piece of every tensor and merge the results tensor by tensor.

    Args:
        store: the weights.
        measure: called with the tensor, the piece's first byte within it, and the piece, whose
            memory is reused after the call. Runs on several threads at once.
        merge: joins the results of two pieces; must not depend on their order.

    Returns:
        The result by tensor name; tensors without a byte are left out.

    Raises:
        ArtifactError: a file can no longer be read to its end.
    """
    merged: dict[str, R] = {}
    lock = threading.Lock()
    local = threading.local()

    def run(spans: list[_Span]) -> None:
        buffer = local.__dict__.setdefault("buffer", None)
        if buffer is None:
            buffer = local.buffer = new_buffer()
        with closing(spans[0][0].file.open()) as stream:
            for entry, start, stop in spans:
                for piece_start, piece in zip(
                    range(start, stop, buffer.size),
                    read_pieces(entry, stream, (start, stop), buffer),
                    strict=True,
                ):
                    result = measure(entry, piece_start, piece)
                    with lock:
                        known = merged.get(entry.name)
                        merged[entry.name] = result if known is None else merge(known, result)

    with ThreadPoolExecutor(THREADS) as pool:
        # Consuming the iterator re-raises the first error of a task.
        for _ in pool.map(run, _tasks(store)):
            pass
    return merged


def _tasks(store: TensorStore) -> Iterator[list[_Span]]:
    """Group the spans of each file into tasks of about `_SPAN_BYTES`."""
    for file in store.files:
        task: list[_Span] = []
        num_bytes = 0
        for entry in file.entries.values():
            for start in range(0, entry.num_bytes, _SPAN_BYTES):
                stop = min(start + _SPAN_BYTES, entry.num_bytes)
                task.append((entry, start, stop))
                num_bytes += stop - start
                if num_bytes >= _SPAN_BYTES:
                    yield task
                    task, num_bytes = [], 0
        if task:
            yield task
