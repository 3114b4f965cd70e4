"""Under pytest-xdist: a subject stays in one worker, so that its evidence is read once."""

from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling


class SubjectScheduling(LoadScopeScheduling):  # type: ignore[misc] # Any
    """Hands out all rules of a subject together."""

    def _split_scope(self, nodeid: str) -> str:
        """Return the subject's name out of `check_x.py::check_y[subject]`."""
        return nodeid.rpartition("::")[2].partition("[")[2]


class WorkerHooks:
    """Registered only where pytest-xdist is in use."""

    @pytest.hookimpl
    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Any) -> SubjectScheduling:
        """Schedule by subject, whatever `--dist` says."""
        return SubjectScheduling(config, log)
