"""The audit as a callback of any Trainer: it judges the run as it goes."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from msgspec.structs import replace
from tqdm.auto import tqdm
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from colintern.artifacts.printable import printable
from colintern.artifacts.run.manifest import SCHEMA, LossRecord, RunManifest
from colintern.artifacts.running.record import LiveFinding, Status, StopOn
from colintern.engine.policy import Policy
from colintern.engine.running.judge import live_rules
from colintern.engine.subjects import AuditOptions
from colintern.guide import Guide
from colintern.model.versions import installed_versions
from colintern.training.live_audit import LiveAudit
from colintern.training.live_subject import GradientWatch, live_subject
from colintern.training.processes import largest
from colintern.training.resources import ResourceLogger

logger = logging.getLogger(__name__)

_STATE_KEYS: Final = (
    *("global_step", "max_steps", "num_train_epochs", "epoch", "logging_steps", "save_steps"),
    *("eval_steps", "train_batch_size"),
)


class AuditStopError(RuntimeError):
    """The live audit ended the run."""


class AuditCallback(TrainerCallback):
    """Judges a run by the audit's rules while it trains, and writes what it finds.

    Rules that lack evidence say nothing, so it can watch a Trainer of any model. Its files in the
    run's folder: `colintern_live.json` (findings), `colintern_log.jsonl` (log rows as they come)
    and `colintern_resources.jsonl`. `colintern watch` shows them.
    """

    def __init__(
        self,
        folder: Path | None = None,
        *,
        stop_on: StopOn = "never",
        manifest: RunManifest | None = None,
        loss: object = None,
        family: str | None = None,
        guide: Guide | None = None,
        policy: Policy | None = None,
        resources: ResourceLogger | None = None,
        checks: Iterable[Path | str] = (),
    ) -> None:
        """Prepare to watch.

        Args:
            folder: where the files go; the Trainer's `output_dir` by default.
            stop_on: findings that end the run after a checkpoint: `error`, `warning`, or `never`.
            manifest: what `colintern train` knows of the run.
            loss: the loss of a retriever's Trainer, as colpali-engine's `ColbertLoss`: a callback
                is not shown it, and its temperature may not fit. A manifest names it already.
            family: the retriever family, where neither manifest nor model tell it.
            guide: thresholds; the guide's by default.
            policy: waivers.
            resources: what measures the machine; by default one that writes into `folder`.
            checks: a team's own `check_*.py` files; their rules with `live=` are asked too.

        Raises:
            ValueError: a rule of those files has the id of another rule.
        """
        self.stop_on = stop_on
        self.audit: LiveAudit | None = None
        """None before the run begins, in all processes but the first, and after a fault of its
        own."""
        self.stopped_by: str | None = None
        """The rule that ended the run."""
        self._folder = folder
        self._manifest = manifest if loss is None else manifest or _naming(loss)
        self._steps: Sequence[dict[str, float]] = ()
        self._resources = resources
        self._options = AuditOptions(family=family, guide=guide)
        self._policy = policy or Policy()
        self._gradients: GradientWatch | None = None
        self._checks = tuple(Path(each).absolute() for each in checks)
        live_rules(self._checks)  # A mistake in them is told here, not in the middle of a run.

    def attach(
        self, folder: Path, manifest: RunManifest, steps: Sequence[dict[str, float]]
    ) -> None:
        """Tell what a callback is not shown, of a run that is about to begin.

        Args:
            folder: where the files go.
            manifest: what the run knows of itself.
            steps: grows by the first steps, a row each, as the trainer takes them.
        """
        self._folder, self._manifest, self._steps = folder, manifest, steps

    @property
    def folder(self) -> Path | None:
        """Where the files go; None for the Trainer's `output_dir`."""
        return self._folder

    @property
    def findings(self) -> tuple[LiveFinding, ...]:
        """What was found so far."""
        return () if self.audit is None else self.audit.findings

    def raise_if_stopped(self, step: int) -> None:
        """Tell the end of a run that a finding ended.

        Raises:
            AuditStopError: one did.
        """
        if self.stopped_by is not None:
            where = f"at step {step:,}" if step else "before its first step"
            saved = f"checkpoint-{step} is saved" if step else "nothing was trained"
            raise AuditStopError(
                f"{self.stopped_by} ended the run {where} (--stop-on {self.stop_on}); {saved}, "
                f"`colintern rules {self.stopped_by}` says more"
            )

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **more: Any
    ) -> None:
        """Judge configuration and model; our trainer looks before its first step, others behind."""
        self.stopped_by = None
        if state.is_world_process_zero:
            folder = self._folder or Path(args.output_dir)
            self._resources = self._resources or ResourceLogger(folder)
            self._resources.on_train_begin(args, state, control)
            with self._faults_told():
                self._begin(folder, args, state, **more)
        if self._stops(args):
            control.should_training_stop = True

    def on_step_begin(self, *args: Any, **more: Any) -> None:
        """Start the clock of a step."""
        if self._resources is not None:
            self._resources.on_step_begin(*args, **more)

    def on_pre_optimizer_step(self, *_: Any, **__: Any) -> None:
        """Look at the gradients of the first steps."""
        if self.audit is None or self._gradients is None:
            return
        self._gradients.look()
        if self._gradients.done:
            parts, self._gradients = self._gradients.parts(), None
            subject = replace(self.audit.subject, trained_parts=parts)
            with self._faults_told():
                self.audit.judge_parts(subject)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Save and stop where a finding asks for it, in all processes at the same step."""
        if self._resources is not None:
            self._resources.on_step_end(args, state, control)
        self._beat()
        if state.global_step < state.max_steps and self._stops(args):
            control.should_save = True
            control.should_training_stop = True

    def on_prediction_step(self, *_: Any, **__: Any) -> None:
        """Show that the run goes on."""
        self._beat()

    def _beat(self) -> None:
        if self.audit is not None:
            with self._faults_told():
                self.audit.beat()

    def _stops(self, args: TrainingArguments) -> bool:
        """Whether a finding ends the run; the same in all processes, which all must ask."""
        if self.stop_on == "never":
            return False
        wanted = self.audit is not None and self.audit.stopped_by is not None
        if not largest(int(wanted), args.device):
            return False
        self.stopped_by = (self.audit and self.audit.stopped_by) or "a rule"
        return True

    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **more: Any
    ) -> None:
        """Take in a log row, and judge the run where that is due."""
        if self.audit is None or self._resources is None:
            return
        logs = dict(more.get("logs") or {})
        with self._faults_told():
            self._resources.on_log(args, state, control, logs=logs)
            row = {**logs, "step": state.global_step}
            self.audit.logged(_header(state), row, self._resources.rows)

    def on_save(self, *_: Any, **__: Any) -> None:
        """Write the findings beside each checkpoint's."""
        if self.audit is not None:
            with self._faults_told():
                self.audit.write("training")

    def on_train_end(self, *_: Any, **__: Any) -> None:
        """Judge a last time."""
        status: Status = "stopped" if self.stopped_by else "ended"
        if self.audit is not None:
            with self._faults_told():
                self.audit.end(status)

    def _begin(
        self, folder: Path, args: TrainingArguments, state: TrainerState, **more: Any
    ) -> None:
        model = more.get("model")
        subject = live_subject(
            folder,
            args,
            model,
            more.get("processing_class"),
            manifest=self._manifest,
            options=self._options,
            checks=self._checks,
        )
        if model is not None:
            self._gradients = GradientWatch(model)
            subject = replace(subject, trained_parts=self._gradients.parts())
        self.audit = LiveAudit(
            subject,
            stop_on=self.stop_on,
            policy=self._policy,
            tell=_tell,
            steps=self._steps,
        )
        self.audit.begin(_header(state), list(state.log_history))

    @contextmanager
    def _faults_told(self) -> Iterator[None]:
        """Tell a fault of the audit and go on without it: it must not end a training run."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - as said
            self.audit = None
            logger.warning(
                "the live audit has ended, the run goes on: %s: %s",
                type(error).__name__,
                printable(error),
            )


def _naming(loss: object) -> RunManifest:
    """Return a manifest that tells of the loss and the versions only."""
    record = LossRecord(
        class_name=type(loss).__name__,
        temperature=getattr(loss, "temperature", None),
        normalize_scores=getattr(loss, "normalize_scores", None),
    )
    return RunManifest(schema=SCHEMA, loss=record, versions=installed_versions())


def _header(state: TrainerState) -> dict[str, Any]:
    return {key: getattr(state, key, None) for key in _STATE_KEYS}


def _tell(finding: LiveFinding) -> None:
    """Log a finding, above the progress bar where there is one."""
    level = logging.ERROR if finding.severity == "error" else logging.WARNING
    with tqdm.external_write_mode():
        logger.log(level, "audit: %s\n  fix: %s", finding.text, printable(finding.fix, limit=1_200))
