"""From pytest's options and the project's settings to everything that an audit needs."""

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

import pytest
from msgspec import Struct

from colintern.artifacts.printable import printable
from colintern.engine.catalogue import matches
from colintern.engine.policy import Policy
from colintern.engine.recorded_audit import RecordedAuditError, read_recorded_audit
from colintern.engine.settings import Settings, SettingsError, read_settings
from colintern.engine.subjects import AuditOptions, Subject, SubjectError, find_subjects
from colintern.engine.verdict import Severity
from pytest_colintern.progress import progress_of

OUTPUTS = ("colintern_audit_json", "colintern_audit_markdown", "colintern_audit_sarif")
_FOLDERS = (
    "colintern_results",
    "colintern_baseline",
    "colintern_merged",
    "colintern_base",
    "colintern_live_pages",
)


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

    def selected(self, rule_id: str) -> bool:
        """Whether `--select` and `--skip-rules` leave the rule in."""
        wanted = not self.select or any(matches(rule_id, selector) for selector in self.select)
        return wanted and not any(matches(rule_id, selector) for selector in self.skip)


def audit_setup(config: pytest.Config) -> AuditSetup:
    """Read options and settings, and check that what they name is there.

    Raises:
        pytest.UsageError: a path, key, family or file that does not exist or cannot be used.
    """
    here = Path(config.invocation_params.dir)
    for name in (*_FOLDERS, *OUTPUTS, "colintern_guide", "colintern_audit_baseline"):
        if (value := config.getoption(name)) is not None:
            if not str(value):
                raise pytest.UsageError(f"{_flag(name)}: expected a path, found nothing")
            # Absolute, because workers of xdist may run elsewhere.
            setattr(config.option, name, str(_absolute(name, value, here)))
    _check_paths(config)
    if config.getoption("colintern_live_pages") and not config.getoption("colintern_live"):
        raise pytest.UsageError("--live-pages: only --live runs the model on pages; give both")
    guide_file = config.getoption("colintern_guide")
    try:
        settings = read_settings(here, Path(guide_file) if guide_file else None)
        subjects = tuple(find_subjects(config.getoption("colintern_checkpoint"), here))
        recorded = _path(config, "colintern_audit_baseline") or settings.audit_baseline
        policy = _policy(config, settings, recorded)
    except (SettingsError, SubjectError, RecordedAuditError) as error:
        raise pytest.UsageError(str(error)) from error
    config.option.colintern_checkpoint = [
        str(argument) for argument in config.option.colintern_checkpoint
    ]
    return AuditSetup(
        subjects=subjects,
        options=_options(config, settings, len(subjects), here),
        policy=policy,
        settings=settings,
        select=_selectors(config, "colintern_select"),
        skip=_selectors(config, "colintern_skip_rules"),
        audit_baseline=str(recorded) if recorded else None,
    )


def _options(
    config: pytest.Config, settings: Settings, num_subjects: int, here: Path
) -> AuditOptions:
    results, baseline, merged, base, live_pages = (_path(config, name) for name in _FOLDERS)
    return AuditOptions(
        results=results,
        baseline=baseline,
        merged=merged,
        base=base,
        family=_family(config.getoption("colintern_family")),
        guide=settings.guide,
        live=bool(config.getoption("colintern_live")),
        live_pages=live_pages,
        progress=progress_of(config) if config.getoption("colintern_live") else None,
        num_subjects=num_subjects,
        invocation_dir=here,
    )


def _policy(config: pytest.Config, settings: Settings, recorded: Path | None) -> Policy:
    strict = config.getoption("colintern_strict_evidence")
    return Policy(
        fail_on=Severity(config.getoption("colintern_fail_on") or settings.fail_on or "error"),
        strict_evidence=bool(settings.strict_evidence if strict is None else strict),
        waivers=settings.waivers,
        known=read_recorded_audit(recorded) if recorded else None,
        min_evidence=_selectors(config, "colintern_min_evidence") or settings.min_evidence,
    )


def _absolute(name: str, value: str, here: Path) -> Path:
    """Return where a path leads; a baseline may be a bundled run, as a checkpoint may."""
    if name != "colintern_baseline" or value.partition(":")[0] != "demo":
        return here / Path(value).expanduser()
    try:
        return find_subjects([value], here)[0].path
    except SubjectError as error:
        raise pytest.UsageError(str(error).replace("--checkpoint", _flag(name), 1)) from error


def _path(config: pytest.Config, name: str) -> Path | None:
    value = config.getoption(name)
    return Path(value) if value is not None else None


def _check_paths(config: pytest.Config) -> None:
    for name in _FOLDERS:
        path = _path(config, name)
        if path is not None and not path.is_dir():
            raise pytest.UsageError(f"{_flag(name)} {printable(path)}: no such folder")
    for name in OUTPUTS:
        path = _path(config, name)
        if path is not None and (path.is_dir() or not path.parent.is_dir()):
            found = "is a folder" if path.is_dir() else f"no folder {printable(path.parent)}"
            raise pytest.UsageError(f"{_flag(name)} {printable(path)}: {found}")


def _family(name: str | None) -> str | None:
    if name is None:
        return None
    from colintern.families.catalogue import families, family_named  # noqa: PLC0415 - only when named

    if family := family_named(name):
        return family.name
    known = [each.name for each in families()]
    hint = " or ".join(get_close_matches(name, known, n=2)) or ", ".join(known)
    raise pytest.UsageError(f"--family {printable(name)}: unknown; did you mean {hint}?")


def _flag(destination: str) -> str:
    return "--" + destination.removeprefix("colintern_").replace("_", "-")


def _selectors(config: pytest.Config, name: str) -> tuple[str, ...]:
    """Split `ADP,LOG002` and repeated options into one list."""
    values: Sequence[str] = config.getoption(name)
    if empty := [value for value in values if not value.strip(" ,")]:
        # A variable of a CI job that is not set: the gate that it stood for would be gone.
        raise pytest.UsageError(f"{_flag(name)} {empty[0]!r}: expected ids or families: RES001,LOG")
    return tuple(part.strip() for value in values for part in value.split(",") if part.strip())
