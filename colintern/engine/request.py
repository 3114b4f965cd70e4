"""What the user asked for, and everything that an audit of it needs."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from glob import glob
from pathlib import Path
from typing import Final

from msgspec import Struct, field
from msgspec.structs import replace

from colintern.artifacts.printable import printable
from colintern.engine.catalogue import (
    LIVE_FAMILY,
    circular_requirements,
    matches,
    unknown_requirements,
    unknown_selector,
)
from colintern.engine.policy import Policy
from colintern.engine.recorded_audit import RecordedAuditError, read_recorded_audit
from colintern.engine.rule import Rule
from colintern.engine.settings import Settings, SettingsError, read_settings
from colintern.engine.subjects import AuditOptions, Subject, SubjectError, find_subjects
from colintern.engine.verdict import Severity

_FOLDERS: Final = ("results", "baseline", "merged", "base", "live_pages")
_FILES: Final = ("guide", "audit_baseline")
OUTPUTS: Final = ("audit_json", "audit_markdown", "audit_sarif", "junitxml", "html")
"""Reports that an audit can write, by the name of their option."""
_FOLDERS_MADE: Final = ("junitxml", "html")
"""Reports whose folder is made where it is not there, as pytest and pytest-html do."""


class UsageMistakeError(Exception):
    """Something in the request that cannot be used; the message says what to do."""


class AuditRequest(Struct, frozen=True, kw_only=True):
    """Options as the user typed them; None or empty where nothing was said."""

    here: Path
    """Where it was typed: relative paths start there, and settings are looked for upward."""
    checkpoints: Sequence[str]
    results: str | None = None
    baseline: str | None = None
    merged: str | None = None
    base: str | None = None
    family: str | None = None
    guide: str | None = None
    live: bool = False
    live_pages: str | None = None
    audit_baseline: str | None = None
    fail_on: str | None = None
    strict_evidence: bool | None = None
    select: Sequence[str] = ()
    skip_rules: Sequence[str] = ()
    min_evidence: Sequence[str] = ()
    outputs: Mapping[str, str] = field(default_factory=dict)
    """Where to write which report, by the names in `OUTPUTS`."""
    progress: Callable[[str], None] | None = None
    """Is told what a long measurement is doing."""


class AuditSetup(Struct, frozen=True):
    """What is audited, and how."""

    subjects: tuple[Subject, ...]
    options: AuditOptions
    policy: Policy
    settings: Settings
    select: tuple[str, ...]
    skip: tuple[str, ...]
    audit_baseline: str | None
    """The recorded audit that the policy compares with."""
    outputs: Mapping[str, Path]
    """Absolute; every folder in which a report is written is there."""

    def selected(self, rule_id: str) -> bool:
        """Whether `--select` and `--skip-rules` leave the rule in."""
        wanted = not self.select or any(matches(rule_id, selector) for selector in self.select)
        return wanted and not any(matches(rule_id, selector) for selector in self.skip)


def audit_setup(request: AuditRequest) -> AuditSetup:
    """Read the settings, and check that what the request names is there.

    Raises:
        UsageMistakeError: a path, key, family or file that does not exist or cannot be used.
    """
    places = {name: _place(request, name) for name in (*_FOLDERS, *_FILES)}
    outputs = {name: _output(request, name) for name in OUTPUTS if name in request.outputs}
    if request.live_pages and not request.live:
        raise UsageMistakeError("--live-pages: only --live runs the model on pages; give both")
    family = _family(request.family)
    try:
        settings = read_settings(request.here, places["guide"])
        subjects = tuple(find_subjects(request.checkpoints, request.here))
        recorded = places["audit_baseline"] or settings.audit_baseline
        policy = _policy(request, settings, recorded)
    except (SettingsError, SubjectError, RecordedAuditError) as error:
        raise UsageMistakeError(str(error)) from error
    return AuditSetup(
        subjects=subjects,
        options=AuditOptions(
            **{name: places[name] for name in _FOLDERS},
            family=family,
            guide=settings.guide,
            live=request.live,
            progress=request.progress if request.live else None,
            num_subjects=len(subjects),
            invocation_dir=request.here,
        ),
        policy=policy,
        settings=settings,
        select=_selectors(request.select, "--select"),
        skip=_selectors(request.skip_rules, "--skip-rules"),
        audit_baseline=str(recorded) if recorded else None,
        outputs=outputs,
    )


def catalogue_mistakes(setup: AuditSetup, catalogue: Mapping[str, Rule]) -> list[str]:
    """Return what is wrong with the rules as collected, or with how they were named."""
    live = setup.options.live
    mistakes = [f"unknown requirement: {text}" for text in unknown_requirements(catalogue)]
    if not mistakes and (circle := circular_requirements(catalogue)):
        mistakes.append(f"rules require each other: {circle}")
    mistakes += [
        f"tool.colintern.waive: {waived!r} is a family; waive its rules one by one"
        for waived in setup.policy.waivers
        if waived not in catalogue and not unknown_selector(waived, catalogue)
    ]
    mistakes += _unknown(setup, catalogue)
    if not live and (asked := [s for s in setup.select if s.startswith(LIVE_FAMILY)]):
        mistakes.append(f"--select {asked[0]}: the rules that load the model need --live")
    for option, family, given in (
        ("--live", LIVE_FAMILY, live),
        ("--baseline", "CMP", setup.options.baseline is not None),
    ):
        if given and unknown_selector(family, catalogue):
            mistakes.append(f"{option}: this version has no {family} rules that would use it")
    return mistakes


def _unknown(setup: AuditSetup, catalogue: Mapping[str, Rule]) -> Iterator[str]:
    named = {
        "--select": setup.select,
        "--skip-rules": setup.skip,
        "min-evidence": setup.policy.min_evidence,
        "tool.colintern.waive": setup.policy.waivers,
    }
    for place, selectors in named.items():
        unknown = (unknown_selector(selector, catalogue) for selector in selectors)
        yield from (f"{place}: {text}" for text in unknown if text)


def in_process(setup: AuditSetup) -> AuditSetup:
    """Return the setup for a process of its own: what it is doing is told by nobody."""
    return replace(setup, options=replace(setup.options, progress=None))


def expanded(checkpoints: Sequence[str], here: Path) -> list[str]:
    """Replace a quoted pattern like `runs/*` by the folders that it names."""
    return [match for checkpoint in checkpoints for match in _matches(checkpoint, here)]


def _matches(checkpoint: str, here: Path) -> list[str]:
    is_pattern = any(mark in checkpoint for mark in "*?[") and not (here / checkpoint).exists()
    if not is_pattern:
        return [checkpoint]
    found = sorted(glob(checkpoint, root_dir=here))  # noqa: PTH207 - as the shell, from any root
    return [match for match in found if (here / match).is_dir()] or [checkpoint]


def flag(name: str) -> str:
    """Return the option of a name: `--audit-json`."""
    return "--" + name.replace("_", "-")


def _place(request: AuditRequest, name: str) -> Path | None:
    """Return where an option leads; a baseline may be a bundled run, as a checkpoint may."""
    value: str | None = getattr(request, name)
    if value is None:
        return None
    if not value:
        raise UsageMistakeError(f"{flag(name)}: expected a path, found nothing")
    if name == "baseline" and value.partition(":")[0] == "demo":
        try:
            return find_subjects([value], request.here)[0].path
        except SubjectError as error:
            raise UsageMistakeError(str(error).replace("--checkpoint", flag(name), 1)) from error
    path = request.here / Path(value).expanduser()
    if name in _FOLDERS and not path.is_dir():
        raise UsageMistakeError(f"{flag(name)} {printable(path)}: no such folder")
    return path


def _output(request: AuditRequest, name: str) -> Path:
    value = request.outputs[name]
    if twin := [
        other for other in OUTPUTS if other != name and request.outputs.get(other) == value
    ]:
        raise UsageMistakeError(f"{flag(name)} and {flag(twin[0])}: both name {printable(value)}")
    if not value:
        raise UsageMistakeError(f"{flag(name)}: expected a path, found nothing")
    path = request.here / Path(value).expanduser()
    if path.is_dir():
        raise UsageMistakeError(f"{flag(name)} {printable(path)}: is a folder; name a file")
    if name in _FOLDERS_MADE:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageMistakeError(
                f"{flag(name)} {printable(path)}: its folder cannot be made: {error.strerror}"
            ) from error
    if not path.parent.is_dir():
        raise UsageMistakeError(
            f"{flag(name)} {printable(path)}: no folder {printable(path.parent)}"
        )
    return path


def _family(name: str | None) -> str | None:
    if name is None:
        return None
    from colintern.families.catalogue import (  # noqa: PLC0415 - only when named
        families,
        family_named,
    )

    if family := family_named(name):
        return family.name
    known = [each.name for each in families()]
    hint = " or ".join(get_close_matches(name, known, n=2)) or ", ".join(known)
    raise UsageMistakeError(f"--family {printable(name)}: unknown; did you mean {hint}?")


def _policy(request: AuditRequest, settings: Settings, recorded: Path | None) -> Policy:
    strict = request.strict_evidence
    return Policy(
        fail_on=Severity(request.fail_on or settings.fail_on or "error"),
        strict_evidence=bool(settings.strict_evidence if strict is None else strict),
        waivers=settings.waivers,
        known=read_recorded_audit(recorded) if recorded else None,
        min_evidence=_selectors(request.min_evidence, "--min-evidence") or settings.min_evidence,
        pass_floor=settings.pass_floor,
    )


def _selectors(values: Sequence[str], option: str) -> tuple[str, ...]:
    """Split `ADP,TEAM002` and repeated options into one list."""
    if empty := [value for value in values if not value.strip(" ,")]:
        # A variable of a CI job that is not set: the gate that it stood for would be gone.
        raise UsageMistakeError(f"{option} {empty[0]!r}: expected ids or families: LOG,ADP")
    return tuple(part.strip() for value in values for part in value.split(",") if part.strip())
