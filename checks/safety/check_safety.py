"""Safety of the artefacts: what loading them would do, and whether they are what they claim."""

from pathlib import Path

from colintern.artifacts.errors import ArtifactError
from colintern.artifacts.folder.remote_code import RemoteCode
from colintern.artifacts.folder.walk import is_opened
from colintern.artifacts.printable import listed, printable
from colintern.diagnostics.pickle_safety import PickleRisk, safe_way
from colintern.engine.evidence.safety import Integrity, too_many_files
from colintern.engine.rule import rule
from colintern.engine.verdict import ERROR, INFO, WARNING, Verdict


@rule(
    "SEC001",
    "unsafe-pickle",
    severity=WARNING,
    up_to=ERROR,
    explains={"SEC003"},
    per_file=True,
)
def check_pickles_are_harmless(pickle_risks: tuple[PickleRisk, ...]) -> Verdict:
    """A pickle in the folder would run code that has nothing to do with training when loaded.

    Why: unpickling imports and calls whatever the file names. A name that leads to the shell, to
        Python's own `eval` or to other pickles is an attack or an accident, and `torch.load` and
        `Trainer` run it before anything can look at the result. A name that is merely unknown
        (a class of the run's own script, a generated module) is a warning.
    Evidence: the opcodes of every pickle in the folder (training_args.bin, optimiser, scheduler and
        random states, pickled weights), interpreted without importing or calling anything.
    Fix: delete the file, or load it only with `torch.load(..., weights_only=True)`, which refuses
        such names; ship weights as safetensors. training_args.bin is written by the next training,
        and the states of optimiser and scheduler serve a resumption alone. For an unknown name,
        look at the module that it comes from.
    Source: Python documentation, `pickle`, on security; sources N06.
    """
    dangerous = [risk for risk in pickle_risks if risk.dangerous]
    doubtful = [risk for risk in pickle_risks if risk.unknown or risk.unexamined]
    guilty = (dangerous or doubtful)[:1]
    return Verdict(
        not guilty,
        observed=_pickles_text(pickle_risks, dangerous, doubtful),
        expected="only names that training libraries pickle",
        where=guilty[0].path if guilty else None,
        severity=ERROR if dangerous else WARNING,
        fix=safe_way(guilty[0]) if guilty else None,
    )


@rule("SEC002", "remote-code", severity=WARNING)
def check_loading_runs_no_code(remote_code: RemoteCode) -> Verdict:
    """A configuration names code of its own, which `trust_remote_code=True` would run.

    Why: `auto_map` makes transformers import Python files that come with the checkpoint or from
        another repository. Whoever can change those files runs code on each machine that loads it.
    Evidence: `auto_map` and `custom_pipelines` in the configuration files; `type` in modules.json.
    Fix: read the code before loading with `trust_remote_code=True`, and pin its revision; or
        convert the model to a class that transformers has.
    Source: transformers documentation, "Using custom models".
    """
    named = [f"{found.key} = {found.target}" for found in remote_code.references]
    return Verdict(
        not named,
        observed=listed(named, most=2) if named else f"{remote_code.num_files} files name no code",
        expected="no configuration that names code",
        where=remote_code.references[0].path if named else None,
    )


@rule(
    "SEC003",
    "file-malformed",
    severity=ERROR,
    explains={"ADP009", "PRJ001", "PRC001"},
    per_file=True,
    role="malformed-files",
)
def check_files_are_sound(integrity: Integrity) -> Verdict:
    """A file is truncated, contradicts itself, is too large, or is a pointer in place of content.

    Why: a file that cannot be read is often the reason for everything else that is wrong, and rules
        that need it cannot be judged: they are blocked by this one.
    Evidence: every artefact that a rule reads; the headers of all weights; the JSON of all other
        files that training writes, of long ones the beginning and the end.
    Fix: restore or fetch the file again; `git lfs pull` for a pointer.
    Source: definition; safetensors format; sources M13 (LFS pointers under an artefact's name).
    """
    faults = integrity.malformed
    _demand_all_files(integrity, found=bool(faults))
    return Verdict(
        not faults,
        observed=_faults_text(faults) if faults else f"{integrity.num_files} files are sound",
        expected=printable(faults[0].expected) if faults else "files that are what they say",
        where=faults[0].path if faults else None,
        fix=faults[0].remedy if faults else None,
    )


@rule(
    "SEC004",
    "path-escapes",
    severity=ERROR,
    per_file=True,
    role="escaping-files",
)
def check_paths_stay_inside(integrity: Integrity) -> Verdict:
    """A link or an index leads outside the folder of the checkpoint.

    Why: such a checkpoint is not complete by itself, and reading it reads other files of this
        machine, which may be secret. The audit does not follow such a path.
    Evidence: every symbolic link below the folder; file names in the index of sharded weights. A
        link whose name no loader opens (wandb makes one to its own log) is a note.
    Fix: copy the files into the folder.
    Source: definition; CWE-59 and CWE-22.
    """
    opened = tuple(escape for escape in integrity.escaping if is_opened(escape.path))
    escapes = opened or integrity.escaping
    _demand_all_files(integrity, found=bool(escapes))
    return Verdict(
        not escapes,
        observed=_faults_text(escapes) if escapes else "every link and index stays inside",
        expected="paths inside the audited folder",
        where=escapes[0].path if escapes else None,
        severity=ERROR if opened else INFO,
    )


def _demand_all_files(integrity: Integrity, *, found: bool) -> None:
    """Refuse to pass a folder of which only a part was looked at."""
    if not (found or integrity.is_complete):
        raise too_many_files(needed_for="checking all of it")


def _pickles_text(
    risks: tuple[PickleRisk, ...], dangerous: list[PickleRisk], doubtful: list[PickleRisk]
) -> str:
    if dangerous:
        first = dangerous[0]
        more = _also_in([risk.path for risk in dangerous[1:]])
        return f"{printable(first.path.name)} reaches for {listed(first.dangerous)}{more}"
    if not doubtful:
        return f"{len(risks)} pickles name training libraries only" if risks else "no pickles"
    first = doubtful[0]
    what = f"names {listed(first.unknown)}" if first.unknown else "was not examined to its end"
    more = _also_in([risk.path for risk in doubtful[1:]])
    return f"{printable(first.path.name)} {what}{more}"


def _faults_text(faults: tuple[ArtifactError, ...]) -> str:
    first = faults[0]
    more = _also_in([fault.path for fault in faults[1:]])
    return f"{printable(first.path.name)}: {printable(first.found)}{more}"


def _also_in(paths: list[Path]) -> str:
    return f"; also in {listed([path.name for path in paths], most=2)}" if paths else ""
