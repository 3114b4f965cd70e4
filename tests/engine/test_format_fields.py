import html
import json
import re
from dataclasses import asdict
from datetime import UTC, datetime
from html.parser import HTMLParser

import jsonschema
import pytest
from sarif_kit import assert_valid
from support.audit_reports import report_of
from support.html_reports import result, written_page
from test_formats import SCHEMA

from colintern.engine.evidence import sources
from colintern.engine.missing import Missing
from colintern.engine.outcome import Outcome
from colintern.engine.policy_in_force import PolicyInForce, WaiverInForce
from colintern.engine.reports.github_actions import annotations
from colintern.engine.reports.html.data import audit_data
from colintern.engine.reports.html.page import page_title, report_block
from colintern.engine.reports.json_report import json_report
from colintern.engine.reports.markdown_report import markdown_report
from colintern.engine.reports.missing_evidence import missing_evidence
from colintern.engine.reports.sarif_report import sarif_report
from colintern.engine.reports.terminal import finding_lines, verdict_lines
from colintern.engine.subject_report import SubjectIdentity
from colintern.engine.verdict import ERROR, INFO, WARNING, NoEvidence

POLICY = PolicyInForce(
    settings="/team/pyproject.toml",
    fail_on="warning",
    strict_evidence=True,
    min_evidence=("TEAM006", "TEAM010"),
    audit_baseline="/team/known.json",
    guide={"min_epochs": 3.0},
    waivers=(
        WaiverInForce(rule="TEAM007", reason="agreed", until="2999-01-01", expired=False),
        WaiverInForce(rule="TEAM008", reason="for good", until=None, expired=False),
        WaiverInForce(rule="TEAM009", reason="old", until="2020-01-01", expired=True),
    ),
)
BROKEN_FIX = "Report it to the rule's author, with the text under Observed."
META = NoEvidence(sources.MODEL_META, what="`name`", needed_for="figure of bad", hint="ask").missing
MERGED = NoEvidence(sources.MERGED, needed_for="x").missing
FINDINGS = (Outcome.FAILED, Outcome.WARNED, Outcome.NOTED, Outcome.WAIVED, Outcome.ERROR)


def own(number, subject, outcome, severity=ERROR, **fields):
    """A result no two texts of which are alike, so that a swapped field shows."""
    texts = {
        name: f"{name} of {number} on {subject}"
        for name in ("observed", "expected", "where", "source", "evidence", "summary", "fix", "why")
    }
    rule = ("source", "evidence", "summary", "why")
    texts |= {name: f"{name} of rule {number}" for name in (*rule, "usual_fix")}
    seconds = number + 0.25
    values = (
        texts
        | {
            "rule": f"TEAM{number:03}",
            "severity": severity,
            "duration_seconds": seconds,
            "stage": 3,
        }
        | fields
    )
    return result(number, subject, outcome, **values)


def results_of(name):
    return [
        own(1, name, Outcome.FAILED, explains=("TEAM002",), requires=("TEAM005",)),
        own(2, name, Outcome.FAILED, WARNING),
        own(3, name, Outcome.WARNED, known=True, where=f"/runs/{name}/a b.json"),
        own(4, name, Outcome.NOTED, INFO),
        own(5, name, Outcome.PASSED, WARNING),
        own(6, name, Outcome.NO_EVIDENCE, expected="", where="", missing=META, gates=True),
        own(7, name, Outcome.WAIVED, waiver="agreed (until 2999-01-01)", explains=("TEAM001",)),
        own(8, name, Outcome.ERROR, INFO, expected="", where=""),
        own(9, name, Outcome.BLOCKED, expected="", blocked_by="TEAM001"),
        own(10, name, Outcome.NO_EVIDENCE, expected="", missing=MERGED),
    ]


def identity(name):
    facts = {"family": f"family {name}", "base_model": f"base {name}", "kind": "run"}
    ignored = {"ignored": (f"{name}.txt",), "num_ignored": 3}
    weights = {"weights_of": f"checkpoint {name}"}
    return SubjectIdentity(name=name, path=f"/runs/{name}", **facts, **ignored, **weights)


@pytest.fixture(scope="module")
def report():
    calm = [own(number, "calm", Outcome.PASSED) for number in (1, 6, 10, 5)]
    return report_of(
        [identity("calm"), identity("bad")],
        [*calm, *results_of("bad")],
        duration_seconds=12.3456,
        policy=POLICY,
        breakdowns=("a worker is gone",),
    )


