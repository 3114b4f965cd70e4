"""Findings of a run that somebody watches: those that it wrote, else judged from what it saved."""

from colintern.artifacts.live_record import LiveFinding
from colintern.artifacts.running_run import RunningRun
from pytest_colintern.live_findings import LiveFindings
from pytest_colintern.live_judge import AT_START, ON_COURSE, LiveSubject, judge_live, live_rules


def findings_of(run: RunningRun) -> tuple[LiveFinding, ...]:
    """Return the findings of the run's own live audit; without one, judge its newest checkpoint."""
    if run.record is not None:
        return run.record.findings
    if run.state is None:
        return ()
    subject = LiveSubject(path=run.path.absolute(), manifest=run.manifest)
    rules = tuple(dict.fromkeys((*AT_START, *ON_COURSE)))
    findings = LiveFindings(live_rules())
    findings.note(judge_live(rules, subject, run.state, run.resources), run.state.global_step or 0)
    return findings.found
