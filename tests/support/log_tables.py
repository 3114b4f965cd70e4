"""Columns of a training log, from its losses alone."""

import numpy as np

from colintern.artifacts.logs.log_table import LogTable


def table(losses, *, step=None, epoch=None, grad_norm=None):
    """A row every ten steps unless `step` says otherwise; what is not given is unknown."""
    losses = np.asarray(losses, dtype=np.float64)
    unknown = np.full(len(losses), np.nan)
    steps = np.arange(1, len(losses) + 1) * 10 if step is None else np.asarray(step)
    return LogTable(
        row=np.arange(len(losses)),
        step=steps.astype(np.int64),
        epoch=unknown if epoch is None else np.asarray(epoch, dtype=np.float64),
        loss=losses,
        learning_rate=unknown,
        grad_norm=unknown if grad_norm is None else np.asarray(grad_norm, dtype=np.float64),
        has_grad_norm=np.full(len(losses), grad_norm is not None),
    )
