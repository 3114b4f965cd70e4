"""What loading a pickle would reach for: harmless classes, unknown code, or a way to run commands.

Every global counts, called or not: what is only referred to can be called by another library.
"""

import re
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from enum import IntEnum
from pathlib import Path
from typing import Final

from msgspec import Struct

from colintern.artifacts.pickle_file import PickledGlobal, PickleReport
from colintern.artifacts.printable import printable
from colintern.diagnostics.known_globals import (
    DANGEROUS_BUILTINS,
    DANGEROUS_MODULES,
    ENUMS,
    HARMLESS,
    HARMLESS_BUILTINS,
    HARMLESS_PATTERNS,
    RECORDS,
)

_PLAIN_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


class Risk(IntEnum):
    """What a global can do when a pickle loads it."""

    HARMLESS = 0
    UNKNOWN = 1
    DANGEROUS = 2


class PickleRisk(Struct, frozen=True):
    """One file, judged by the worst thing that it reaches for."""

    path: Path
    dangerous: tuple[str, ...]
    """What leads to running commands or opening files, as `os.system`."""
    unknown: tuple[str, ...]
    """What is neither known to be harmless nor known to be dangerous."""
    unexamined: str | None
    """The limit that left part of the file unexamined, or None."""


def assess_pickle(report: PickleReport) -> PickleRisk:
    """Sort everything that a pickle reaches for by what it can do."""
    risks = {_named(found): _risk(found) for found in report.globals}
    called = report.computed_calls
    for target, attribute in report.attribute_reads:
        shown = f"getattr({target or 'a computed object'}, '{attribute}')"
        risks[shown] = _attribute_risk(target, attribute, called=called)
    if called:
        risks.setdefault("a call of a computed object", Risk.UNKNOWN)
    return PickleRisk(
        path=report.path,
        dangerous=tuple(name for name, risk in risks.items() if risk is Risk.DANGEROUS),
        unknown=tuple(name for name, risk in risks.items() if risk is Risk.UNKNOWN),
        unexamined=str(report.fault) if report.is_over_limit else None,
    )


_WEIGHTS: Final = frozenset({"adapter_model.bin", "pytorch_model.bin", "model.bin"})
_RESUMPTION: Final = re.compile(r"(optimizer|scheduler|scaler|rng_state.*)\.(pt|pth|bin)")


def safe_way(risk: PickleRisk) -> str:
    """Say how to do without a file that must not be loaded as it is."""
    if not risk.dangerous:
        return (
            "look at the module that the name comes from; if you trust it, waive SEC001 with that "
            "reason. Else load the file with `torch.load(..., weights_only=True)` only."
        )
    name = risk.path.name
    if name in _WEIGHTS or name.startswith("pytorch_model-"):
        way = (
            "take the repository's safetensors copy. Without one there is no safe way to these "
            "weights: `torch.load(..., weights_only=True)` refuses the file, all else runs it."
        )
    elif name == "training_args.bin":
        way = "the weights do not need it, and the next training writes a new one."
    elif _RESUMPTION.fullmatch(name):
        way = "only a resumption needs it; resume from weights whose source you know."
    else:
        way = "ask its source for the data as safetensors or JSON."
    return f"do not load it: delete {printable(name, limit=60)} unopened; {way}"


def _named(found: PickledGlobal) -> str:
    return f"{found.module}.{found.name}"


def _current(module: str, name: str) -> tuple[str, str]:
    """Translate Python 2's module names, as the unpickler does."""
    module, name = NAME_MAPPING.get((module, name), (module, name))
    return IMPORT_MAPPING.get(module, module), name


def _risk(found: PickledGlobal) -> Risk:
    module, name = _current(found.module, found.name)
    risk = _global_risk(module, name, found.uses)
    # Setting attributes of the class itself changes it for everybody who uses it later.
    return max(risk, Risk.UNKNOWN) if "change" in found.uses else risk


def _global_risk(module: str, name: str, uses: frozenset[str]) -> Risk:
    qualified = f"{module}.{name}"
    if module == "builtins":
        return _builtin_risk(name, uses)
    if qualified in HARMLESS or any(p.fullmatch(qualified) for p in HARMLESS_PATTERNS):
        return Risk.HARMLESS
    if _leads_to_danger(qualified) or _hides_danger(name):
        return Risk.DANGEROUS
    is_enum = ENUMS.fullmatch(qualified) and "." not in name
    is_record = RECORDS.fullmatch(qualified) and "." not in name and "call" not in uses
    return Risk.HARMLESS if is_enum or is_record else Risk.UNKNOWN


def _builtin_risk(name: str, uses: frozenset[str]) -> Risk:
    # A call of getattr is judged by what it reads; handed on, it could read anything.
    if name in HARMLESS_BUILTINS or (name == "getattr" and "call" in uses):
        return Risk.HARMLESS
    dangerous = name in DANGEROUS_BUILTINS or _hides_danger(name)
    return Risk.DANGEROUS if dangerous else Risk.UNKNOWN


def _leads_to_danger(qualified: str) -> bool:
    parts = qualified.split(".")
    return any(".".join(parts[: end + 1]) in DANGEROUS_MODULES for end in range(len(parts)))


def _hides_danger(name: str) -> bool:
    """Whether a dotted name walks through a dangerous module, or to an inner attribute."""
    parts = name.split(".")
    return len(parts) > 1 and any(
        part.startswith("__") or part in DANGEROUS_MODULES or part in DANGEROUS_BUILTINS
        for part in parts
    )


def _attribute_risk(target: str, attribute: str, *, called: bool) -> Risk:
    """Judge a `getattr`: old enums were pickled so, but no healthy pickle calls what it got."""
    if not _PLAIN_NAME.fullmatch(attribute) or called:
        return Risk.DANGEROUS
    module, _, name = target.rpartition(".")
    if not module:
        return Risk.UNKNOWN
    risk = _global_risk(*_current(module, name), frozenset())
    return Risk.HARMLESS if risk is Risk.HARMLESS else Risk.DANGEROUS
