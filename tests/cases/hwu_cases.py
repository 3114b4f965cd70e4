"""HWU: a healthy run on a machine that does not fit it."""

from builders.resources import GIBIBYTE, write_resources

from cases.case import Case


def _resources(**changes):
    return lambda run: write_resources(run, **changes)


CASES = {
    "HWU001": Case(bad=_resources(gpu_memory_used=79 * GIBIBYTE), outcome="warned"),
    "HWU002": Case(bad=_resources(gpu_utilisation=0.35), outcome="warned"),
    "HWU003": Case(bad=_resources(step_seconds=14.2), outcome="warned"),
    "HWU004": Case(bad=_resources(cpu_memory_used=121 * GIBIBYTE), outcome="warned"),
}
