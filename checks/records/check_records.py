"""REC: what several files of one run say of the same thing, and whether they agree."""

from colintern.artifacts.logs.trainer_state import TrainerState
from colintern.artifacts.run.layout import LIVE_RECORD, TRAINER_STATE, RunLayout
from colintern.diagnostics.live_findings import LiveFindings
from colintern.engine.rule import rule
from colintern.engine.verdict import ERROR, WARNING, Verdict
from colintern.facts.base_records import is_other_model
from colintern.facts.completion import went_on
from colintern.facts.fact import Records
from colintern.facts.run_config import RunConfig

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


@rule(
    "REC004",
    "batch-or-steps-contradicted",
    severity=WARNING,
    explains={"CFG001", "CFG002", "CFG004", "LOG017"},
)
def check_batch_and_steps_are_agreed(batch_records: Records, run_config: RunConfig) -> Verdict:
    """Batch, epochs and steps do not add up, or two files name different ones.

    Why: effective batch, negatives and epochs are judged by these figures. Where rows / batch are
        not the steps of an epoch, one of the records is of another run, and nobody can train this
        one again.
    Evidence: colintern_run.json (rows, batch, processes), training_args.bin and the model card side
        by side; rows / batch beside the logged steps an epoch; the product of the parts beside the
        samples a step of the Trainer's closing row. What the log says of single arguments LOG017
        judges. A sampler may leave out rows, and no batch may have more than there are.
    Fix: keep the records of one run together; correct the one that was edited.
    Source: sources N01, N20; transformers, `Trainer.set_initial_training_values`.
    """
    return Verdict(
        batch_records.agreed,
        observed=str(batch_records),
        expected=_ONE_RECORD,
        where=run_config.per_device_train_batch_size.where
        if run_config.per_device_train_batch_size
        else None,
        explains=None if batch_records.contradicts(TRAINER_STATE) else {"LOG017"},
    )


@rule(
    "REC005",
    "optimiser-contradicted",
    severity=WARNING,
    explains={"CFG003", "CFG005", "LOG012"},
)
def check_optimiser_is_agreed(optimiser_records: Records, run_config: RunConfig) -> Verdict:
    """Learning rate, schedule or optimiser differ between two files, or from what was logged.

    Why: a rate in the manifest that was not the one used makes every judgement of the rate one of
        another run; a resumption with new arguments goes on with the old schedule. Only where the
        log itself contradicts what was asked for may a finding on the rate follow from this one.
    Evidence: colintern_run.json, training_args.bin and the model card side by side, with a warm-up
        in steps whichever way it was asked for; the largest `learning_rate` of the log, with what
        its rows may miss of the peak.
    Fix: keep the records of one run together; correct the one that was edited.
    Source: sources F08, N20.
    """
    return Verdict(
        optimiser_records.agreed,
        observed=str(optimiser_records),
        expected=_ONE_RECORD,
        where=run_config.learning_rate.where if run_config.learning_rate else None,
        explains=None if optimiser_records.contradicts(TRAINER_STATE) else (),
    )


@rule("REC006", "adapter-contradicts-manifest", severity=WARNING)
def check_adapter_is_the_recorded_one(adapter_records: Records, layout: RunLayout) -> Verdict:
    """The adapter has other modules, targets or parameters than training recorded.

    Why: modules were lost, added or renamed after training, or the settings were edited: PEFT then
        leaves a part of the adapter out, or draws one anew, and raises no error.
    Evidence: `lora` in colintern_run.json (targets, matched modules, trainable parameters) beside
        `target_modules` in adapter_config.json and the tensors of the adapter. A list is compared
        in any order, and not with an expression.
    Fix: restore the adapter that training saved, with its settings.
    Source: PEFT, `set_peft_model_state_dict`; sources B10, N20.
    """
    return Verdict(
        adapter_records.agreed,
        observed=str(adapter_records),
        expected="the modules, targets and parameters of the manifest",
        where=layout.weights_folder.path,
    )


@rule("REC008", "versions-contradicted", severity=WARNING, explains={"ENV001"})
def check_versions_are_agreed(version_records: Records, layout: RunLayout) -> Verdict:
    """Two files name different versions of a package that trained.

    Why: the query format and the loading of adapters depend on versions, and the audit tells them
        by these records; one of them is of another run, or the adapter was saved again.
    Evidence: `versions` in colintern_run.json, `peft_version` in adapter_config.json, "Framework
        versions" in the model card; by release, local suffixes left out.
    Fix: keep the records of one run together.
    Source: sources N20, K01.
    """
    return Verdict(
        version_records.agreed,
        observed=str(version_records),
        expected=_ONE_RECORD,
        where=layout.weights_folder.path,
    )


@rule("REC010", "live-finding-open", severity=WARNING, up_to=ERROR)
def check_live_findings_are_closed(live_findings: LiveFindings, layout: RunLayout) -> Verdict:
    """The audit of the running training ended with a finding that nothing has answered since.

    Why: the live audit sees what is not kept: every step, the model in memory, a team's own rules.
        What it wrote next to the run is lost if nobody reads it there.
    Evidence: findings of colintern_live.json that held when it was last written, by rules that
        cannot be judged from the files (an error if it was one), or that pass on them although the
        log goes no further than the live audit saw (a warning). A finding that this audit makes
        itself is reported by its own rule; one that is judged better by more steps is closed.
    Fix: `colintern watch RUN` shows the findings with their fixes; audit with the rules of the
        team (`--checks`) to judge theirs again.
    Source: sources N20.
    """
    return Verdict(
        not live_findings.any,
        observed=str(live_findings),
        expected="no finding that held at the end",
        where=layout.folder.get(LIVE_RECORD),
        severity=ERROR if live_findings.is_error else WARNING,
    )
