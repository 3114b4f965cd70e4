"""A run that is asked to end saves a checkpoint first: by SIGTERM, or by Ctrl-C."""

import signal
from typing import Any, Final

import torch
import torch.distributed as dist
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from colintern.training.gathering import is_distributed

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


class SaveOnTermination(TrainerCallback):
    """Stops at the end of the step in which a signal came, and saves. A second signal kills."""

    def __init__(self) -> None:
        """Begin with no signal."""
        self.received: int | None = None
        """The signal that ended the run."""
        self._before: dict[int, Any] = {}

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        """Listen."""
        for number in _SIGNALS:
            self._before[number] = signal.signal(number, self._note)

    def on_train_end(self, *_: Any, **__: Any) -> None:
        """Leave signals to whoever had them."""
        self.stop_listening()

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Save and stop, in all processes at the same step."""
        del state
        if is_distributed():
            asked = torch.tensor(self.received or 0, device=args.device)
            dist.all_reduce(asked, op=dist.ReduceOp.MAX)
            self.received = int(asked) or None
        if self.received is not None:
            control.should_save = True
            control.should_training_stop = True

    def stop_listening(self) -> None:
        """Put the handlers back; harmless when there are none."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def _note(self, number: int, _: Any) -> None:
        self.received = number
        signal.signal(number, self._before.get(number, signal.SIG_DFL))
