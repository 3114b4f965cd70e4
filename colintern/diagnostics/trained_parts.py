"""Whether the projection is trained, told from a model in memory before and in the first steps."""

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

MIN_GRADIENT_STEPS: Final = 3
"""Steps without a gradient that are no accident: a gradient scaler may skip the first ones."""


class TrainedParts(Struct, frozen=True):
    """Parameters of a model, as far as they tell what is trained."""

    requires_gradient: Mapping[str, bool]
    """By the parameter's name."""
    steps_without: Mapping[str, int] = {}
    """Steps in which a parameter that requires a gradient got none, or all zeros."""
    num_steps: int = 0
    """Steps that were looked at: those in which some parameter had a gradient."""

    def projection_state(self, projection: str) -> tuple[bool, str] | None:
        """Tell whether the module `projection` is trained, and in words how that shows.

        Returns:
            None where the model has no such module: its parameters may be wrapped or sharded.
        """
        names = [name for name in self.requires_gradient if projection in name.split(".")]
        if not names:
            return None
        trained = [name for name in names if self.requires_gradient[name]]
        if not trained:
            return False, f"none of {len(names)} parameters of {projection} requires a gradient"
        without = min(self.steps_without.get(name, 0) for name in trained)
        if self.num_steps >= MIN_GRADIENT_STEPS and without >= self.num_steps:
            return False, f"no gradient reached {projection} in the first {self.num_steps} steps"
        return True, f"{len(trained)} of {len(names)} parameters of {projection} are trained"