@pytest.fixture(scope="module")
def every(report):
    return [each for subject in report.subjects for each in subject.results]


def test_the_report_has_everything(report, every):
    assert {each.outcome for each in every} == {*Outcome}
    calm, bad = report.subjects
    assert (report.verdict, calm.verdict, bad.verdict) == ("fail", "pass", "fail")
    assert (calm.unmet, bad.unmet) == ((), ("TEAM006", "TEAM010"))
    roots = [(root.rule, root.explains, root.follows_from) for root in bad.roots]
    assert roots == [("TEAM001", ("TEAM002",), ("TEAM007",)), ("TEAM003", (), ())]


def test_json_has_every_field(report, every):
    document = json.loads("".join(json_report(report)))
    jsonschema.Draft202012Validator(SCHEMA).validate(document)
    assert document["schema"] == "colintern.audit/2"
    for name in ("colintern", "verdict"):
        assert document[name] == getattr(report, name)
    assert document["duration_seconds"] == 12.346
    assert document["settings"] == "/team/pyproject.toml"
    assert document["breakdowns"] == ["a worker is gone"]
    assert [same(check, each) for check, each in zip(document["checks"], every, strict=True)]
    for shown, subject in zip(document["subjects"], report.subjects, strict=True):
        told = {name: shown[name] for name in identity("x").__struct_fields__}
        assert told == {name: plain(getattr(subject.identity, name)) for name in told}
        assert shown["verdict"] == subject.verdict
        assert shown["unmet_evidence"] == list(subject.unmet)
        assert shown["counts"] == {each.value: count(subject.results, each) for each in Outcome}
    assert document["counts"] == {each.value: count(every, each) for each in Outcome}
    assert document["root_causes"] == [
        {
            "rule": root.rule,
            "subject": subject.identity.name,
            "explains": list(root.explains),
            "follows_from_waived": list(root.follows_from),
        }
        for subject in report.subjects
        for root in subject.roots
    ]


def test_json_has_the_whole_policy(report):
    policy = json.loads("".join(json_report(report)))["policy"]
    for name in POLICY.__struct_fields__:
        if name not in ("settings", "waivers"):
            assert policy.pop(name) == plain(getattr(POLICY, name)), name
    told = [
        tuple(each[name] for name in ("rule", "reason", "until", "expired"))
        for each in policy.pop("waivers")
    ]
    assert told == [(each.rule, each.reason, each.until, each.expired) for each in POLICY.waivers]
    assert policy == {}


def same(check, each):
    own_name = {"duration_seconds": round(each.duration_seconds, 6)}
    for name, value in check.items():
        assert value == own_name.get(name, plain(getattr(each, name))), (each.rule, name)
    return check


def plain(value):
    if isinstance(value, tuple):
        return list(value)
    return asdict(value) if isinstance(value, Missing) else getattr(value, "value", value)


def count(results, outcome):
    return sum(each.outcome is outcome for each in results)


def read_markdown(text):
    """What a viewer shows of escaped Markdown."""
    return html.unescape(re.sub(r"\\(?=[^\w\s]|_)", "", text)).replace("\u200b", "")


def test_markdown_has_every_finding(report, every):
    text = read_markdown("".join(markdown_report(report)))
    rows = [
        [cell.strip() for cell in line[1:-1].split("|")]
        for line in text.split("\n")
        if line.startswith("| TEAM")
    ]
    findings = [each for each in every if each.outcome in FINDINGS]
    notes = {
        "TEAM003": " (known since the recorded audit)",
        "TEAM007": " (agreed (until 2999-01-01))",
    }
    assert rows == [
        [
            f"{each.rule} {each.name}",
            f"{each.outcome.label}{notes.get(each.rule, '')}",
            *(each.observed, each.expected, each.where),
        ]
        for each in findings
    ]
    for each in every:
        if each.outcome in (Outcome.NO_EVIDENCE, Outcome.BLOCKED):
            assert f"\n- {each.rule} {each.name}: {each.observed}\n" in text
    assert "<details><summary>no evidence: 2</summary>" in text
    assert "<details><summary>blocked: 1</summary>" in text


