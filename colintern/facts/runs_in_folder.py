"""Which runs the checkpoints of a folder are of, and which of the runs is the newest.

File times never count: a copy or a download makes all of them new.
"""

import math
from collections.abc import Sequence

from msgspec import Struct

from colintern.artifacts.run.trace import RunTrace


class Run(Struct, frozen=True):
    """Folders that may all be of one run."""

    traces: tuple[RunTrace, ...]
    """By ascending step; the root last."""

    @property
    def steps(self) -> tuple[int, ...]:
        """Numbers of its checkpoints."""
        return tuple(trace.step for trace in self.traces if trace.step is not None)

    @property
    def base(self) -> str | None:
        """Name of its base model, where a folder says so."""
        return next((trace.base for trace in self.traces if trace.base), None)

    @property
    def max_steps(self) -> int | None:
        """Steps planned, as the latest of its folders says."""
        return next((trace.max_steps for trace in self.traces[::-1] if trace.max_steps), None)

    @property
    def save_steps(self) -> float | None:
        """Steps between its checkpoints."""
        return next((trace.save_steps for trace in self.traces[::-1] if trace.save_steps), None)

    def __str__(self) -> str:
        names = ", ".join(f"checkpoint-{step}" for step in self.steps[:4]) or "the root"
        more = f" and {len(self.steps) - 4} more" if len(self.steps) > 4 else ""  # noqa: PLR2004 - as many as are named
        planned = f"{self.max_steps:,} steps planned" if self.max_steps else ""
        facts = ", ".join(part for part in (planned, self.base) if part)
        return f"{names}{more} ({facts})" if facts else f"{names}{more}"


class RunsInFolder(Struct, frozen=True):
    """The runs of a folder: one, unless somebody trained twice into it."""

    runs: tuple[Run, ...]
    newest: Run | None
    """None where nothing tells."""
    reason: str
    """What the newest was told from."""

    @property
    def num_traces(self) -> int:
        """Folders that were compared."""
        return sum(len(run.traces) for run in self.runs)


def runs_in_folder(
    root: RunTrace, checkpoints: Sequence[RunTrace], finals: Sequence[RunTrace] = ()
) -> RunsInFolder:
    """Tell the runs of a folder apart.

    Args:
        root: the folder itself.
        checkpoints: its `checkpoint-N`, by ascending step.
        finals: other folders in it that hold an adapter, as `final_model`.
    """
    runs: list[list[RunTrace]] = []
    for trace in (*checkpoints, root):
        if trace.is_empty:
            continue
        known = next((run for run in runs if all(may_be_one(trace, each) for each in run)), None)
        known.append(trace) if known is not None else runs.append([trace])
    found = tuple(Run(tuple(run)) for run in runs)
    if len(found) < 2:  # noqa: PLR2004 - with one there is nothing to tell apart
        return RunsInFolder(found, found[0] if found else None, "there is one")
    return RunsInFolder(found, *_newest(found, root, finals))


def may_be_one(one: RunTrace, other: RunTrace) -> bool:
    """Whether two folders may be of one run.

    The log of a checkpoint begins like that of every later one, whatever was changed on a
    resumption; a base model is not changed within a run.
    """
    if one.base and other.base and _short(one.base) != _short(other.base):
        return False
    rows = dict(other.first_rows)
    shared = [(loss, rows[step]) for step, loss in one.first_rows if step in rows]
    return all(math.isclose(mine, theirs, rel_tol=1e-6, abs_tol=1e-9) for mine, theirs in shared)


def _short(base: str) -> str:
    """A base by its own name: a path of another machine, or the id on the Hub, ends with it."""
    return base.replace("\\", "/").rstrip("/").rpartition("/")[2].casefold()


def _newest(
    runs: Sequence[Run], root: RunTrace, finals: Sequence[RunTrace]
) -> tuple[Run | None, str]:
    of_root = [run for run in runs if any(trace is root for trace in run.traces)]
    if of_root:
        return of_root[0], "the root is of it"
    for final in finals:
        same = [run for run in runs if run.base and all(may_be_one(final, t) for t in run.traces)]
        if final.base and len(same) == 1:
            return same[0], f"{final.folder.path.name} has its base"
    for run in runs:
        if all(_overwrote(run, other) for other in runs if other is not run):
            return run, "it has overwritten checkpoints of the other"
    return None, "nothing tells which is the newest"


def _overwrote(run: Run, other: Run) -> bool:
    """Whether the checkpoints of `run` lie where `other`, which lacks them, has saved before."""
    if not run.steps or not other.steps or not other.save_steps or other.save_steps < 1:
        return False
    earlier = [step for step in run.steps if step < min(other.steps)]
    return bool(earlier) and all(step % other.save_steps == 0 for step in run.steps)
