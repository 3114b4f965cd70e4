"""Where the run's records tell of two different runs: its manifest, its arguments and its log."""

import math
from collections.abc import Iterator

from colintern.artifacts.run_layout import RUN_MANIFEST, TRAINER_STATE, TRAINING_ARGS
from colintern.diagnostics.batch_size import batch_size
from colintern.diagnostics.run_config import Recorded, RunConfig

_ARGUMENTS = frozenset({RUN_MANIFEST, TRAINING_ARGS})
"""Written by the run itself; a model card is edited by hand."""


def log_contradictions(config: RunConfig) -> tuple[str, ...]:
    """Name every argument that the log contradicts and every total that the arguments contradict.

    Each comes with both figures.
    """
    return (*_contradictions(config), *map(str, batch_size(config).overstated))


def _contradictions(config: RunConfig) -> Iterator[str]:
    epochs, logged = config.num_train_epochs, config.logged_epochs
    # With `max_steps` the Trainer ignores the epochs asked for and logs what the steps amount to.
    if config.max_steps is None and epochs and epochs.value > 0:
        # The Trainer logs epochs rounded up.
        agree = logged is not None and math.ceil(epochs.value) == logged.value
        yield from _pair(epochs, logged, agree=agree)
    steps, total = config.max_steps, config.total_steps
    agree = steps is not None and total is not None and steps.value == total.value
    yield from _pair(steps, total, agree=agree)
    asked, batch = config.per_device_train_batch_size, config.train_batch_size
    halved = config.auto_find_batch_size is not None and config.auto_find_batch_size.value
    # Under DataParallel the log has the batch of all GPUs of a process.
    is_multiple = asked is not None and batch is not None and batch.value % asked.value == 0
    yield from _pair(asked, batch, agree=halved or is_multiple)


def _pair(
    asked: Recorded[int] | Recorded[float] | None,
    logged: Recorded[int] | None,
    *,
    agree: bool,
) -> Iterator[str]:
    if asked is None or logged is None or agree:
        return
    if asked.source in _ARGUMENTS and logged.source == TRAINER_STATE:
        yield f"{asked.key} {asked.value:g} in {asked.source}, {logged.value:g} in {logged.source}"
