"""The policy that an audit was judged by, as every report shows it."""

import math
from collections.abc import Iterator, Mapping

from msgspec import Struct, structs

from colintern.artifacts.printable import printable
from colintern.engine.floor import FLOOR_PARTS
from colintern.engine.policy import Policy
from colintern.engine.settings import Settings
from colintern.guide import GUIDE, Guide


class WaiverInForce(Struct, frozen=True, kw_only=True):
    """A waiver, and whether it still counts."""

    rule: str
    reason: str
    until: str | None
    """Its last day, ISO 8601."""
    expired: bool

    def shown(self) -> str:
        """Tell it in one line."""
        end = f"until {self.until}" if self.until else "no end date"
        if self.expired:
            end = f"expired on {self.until}, counts no longer"
        return f"{self.rule} ({self.reason}; {end})"


class PolicyInForce(Struct, frozen=True, kw_only=True):
    """What gates, and by whose word; plain values only."""

    settings: str | None = None
    """The file that the policy was read from."""
    fail_on: str = "error"
    strict_evidence: bool = False
    min_evidence: tuple[str, ...] = ()
    pass_floor: tuple[str, ...] = FLOOR_PARTS
    audit_baseline: str | None = None
    guide: Mapping[str, object] = {}
    """Thresholds of the guide that were overridden."""
    waivers: tuple[WaiverInForce, ...] = ()

    @property
    def expired_waivers(self) -> tuple[WaiverInForce, ...]:
        """Waivers that no longer count."""
        return tuple(waiver for waiver in self.waivers if waiver.expired)

    def lines(self) -> Iterator[str]:
        """Tell the policy in a few lines, one for each thing that somebody decided."""
        yield f"fails on {self.fail_on}, settings: {self.settings or 'none (defaults)'}"
        if self.strict_evidence:
            yield "fails where a rule has no evidence"
        if self.min_evidence:
            yield f"must be judged: {', '.join(self.min_evidence)}"
        if self.pass_floor != FLOOR_PARTS:
            yield f"a pass rests on: {', '.join(self.pass_floor) or 'anything that was judged'}"
        if self.audit_baseline:
            yield f"only findings that are new since {self.audit_baseline} gate"
        if self.guide:
            changed = ", ".join(f"{name} = {value}" for name, value in self.guide.items())
            yield f"thresholds changed: {changed}"
        yield from (f"waived: {waiver.shown()}" for waiver in self.waivers)


def policy_in_force(
    policy: Policy, settings: Settings, audit_baseline: str | None
) -> PolicyInForce:
    """Gather the policy from where it is kept."""
    return PolicyInForce(
        settings=printable(settings.path, limit=1_000) if settings.path else None,
        fail_on=policy.fail_on.value,
        strict_evidence=policy.strict_evidence,
        min_evidence=policy.min_evidence,
        pass_floor=policy.pass_floor,
        audit_baseline=printable(audit_baseline, limit=1_000) if audit_baseline else None,
        guide=_changed(settings.guide),
        waivers=tuple(
            WaiverInForce(
                rule=rule,
                reason=printable(waiver.reason),
                until=waiver.until.isoformat() if waiver.until else None,
                expired=not waiver.counts_on(policy.today),
            )
            for rule, waiver in policy.waivers.items()
        ),
    )


def _changed(guide: Guide) -> dict[str, object]:
    shipped = structs.asdict(GUIDE)
    return {
        name: value if not isinstance(value, float) or math.isfinite(value) else str(value)
        for name, value in structs.asdict(guide).items()
        if value != shipped[name]
    }
