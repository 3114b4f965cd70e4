"""The progress bar of a run: where it is, its loss, and how long it still takes."""

from typing import Any

from transformers import ProgressCallback, TrainerControl, TrainerState, TrainingArguments

_SHOWN = {"loss": "loss", "eval_loss": "eval"}
"""Logged values that stand beside the bar, and how they are called there."""


class TrainingProgress(ProgressCallback):
    """transformers' bar, with the losses beside it instead of a printed row every few steps."""

    def __init__(self) -> None:
        """Begin with nothing logged."""
        super().__init__()
        self._latest: dict[str, str] = {}

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **_: Any,
    ) -> None:
        """Show the newest losses."""
        del args, control
        if not state.is_world_process_zero or self.training_bar is None:
            return
        for key, name in _SHOWN.items():
            if logs is not None and key in logs:
                self._latest[name] = f"{float(logs[key]):.3f}"
        self.training_bar.set_postfix(self._latest, refresh=False)
