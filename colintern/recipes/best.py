"""`optuna_best_params.json`: the winner of a search, which `colintern train --params` trains."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from colintern.artifacts.errors import ArtifactError
from colintern.artifacts.json.document import read_json_object
from colintern.artifacts.printable import printable
from colintern.artifacts.writing import write_text_atomically
from colintern.recipes.named import recipe_named
from colintern.recipes.overrides import OverrideError, close_names
from colintern.recipes.params import ParamsError, Value, with_params
from colintern.recipes.recipe import Recipe

BEST: Final = "optuna_best_params.json"
SCHEMA: Final = "colintern.params/1"
METRIC: Final = "ndcg_at_5 on held-out rows"


class BestParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The parameters of the best trial, and where they are from."""

    schema: str
    params: dict[str, Value]
    """By name, as in `--set`, and arguments of the Trainer."""
    recipe: str
    """Which they vary."""
    value: float | None = None
    metric: str | None = None
    study: str | None = None
    storage: str | None = None
    """Without a password."""
    trial: int | None = None
    """Number of the trial in the study."""
    run: str | None = None
    """Folder of the trial's run, on the machine that trained it."""
    finished_trials: int | None = None
    """Of the study, when this was written."""
    flags: tuple[str, ...] = ()
    """What else the search was given for all its trials."""
    versions: dict[str, str | None] = {}
    written: str | None = None


def write_best(path: Path, best: BestParams) -> None:
    """Write the winner, with the time."""
    complete = msgspec.structs.replace(
        best, written=datetime.now(UTC).isoformat(timespec="seconds")
    )
    text = json.dumps(msgspec.to_builtins(complete), indent=2, allow_nan=False)
    write_text_atomically(path, f"{text}\n")


def read_best(path: Path) -> BestParams:
    """Read a file that a search wrote, or a person after its example.

    Raises:
        ParamsError: it is none: the message says what is wrong in it.
    """
    if not path.is_file():
        raise ParamsError(
            f"{printable(path)}: there is no such file; `colintern search` writes {BEST}"
        )
    try:
        document = read_json_object(path, None)
    except ArtifactError as error:
        found = f"expected {error.expected}, found {error.found}"
        raise ParamsError(f"{printable(path)}: {found}") from error
    return _checked(path, document)


def apply_best(best: BestParams, recipe: Recipe | None, path: Path) -> Recipe:
    """Put the parameters into `recipe`; into the one that they were found for, where it is None.

    Raises:
        ParamsError: a name that does not exist, or a value that it cannot have.
    """
    try:
        return with_params(recipe or recipe_named(best.recipe), best.params)
    except (ParamsError, OverrideError) as error:
        raise ParamsError(f"{printable(path)}: {error}") from error


def _checked(path: Path, document: Mapping[str, Any]) -> BestParams:
    names = [field.name for field in msgspec.structs.fields(BestParams)]
    for key in document:
        if key not in names:
            raise ParamsError(
                f"{printable(path)}: no key is called {printable(key)!r}{close_names(key, names)}"
            )
    for key in ("schema", "params", "recipe"):
        if key not in document:
            raise ParamsError(f"{printable(path)}: it must have the key {key!r}, but has not")
    if document["schema"] != SCHEMA:
        raise ParamsError(
            f"{printable(path)}: schema must be {SCHEMA!r}, but it is "
            f"{printable(document['schema'])!r}"
        )
    try:
        return msgspec.convert(document, BestParams, strict=True)
    except (msgspec.ValidationError, OverflowError) as error:
        raise ParamsError(f"{printable(path)}: {printable(error)}") from error
