"""The training report: what the audit knows of one or several runs, as one document."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

from colintern.artifacts.logs.log_table import NO_STEP
from colintern.artifacts.printable import printable
from colintern.diagnostics.log.contrastive_loss import ContrastiveLoss
from colintern.diagnostics.log.evaluation_loss import EvaluationLoss
from colintern.diagnostics.log.loss_trajectory import LossTrajectory
from colintern.diagnostics.log.training_progress import TrainingProgress
from colintern.diagnostics.results.result_table import ResultTable, band_of
from colintern.engine.direct_audit import DirectAudit
from colintern.engine.part import LeftOut
from colintern.facts.batch_size import BatchSize
from colintern.facts.run_config import RunConfig
from colintern.guide import GUIDE, Guide
from colintern.report.adapter_section import adapter_section
from colintern.report.audit_section import audit_section
from colintern.report.document import Document, Summary
from colintern.report.next_steps import next_line, next_section
from colintern.report.overlay import LETTERS
from colintern.report.recipe_section import recipe_section
from colintern.report.recipe_values import shown_seconds
from colintern.report.reported_run import ReportedRun
from colintern.report.resources_section import resources_section
from colintern.report.results_section import results_section
from colintern.report.training_section import training_section

MOST_RUNS: Final = len(LETTERS)
_LINE: Final = 200
"""Characters of one line of the summary."""


def training_report(audit: DirectAudit, guide: Guide | None, written: datetime) -> Document:
    """Make the document of the subjects of an audit, in the order in which they were named."""
    runs = reported_runs(audit)
    judged_by = guide or GUIDE
    stamp = f"{written:%d %B %Y, %H:%M} · version {audit.report.colintern}"
    return Document(
        title=_title(runs),
        brand="ColIntern training report",
        stamp=stamp,
        summaries=tuple(_summary(run) for run in runs),
        sections=(
            next_section(runs),
            training_section(runs, judged_by),
            results_section(runs, judged_by),
            recipe_section(runs, judged_by),
            adapter_section(runs),
            resources_section(runs, judged_by),
            audit_section(runs),
        ),
    )


def reported_runs(audit: DirectAudit) -> list[ReportedRun]:
    """Give every subject of an audit its letter; one that is alone has none."""
    subjects = audit.report.subjects
    letters = LETTERS if len(subjects) > 1 else " "
    return [
        ReportedRun(letter.strip(), subject, audit.evidence[subject.identity.name])
        for letter, subject in zip(letters, subjects, strict=False)
    ]


def _title(runs: Sequence[ReportedRun]) -> str:
    names = [run.name for run in runs]
    subject = names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"
    return f"Training report: {printable(subject, limit=120)}"


def _summary(run: ReportedRun) -> Summary:
    identity = run.audit.identity
    lines = (
        ("Verdict", verdict_line(run)),
        ("Training", _told(run, training_line)),
        ("Loss", _told(run, loss_line)),
        ("Results", _told(run, results_line)),
        ("Next", printable(next_line(run), limit=_LINE)),
    )
    return Summary(identity.name, identity.path, run.audit.verdict, lines, run.letter)


def verdict_line(run: ReportedRun) -> str:
    """Say what the verdict rests on."""
    audit = run.audit
    findings = sum(result.is_finding for result in audit.results)
    judged = f"{audit.num_judged} of {len(audit.results)} checks judged"
    if not findings:
        return f"{audit.verdict}; {judged}, no finding"
    roots = ", ".join(f"{root.rule} {audit.result(root.rule).name}" for root in audit.roots[:3])
    more = f" and {len(audit.roots) - 3} more" if len(audit.roots) > 3 else ""  # noqa: PLR2004 - as above
    number = f"{findings} finding{'' if findings == 1 else 's'}"
    causes = f"{len(audit.roots)} root cause{'' if len(audit.roots) == 1 else 's'}"
    return f"{audit.verdict}; {number} from {causes}: {roots}{more}; {judged}"


def training_line(
    run_config: RunConfig, progress: TrainingProgress | None, batch: BatchSize | None
) -> str:
    """Say how long the run trained."""
    parts = []
    if progress is not None:
        parts.append(f"{progress.global_step:,} of {progress.max_steps:,} steps")
    if run_config.planned_epochs is not None:
        number = run_config.planned_epochs.value
        parts.append(f"{number:.3g} epoch{'' if number == 1 else 's'} planned")
    if batch is not None:
        parts.append(f"effective batch {batch}")
    if run_config.learning_rate is not None:
        parts.append(f"learning rate {run_config.learning_rate.value:g}")
    if run_config.train_runtime is not None and run_config.train_runtime.value > 0:
        parts.append(shown_seconds(run_config.train_runtime.value))
    return ", ".join(parts) or "not recorded"


def loss_line(
    loss: LossTrajectory,
    contrastive: ContrastiveLoss | None,
    evaluation_loss: EvaluationLoss | None,
) -> str:
    """Say where the loss ends."""
    text = f"from {loss.start:.3g} to {loss.final:.3g}"
    if contrastive is not None:
        share = loss.final / contrastive.chance
        text += f", {share:.0%} of chance ln({contrastive.candidates:,}) = {contrastive.chance:.3g}"
    if evaluation_loss is not None:
        found = evaluation_loss
        at = f" at step {found.best_step:,}" if found.best_step != NO_STEP else ""
        text += f"; evaluation best {found.best:.3g}{at}, last {found.last:.3g}"
    return text


def results_line(result_table: ResultTable, guide: Guide) -> str:
    """Say what the model scores."""
    parts = [
        f"{row.benchmark.name} mean NDCG@5 {row.means['ndcg_at_5']:.3f}"
        + (f": {band_of(row.means['ndcg_at_5'], guide)}" if row.benchmark.banded else "")
        for row in result_table.benchmarks
        if row.means is not None
    ]
    in_parts = [f"{row}" for row in result_table.benchmarks if row.means is None]
    others = sum(task.benchmark is None for task in result_table.tasks)
    if others:
        in_parts.append(f"{others} task{'' if others == 1 else 's'} of no benchmark")
    return printable("; ".join([*parts, *in_parts]), limit=_LINE)


def _told(run: ReportedRun, line: Callable[..., str]) -> str:
    made = run.part("", line)
    return f"not known: {made.reason}" if isinstance(made, LeftOut) else made
