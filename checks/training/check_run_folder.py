"""LOG: what the folder as a whole says of the training."""

from colintern.artifacts.printable import printable
from colintern.artifacts.run.layout import RunLayout
from colintern.engine.rule import rule
from colintern.engine.verdict import WARNING, Verdict
from colintern.facts.runs_in_folder import RunsInFolder


@rule(
    "LOG019",
    "several-runs",
    severity=WARNING,
    explains={"ADP019", "LOG012", "LOG013", "LOG014", "LOG015", "LOG017", "RES007"},
)
def check_folder_is_of_one_run(runs: RunsInFolder, whole_layout: RunLayout) -> Verdict:
    """The folder holds checkpoints of several runs.

    Why: a run that is started again in the folder of another overwrites some of its checkpoints
        and leaves the others; whoever takes the highest number, as every resumption does, takes
        another model. The log of a checkpoint begins like that of each later checkpoint of its run,
        and has the same base. Judged are the weights and the log of the newest run: that of the
        root, else of another folder here that holds an adapter (`final_model`), else the run that
        has overwritten checkpoints of the other. File times never count.
    Evidence: the first rows, `max_steps` and `save_steps` of each trainer_state.json;
        `base_model_name_or_path` of each adapter_config.json.
    Fix: move what is of the other run out of the folder; train into an empty one.
    Source: transformers, `Trainer.get_last_checkpoint` (the highest number); two public folders.
    """
    several = len(runs.runs) > 1
    names = "; ".join(printable(str(run), limit=200) for run in runs.runs[:3])
    judged = printable(str(runs.newest or "the highest number"), limit=200)
    return Verdict(
        not several,
        observed=f"{len(runs.runs)} runs: {names}. Judged: {judged}, for {printable(runs.reason)}"
        if several
        else f"{runs.num_traces} folders, all of one run",
        expected="checkpoints of one run",
        where=whole_layout.path,
    )
