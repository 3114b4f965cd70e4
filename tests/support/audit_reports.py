"""Reports of audits that nobody made, from results alone."""

from colintern.engine.audit_report import audit_report
from colintern.engine.policy_in_force import PolicyInForce
from colintern.engine.subject_report import SubjectIdentity, subject_report


def report_of(identities, results, *, policy=None, duration_seconds=1.0, breakdowns=()):
    """The report of an audit that found `results` on subjects, each in any order."""
    policy = policy or PolicyInForce(pass_floor=())
    found = [
        subject_report(
            identity,
            [result for result in results if result.subject == identity.name],
            policy.min_evidence,
            policy.pass_floor,
        )
        for identity in identities
    ]
    return audit_report(
        found, duration_seconds=duration_seconds, policy=policy, breakdowns=breakdowns
    )


def identity(name="run", **facts):
    return SubjectIdentity(name=name, path=facts.pop("path", name), **facts)
