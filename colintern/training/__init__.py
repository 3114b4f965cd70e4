"""Training: data, trainer, callbacks, and what a run writes of itself."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from colintern.training.audit_callback import AuditCallback

__all__ = ["AuditCallback"]


def __getattr__(name: str) -> Any:
    """Import what is public when it is asked for: most modules here need no torch."""
    if name != "AuditCallback":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from colintern.training.audit_callback import AuditCallback  # noqa: PLC0415 - imports torch

    return AuditCallback