def test_markdown_begins_with_verdict_and_causes(report):
    text = read_markdown("".join(markdown_report(report)))
    assert text.startswith(f"## ColIntern audit: FAIL\n\n{report.counts.shown()} · 12.3 s\n")
    for line in POLICY.lines():
        assert f"\n- {line}\n" in text
    assert "\n- **broke down**: a worker is gone\n" in text
    table = re.findall(r"^\| (\w+) \| (\w+) \| (\d+ of \d+) \| (.*) \|$", text, re.MULTILINE)
    assert table == [
        ("bad", "fail", "7 of 10", "TEAM001 fault-1, TEAM003 fault-3"),
        ("calm", "pass", "4 of 4", ""),
    ]
    for name, verdict in (("bad", "fail"), ("calm", "pass")):
        facts = f"run, weights of checkpoint {name} · family {name} · base {name}"
        assert f"\n### {name}: {verdict}\n\n{facts}\n" in text
        assert f"\nNot judged by any rule: 3 files: {name}.txt\n" in text
    assert text.count("- **not judged, but the policy wants it**: ") == 2
    assert re.search(
        r"\n1\. \*\*TEAM001 fault-1\*\*: observed of 1 on bad\n   - Fix: fix of 1 on bad\n"
        r"   - Explains TEAM002\n   - Follows from waived TEAM007\n"
        r"2\. \*\*TEAM003 fault-3\*\*: observed of 3 on bad\n   - Fix: fix of 3 on bad\n",
        text,
    )


def test_short_markdown_has_only_findings(report):
    text = "".join(markdown_report(report, findings_only=True))
    assert "TEAM001" in text
    assert "<details>" not in text


