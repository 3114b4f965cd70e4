"""REC: what several files of one run say of the same thing, and whether they agree."""

from colintern.artifacts.logs.trainer_state import TrainerState
from colintern.artifacts.run.layout import RunLayout
from colintern.engine.rule import rule
from colintern.engine.verdict import ERROR, WARNING, Verdict
from colintern.facts.base_records import is_other_model
from colintern.facts.completion import went_on
from colintern.facts.fact import Records

_ONE_RECORD = "every file that states it says the same"


@rule("REC001", "weights-contradict-manifest", severity=ERROR, explains={"LIV010", "RES007"})
def check_weights_are_those_recorded(weights_records: Records, layout: RunLayout) -> Verdict:
    """The weights are not those that training saved and recorded.

    Why: the file was replaced, converted or damaged after the run ended, or the manifest was copied
        from another run: what the manifest, the log and the results say is then of other weights.
    Evidence: the hash of the weights' file beside `weights_sha256` in the colintern_run.json next
        to it; that of colintern_eval.json is named too, and RES007 judges it. The manifest of an
        unfinished run speaks of its newest checkpoint, that of a merged model of its adapter.
    Fix: restore the file that training saved; keep weights that were changed on purpose in a folder
        of their own, without the manifest of the run.
    Source: sources N20.
    """
    return Verdict(
        weights_records.agreed,
        observed=str(weights_records),
        expected="the weights that training recorded",
        where=layout.weights_folder.path,
    )


@rule(
    "REC002",
    "base-contradicted",
    severity=WARNING,
    up_to=ERROR,
    explains={"ADP015", "ADP021", "ADP022", "LIV006", "LIV010", "RES001", "RES002", "RES005"},
)
def check_base_is_agreed(base_records: Records, layout: RunLayout) -> Verdict:
    """Training, adapter, evaluation and card do not name one base.

    Why: an adapter is a change of certain weights. Scores with another base under it are not the
        run's, and whoever loads the model by the wrong name gets noise without an error.
    Evidence: `base` in colintern_run.json and, since `colintern evaluate --base DIR` notes what it
        loaded, in colintern_eval.json; `base_model_name_or_path` and `revision` in
        adapter_config.json; `base_model` of the model card, which may name an ancestor of the same
        family. An error where hashes of the layers differ, or two Hub ids that no hash shows to be
        one model; a path is no other base than an id.
    Fix: evaluate again with the base of the run, and write its name into adapter_config.json.
    Source: sources B08, N20; colpali issues 11 and 281.
    """
    return Verdict(
        base_records.agreed,
        observed=str(base_records),
        expected="one base in every record",
        where=layout.weights_folder.path,
        severity=ERROR if is_other_model(base_records) else WARNING,
    )


@rule("REC003", "completion-contradicted", severity=ERROR, explains={"LOG013"})
def check_completion_is_agreed(completion_records: Records, training_log: TrainerState) -> Verdict:
    """A file says that the run was completed, and the steps of its log say that it was not.

    Why: whoever trusts the file ships weights of an early step. Where a later checkpoint shows that
        the run went on, the log is not of these weights, and neither is any verdict on it.
    Evidence: `global_step` and `max_steps` in trainer_state.json beside `status` in
        colintern_run.json, the newest checkpoint-N and `step` in colintern_live.json. A manifest
        that still says "started" is older than the rest, and says nothing.
    Fix: resume the run, or put the log of the completed run next to its weights.
    Source: sources N20.
    """
    return Verdict(
        completion_records.agreed,
        observed=str(completion_records),
        expected=_ONE_RECORD,
        where=training_log.path,
        explains=None if went_on(completion_records) else (),
    )
