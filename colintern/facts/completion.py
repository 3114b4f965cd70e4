"""Whether a run came to its end, by everybody who says how far it came."""

from colintern.artifacts.run.layout import LIVE_RECORD, RUN_MANIFEST, TRAINER_STATE
from colintern.facts.fact import Fact, Records, Witness, fact_of


def completion(
    *,
    step: int,
    max_steps: int,
    enough: float,
    is_complete: bool,
    status: str | None,
    newest_checkpoint: int | None,
    live_step: int | None,
) -> Fact[bool] | None:
    """Say whether the run was completed; the steps of the log decide.

    A manifest that is not yet completed says nothing: it is older than what was saved after it.
    Neither does a checkpoint, or a live record, of a step before the end.

    Args:
        step: optimiser steps done, by the log.
        max_steps: optimiser steps planned.
        enough: steps from which a run counts as completed.
        is_complete: whether these steps are all, by the plan, the last save or the patience.
        status: of the manifest, where it speaks of the same moment as the log.
        newest_checkpoint: its step, where the folder has any.
        live_step: of the live audit's record.
    """
    steps = f"{step:,} of {max_steps:,} steps"
    further = [
        Witness(value=True, source=source, shown=f"step {reached:,}")
        for source, reached in (
            (f"checkpoint-{newest_checkpoint}", newest_checkpoint),
            (LIVE_RECORD, live_step),
        )
        if reached is not None and not is_complete and enough <= reached <= max_steps
    ]
    manifest = Witness(value=True, source=RUN_MANIFEST, key="status", shown="completed")
    return fact_of(
        "completion",
        (
            Witness(value=is_complete, source=TRAINER_STATE, shown=steps),
            manifest if status == "completed" else None,
            *further,
        ),
    )


def went_on(records: Records) -> bool:
    """Whether somebody besides the manifest saw the end of a run whose log stops before it.

    The log is then not the last one of the run; else the run itself was ended.
    """
    seen = (witness.source for fact in records.contradicted for witness in fact.disagreeing)
    return any(source != RUN_MANIFEST for source in seen)