def test_sarif_has_every_finding(report, every):
    document = json.loads("".join(sarif_report(report)))
    assert_valid(document)
    (run,) = document["runs"]
    findings = [each for each in every if each.outcome in FINDINGS]
    levels = {ERROR: "error", WARNING: "warning", INFO: "note"}
    for entry, each in zip(run["results"], findings, strict=True):
        assert entry["ruleId"] == each.rule
        rule = run["tool"]["driver"]["rules"][entry["ruleIndex"]]
        assert (rule["id"], rule["name"]) == (each.rule, each.name)
        assert rule["shortDescription"]["text"] == each.summary
        assert rule["fullDescription"]["text"] == each.why
        assert rule["help"]["text"] == f"{each.usual_fix}\n\nSource: {each.source}"
        broke = each.outcome is Outcome.ERROR
        assert entry["level"] == ("error" if broke else levels[each.severity])
        advice = f" (expected {each.expected}). {each.fix}"
        if broke:
            advice = ". The rule itself broke; this says nothing about the model."
        assert entry["message"]["text"] == each.observed + advice
        assert entry["partialFingerprints"] == {"ruleAndSubject/v1": f"{each.rule}:bad"}
        reasons = [told["justification"] for told in entry.get("suppressions", [])]
        assert reasons == [each.waiver] * (each.waiver is not None)
        assert entry["baselineState"] == ("unchanged" if each.known else "new")
        uri = entry["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
        places = {"": "file:///runs/bad", "/runs/bad/a b.json": "file:///runs/bad/a%20b.json"}
        assert uri == places.get(each.where, each.where.replace(" ", "%20"))
    driver = run["tool"]["driver"]
    assert (driver["name"], driver["version"]) == ("ColIntern", report.colintern)


def test_sarif_says_why_the_audit_failed(report, every):
    (run,) = json.loads("".join(sarif_report(report)))["runs"]
    counts = {each.value: count(every, each) for each in Outcome}
    assert run["properties"] == {"verdict": "fail", "counts": counts}
    (invocation,) = run["invocations"]
    assert invocation["executionSuccessful"] is False
    told = [
        (each["level"], each["message"]["text"])
        for each in invocation["toolExecutionNotifications"]
    ]
    assert told == [
        ("error", "broke down: a worker is gone"),
        ("error", "bad: not judged, but the policy wants it: TEAM006, TEAM010"),
    ]
    calm = report_of(
        [identity("calm")],
        [own(1, "calm", Outcome.FAILED)],
        duration_seconds=1,
        policy=PolicyInForce(),
    )
    (run,) = json.loads("".join(sarif_report(calm)))["runs"]
    assert "baselineState" not in run["results"][0]
    assert run["invocations"][0] == {"executionSuccessful": True, "toolExecutionNotifications": []}


def test_annotations_name_what_fails(report):
    lines = [re.fullmatch(r"::(\w+) title=(.+?)::(.+)", line) for line in annotations(report)]
    broken = "observed of 8 on bad. The rule itself broke; this says nothing about the model."
    assert [line.groups() for line in lines] == [
        ("error", "the audit broke down", "a worker is gone"),
        ("error", "bad", "not judged, but the policy wants it: TEAM006, TEAM010"),
        ("error", "TEAM001 fault-1%3A bad", told_of(1)),
        ("error", "TEAM006 fault-6%3A bad", f"{META.sentence}. ask"),
        ("error", "TEAM008 fault-8%3A bad", broken),
        ("warning", "TEAM003 fault-3%3A bad", told_of(3)),
    ]


def told_of(number):
    observed, expected, fix = (
        f"{name} of {number} on bad" for name in ("observed", "expected", "fix")
    )
    return f"{observed} (expected {expected}). {fix}"


def test_page_has_every_field_as_data(report, every):
    data = json.loads(audit_data(report))
    rules = {each.rule: each for each in every}
    for rule in data["rules"]:
        each = rules[rule["id"]]
        for name in ("name", "family", "summary", "why", "evidence", "source", "stage"):
            assert rule[name] == getattr(each, name), name
        assert rule["requires"] == list(each.requires)
        assert rule["explains"] == list(each.may_explain)
        assert rule["fix"] == each.usual_fix
    assert len(data["rules"]) == len(rules)
    told = {(data["rules"][row[0]]["id"], data["subjects"][row[1]]): row for row in data["rows"]}
    assert told.keys() == {(each.rule, each.subject) for each in every}
    for each in every:
        row = told[each.rule, each.subject]
        *texts, symptoms = [data["strings"][number] for number in row[4:]]
        assert symptoms == ("TEAM002" if each.rule == "TEAM001" and each.is_finding else "")
        fix = texts.pop()
        if each.missing is None:
            fix = fix or data["rules"][row[0]]["fix"]
        assert data["outcomes"][row[2]] == [each.outcome.value, each.outcome.label]
        assert data["severities"][row[3]] == each.severity.value
        known = data["known"] if each.known else ""
        fields = (each.observed, each.expected, each.where, each.blocked_by, each.waiver, known)
        assert texts == [text or "" for text in fields]
        assert fix == each.remedy


@pytest.mark.parametrize("order", [("few", "all"), ("all", "few")])
def test_one_verdict_leaves_the_page_of_its_rule_alone(order):
    usual = {"may_explain": ("TEAM002", "TEAM003"), "usual_fix": "the rule's", "fix": "the rule's"}
    own_fix = {"explains": ("TEAM002",), "fix": "of this case"}
    cause = {"few": usual | own_fix, "all": usual | {"explains": usual["may_explain"]}}
    results = [own(1, name, Outcome.FAILED, **cause[name]) for name in order]
    results += [own(2, name, Outcome.FAILED, independent=name == "all") for name in order]
    results += [own(3, name, Outcome.FAILED) for name in order]
    policy = PolicyInForce()
    names = [identity(name) for name in order]
    report = report_of(names, results, duration_seconds=1, policy=policy)
    data = json.loads(audit_data(report))
    assert (data["rules"][0]["explains"], data["rules"][0]["fix"]) == (
        ["TEAM002", "TEAM003"],
        "the rule's",
    )
    told = {
        data["subjects"][row[1]]: data["strings"][row[-1]] for row in data["rows"] if not row[0]
    }
    assert told == {"few": "TEAM002", "all": "TEAM003"}
    roots = {
        subject.identity.name: [root.rule for root in subject.roots] for subject in report.subjects
    }
    assert roots == {"few": ["TEAM001", "TEAM003"], "all": ["TEAM001", "TEAM002"]}
    (run,) = json.loads("".join(sarif_report(report)))["runs"]
    assert run["tool"]["driver"]["rules"][0]["help"]["text"].startswith("the rule's")


READ_DETAILS = """rows => rows.map((row) => {
    row.querySelector(".toggle").click();
    const told = [...row.nextElementSibling.querySelectorAll("dt")];
    const details = told.map((name) => [name.textContent, name.nextElementSibling.textContent]);
    const cells = [...row.cells].map((cell) => cell.textContent);
    return [row.id, [...cells, Object.fromEntries(details)]];
})"""


def test_page_shows_every_field_when_opened(tab, tmp_path, report, every):
    tab.open(written_page(tmp_path / "page.html", report))
    shown = dict(tab.page.locator("tr.row").evaluate_all(READ_DETAILS))
    assert len(shown) == len(every)
    for each in every:
        number = [subject.identity.name for subject in report.worst_first].index(each.subject)
        outcome, name, observed, expected, severity, details = shown[f"check-{number}-{each.rule}"]
        assert outcome == each.outcome.label
        assert name == f"{each.rule} {each.name}{each.subject}"
        assert (observed, expected) == (each.observed.replace("`", ""), each.expected)
        assert severity == each.severity.value
        assert details == details_of(each), each.rule


def details_of(each):
    broke = each.outcome is Outcome.ERROR
    known = "In the recorded audit too, so it does not gate." if each.known else ""
    related = {"TEAM001": {"Explains": "TEAM002"}, "TEAM002": {"Explained by": "TEAM001"}}
    details = {
        "Rule": each.summary,
        "Observed": each.observed.replace("`", ""),
        "Expected": each.expected,
        "Where": each.where,
        "Blocked by": each.blocked_by,
        "Waived": each.waiver,
        "Known": known,
        "Why": "The rule itself broke; this says nothing about the model." if broke else each.why,
        "What would help" if each.missing else "Fix": BROKEN_FIX if broke else each.remedy,
        "Evidence": each.evidence,
        "Source": each.source,
        **(related.get(each.rule, {}) if each.is_finding else {}),
        "Page": each.rule,
    }
    return {name: text for name, text in details.items() if text}


class Sections(HTMLParser):
    """The words of each section of the page, in order."""

    def __init__(self):
        super().__init__()
        self.texts = {"header": ""}
        self.place = "header"

    def handle_starttag(self, tag, attributes):
        if tag == "section":
            self.place = dict(attributes)["aria-labelledby"]
            self.texts[self.place] = ""

    def handle_data(self, data):
        self.texts[self.place] += f" {data}"


@pytest.fixture(scope="module")
def sections(report):
    parser = Sections()
    parser.feed(report_block(report, [], written=datetime(2026, 1, 2, 3, 4, tzinfo=UTC)))
    return {place: " ".join(text.split()) for place, text in parser.texts.items()}


def test_page_begins_with_verdict_and_policy(report, sections):
    head = sections["header"]
    assert page_title(report) == "Fail: 2 subjects (ColIntern audit)"
    assert f"02 January 2026, 03:04 · 12.3 s · version {report.colintern} Fail 2 subjects" in head
    assert "1 part of the audit itself broke down." in head
    assert "Not judged, but the policy wants it: TEAM006, TEAM010." in head
    assert "1 of 2 subjects fails. 3 findings come down to 2 root causes." in head
    assert "3 checks of 14 could not be judged." in head
    counted = "2 failed 1 error 1 warned 1 noted 1 waived 2 no evidence 1 blocked 5 passed"
    assert counted in head
    assert f"Policy {'; '.join(POLICY.lines())}" in head
    assert sections["breakdowns"].endswith("a worker is gone")
    assert sections["broken"].endswith("TEAM008 fault-8, bad: observed of 8 on bad")


def test_page_tells_causes_as_the_terminal_does(sections):
    assert sections["causes"] == (
        "What to do 2 root causes, the gravest first "
        "failed TEAM001 fault-1 error summary of rule 1 Fix fix of 1 on bad Subject bad "
        "Observed observed of 1 on bad Expected expected of 1 on bad Where where of 1 on bad "
        "Follows from the waived TEAM007 Explains TEAM002 fault-2 "
        "Why this matters why of rule 1 Source: source of rule 1 "
        "warned TEAM003 fault-3 error summary of rule 3 Fix fix of 3 on bad Subject bad "
        "Observed observed of 3 on bad Expected expected of 3 on bad Where /runs/bad/a b.json "
        "Known in the recorded audit too, so it does not gate "
        "Why this matters why of rule 3 Source: source of rule 3"
    )


def test_page_puts_subjects_side_by_side(sections):
    assert sections["subjects"] == (
        "Subjects worst first Subject Verdict Root causes "
        "failed error warned noted waived no evidence blocked passed "
        "bad run, weights of checkpoint bad · family bad · base bad Fail TEAM001 TEAM003 "
        "2 1 1 1 1 2 1 1 "
        "calm run, weights of checkpoint calm · family calm · base calm Pass none 0 0 0 0 0 0 0 4 "
        "Findings side by side Check bad calm "
        "TEAM001 fault-1 failed passed TEAM003 fault-3 warned not run "
        "TEAM007 fault-7 waived not run TEAM002 fault-2 failed not run "
        "TEAM008 fault-8 error not run"
    )


def test_terminal_tells_the_same(report, every):
    told = [line for each in report.subjects for line in finding_lines(each, verbose=True)]
    lines = [line for line, _ in (*told, *verdict_lines(report))]
    text = "\n".join(lines)
    for each in every:
        if each.outcome in FINDINGS:
            head = f"{each.rule} {each.name} [{each.severity.value}, {each.outcome.label}] bad\n"
            assert f"{head}  observed  {each.observed}\n" in text
            for name in ("expected", "where"):
                value = getattr(each, name)
                assert not value or f"  {name:<10}{value}\n" in text
        else:
            assert f"{each.outcome.label}: {each.rule} {each.name}: {each.observed}" in text
    assert "  waived    agreed (until 2999-01-01)\n" in text
    assert "  known     in the recorded audit too, so it does not gate\n" in text
    assert "weights judged: those of checkpoint bad in bad, whose own folder holds none" in lines
    assert "not judged by any rule: 3 files: bad.txt" in lines
    assert lines[-6:] == [
        "fail         bad     7 of 10 judged  TEAM001 fault-1, TEAM003 fault-3",
        "pass         calm    4 of 4 judged  no finding",
        "broke down: a worker is gone",
        "waiver TEAM009 (old; expired on 2020-01-01, counts no longer)",
        report.counts.shown(),
        "verdict: FAIL: not judged, but the policy wants it: TEAM006, TEAM010",
    ]


META_ENTRY = "model_meta.json 1 of 2 subjects name ask Needed for figure of bad: TEAM006"


def test_page_says_what_would_help(sections):
    assert META_ENTRY in sections["unjudged"]
    assert "Blocked by TEAM001 : mend that first. TEAM009" in sections["unjudged"]
    assert "--merged" not in sections["unjudged"]


MISSED = [
    (NoEvidence(sources.RESOURCES, what="rows of a GPU", needed_for="it"), "HWU001"),
    (NoEvidence(sources.RESOURCES, what="3 rows", detail="found 2", needed_for="that"), "HWU002"),
    (NoEvidence(sources.RESULTS, what="a complete ViDoRe(v1)", needed_for="it"), "RES010"),
    (NoEvidence(sources.ARGUMENTS, needed_for="it"), "CFG009"),
    (NoEvidence(sources.MERGED, needed_for="it"), "ADP020"),
    (NoEvidence(sources.BASELINE, needed_for="it"), "CMP001"),
    (NoEvidence(sources.BASELINE, needed_for="it"), "CMP002"),
]


def test_what_one_source_would_tell_is_one_entry():
    results = [
        own(number, "run", Outcome.NO_EVIDENCE, missing=absence.missing, rule=rule)
        for number, (absence, rule) in enumerate(MISSED)
    ]
    report = report_of([identity("run")], results, duration_seconds=1, policy=PolicyInForce())
    lines = [line for line, _ in finding_lines(report.subjects[0], verbose=False)]
    start = lines.index("no evidence, by what is missing:") + 1
    assert lines[start : start + 5] == [
        "    --baseline DIR: CMP001, CMP002",
        "    colintern_resources.jsonl (rows of a GPU; 3 rows): HWU001, HWU002",
        "    --merged DIR: ADP020",
        "    task results (a complete ViDoRe(v1)): RES010",
        "    training_args.bin: CFG009",
    ]
    told = {each.name: each for each in missing_evidence(report.subjects)}
    assert told.keys() == {"colintern_resources.jsonl", "task results", "training_args.bin"}
    resources = told["colintern_resources.jsonl"]
    assert resources.parts == ("rows of a GPU", "3 rows (found 2)")
    assert (resources.purposes, resources.rules) == (("it", "that"), ("HWU001", "HWU002"))
    assert resources.hints == ()
    assert told["training_args.bin"].parts == ()
    assert told["training_args.bin"].hint == sources.ARGUMENTS.hint
    assert report.subjects[0].missing == tuple(told)
