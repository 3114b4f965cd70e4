"""How many of the directions that its rank allows an adapter's updates use."""

from msgspec import Struct

from colintern.diagnostics.lora_update import LoraUpdates


class RankUse(Struct, frozen=True):
    """The effective rank of the updates beside the rank."""

    median: float
    """Effective rank by rank, of the module in the middle."""
    collapsed: int
    """Modules below the least share that was asked for."""
    compared: int
    """Modules whose rank is large enough to collapse."""

    @property
    def is_collapsed(self) -> bool:
        """Whether most modules are."""
        return self.collapsed * 2 > self.compared

    def __str__(self) -> str:
        return f"median effective rank is {self.median:.0%} of the rank; {self.collapsed} collapsed"


def rank_use(updates: LoraUpdates, least: float) -> RankUse | None:
    """Measure the effective ranks; None where one direction is already the share `least`."""
    moved = [update for update in updates.moved if update.rank * least > 1]
    if not moved:
        return None
    shares = sorted(one.effective_rank / one.rank for one in moved)
    collapsed = sum(one.effective_rank < least * one.rank for one in moved)
    return RankUse(shares[len(shares) // 2], collapsed, len(moved))
