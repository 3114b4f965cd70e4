"""The one exception of the readers."""

from pathlib import Path

from colintern.artifacts.printable import printable


class ArtifactError(Exception):
    """A file is there and cannot be what its name says.

    Absence is not an error: a reader is only called with a path that exists.

    Attributes:
        path: the file.
        expected: what a healthy file holds at the place of the fault.
        found: what this one holds.
        remedy: what to do, as an imperative sentence, or None.
        escapes: the file leads outside the folder under audit; a rule of its own reports that.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        expected: str,
        found: str,
        remedy: str | None = None,
        escapes: bool = False,
    ) -> None:
        self.path = Path(path)
        self.expected = expected
        self.found = found
        self.remedy = remedy
        self.escapes = escapes
        super().__init__(str(path), expected, found)

    def __str__(self) -> str:
        text = f"{printable(self.path)}: expected {self.expected}, found {self.found}."
        return f"{text} {self.remedy}" if self.remedy else text

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuilt, (str(self.path), self.expected, self.found, self.remedy, self.escapes))


def _rebuilt(
    path: str,
    expected: str,
    found: str,
    remedy: str | None,
    escapes: bool,  # noqa: FBT001
) -> ArtifactError:
    return ArtifactError(path, expected=expected, found=found, remedy=remedy, escapes=escapes)
