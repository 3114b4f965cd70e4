"""What the audit of the running training left open."""

from msgspec import Struct

from colintern.artifacts.printable import listed, printable
from colintern.artifacts.running.record import LiveFinding


class LiveFindings(Struct, frozen=True):
    """Findings that held when the training ended, as far as no later judgement replaces them."""

    num_judged: int
    """Rules that the live audit had evidence for."""
    open: tuple[LiveFinding, ...]
    """By rules that cannot be judged from what is here."""
    contradicted: tuple[LiveFinding, ...]
    """By rules that pass on what is here, although it is no more than the live audit saw."""

    @property
    def any(self) -> bool:
        """Whether there is one."""
        return bool(self.open or self.contradicted)

    @property
    def is_error(self) -> bool:
        """Whether one that nothing replaces is an error."""
        return any(finding.severity == "error" for finding in self.open)

    def __str__(self) -> str:
        if not self.any:
            return f"{self.num_judged} rules judged while the run trained, nothing left open"
        said = [_text(finding) for finding in self.open]
        said += [f"{_text(finding)}, which passes here" for finding in self.contradicted]
        return listed(said, most=3)


def _text(finding: LiveFinding) -> str:
    rule, name = printable(finding.rule, limit=20), printable(finding.name, limit=60)
    observed = printable(finding.observed, limit=160)
    return f"{rule} {name} from step {finding.step:,} to {finding.last_step:,}: {observed}"
