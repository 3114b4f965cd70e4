"""The callbacks that a run has for its person: the bar, and an end when a signal asks for it."""

import signal
from collections.abc import Sequence
from typing import Any, Final

from transformers import (
    ProgressCallback,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from colintern.artifacts.printable import printable
from colintern.training.audit_callback import AuditCallback
from colintern.training.processes import largest

_SHOWN = {"loss": "loss", "eval_loss": "eval"}
"""Logged values that stand beside the bar, and how they are called there."""

_NAME_CHARACTERS = 30

_MEASURED = "eval_ndcg_at_5"
"""What a trial of a search adds to the log row of its evaluation."""

_MOST_RULES = 4
"""Failed rules that are named beside the bar; the log has all of them."""

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


class TrainingProgress(ProgressCallback):
    """transformers' bar, with the losses beside it instead of a printed row every few steps."""

    def __init__(self, audit: AuditCallback | None = None) -> None:
        """Begin with nothing logged; the rules that `audit` finds failed are named."""
        super().__init__()
        self._audit = audit
        self._latest: dict[str, str] = {}

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **more: Any
    ) -> None:
        """Begin the bar, with the name of the run before it where it has one."""
        super().on_train_begin(args, state, control, **more)
        if self.training_bar is not None and args.run_name and args.run_name != args.output_dir:
            self.training_bar.set_description(printable(args.run_name, limit=_NAME_CHARACTERS))

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **more: Any
    ) -> None:
        """Show what a trial was measured by; it is logged after the evaluation's own row."""
        super().on_evaluate(args, state, control, **more)
        measured = (state.log_history or [{}])[-1].get(_MEASURED)
        if measured is not None and self.training_bar is not None:
            self._latest["NDCG@5"] = f"{measured:.3f}"
            self.training_bar.set_postfix(self._latest)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **_: Any,
    ) -> None:
        """Show the newest losses, and the rules that the run fails."""
        del args, control
        if not state.is_world_process_zero or self.training_bar is None:
            return
        for key, name in _SHOWN.items():
            if logs is not None and key in logs:
                self._latest[name] = f"{float(logs[key]):.3f}"
        found = [] if self._audit is None else [each for each in self._audit.findings if each.holds]
        self._latest.pop("audit", None)
        if found:
            self._latest["audit"] = ",".join(each.rule for each in found[:_MOST_RULES])
        self.training_bar.set_postfix(self._latest, refresh=False)


def add_callbacks(
    trainer: Any,
    writer: TrainerCallback,
    audit: AuditCallback,
    more: Sequence[TrainerCallback],
) -> None:
    """Add them; the bar last, so that it shows what the others say.

    Only the first process keeps the manifest; the audit ends all processes at the same step.
    """
    bar = trainer.pop_callback(ProgressCallback)
    for callback in (*((writer,) if trainer.args.should_save else ()), audit, *more):
        trainer.add_callback(callback)
    if bar is not None:
        trainer.add_callback(TrainingProgress(audit))


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
        self.received = largest(self.received or 0, args.device) or None
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
