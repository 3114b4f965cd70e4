import errno
import json
import re
import zlib
from pathlib import Path

import pytest
from support.auditing import audit
from support.own_checks import HEAD, NO_EVIDENCE, check, verdict

FAILING = HEAD + check(1, verdict(ok=False)) + check(2, verdict(ok=True)) + check(3, NO_EVIDENCE)
AUDIT_1 = Path(__file__).parent / "recorded" / "audit-1.json"
"""Written by the last version of schema colintern.audit/1, of the bundled run guide-as-written."""
FOUND_BY_1 = {"ADP003", "ADP004", "RES001", "RES005"}
WARNING = HEAD + check(1, verdict(ok=False), severity="WARNING")


@pytest.fixture
def subject(tmp_path):
    folder = tmp_path / "run-a"
    folder.mkdir()
    return folder


def run(pytester, text, *arguments):
    # A file of its own for each text: a check file is imported once in a process.
    file = pytester.path / f"check_{zlib.crc32(text.encode())}.py"
    file.write_text(text)
    return audit(pytester, *arguments, checks=file)


def record(pytester, text, subject):
    run(pytester, text, f"--checkpoint={subject}")
    known = pytester.path / "known.json"
    (pytester.path / "audit.json").rename(known)
    return known


def settings(pytester, text):
    (pytester.path / "pyproject.toml").write_text(f"[tool.colintern]\n{text}\n")


def test_known_finding_no_longer_gates(pytester, subject):
    known = record(pytester, FAILING, subject)
    result = run(pytester, FAILING, f"--checkpoint={subject}", f"--audit-baseline={known}")
    assert (result.exit_code, result.outcomes["TEAM001"]) == (0, "warned")
    assert result.check("TEAM001")["known"]
    assert "in the recorded audit too" in result.output
    assert result.roots == ["TEAM001"]


def test_new_finding_gates(pytester, subject):
    known = record(pytester, FAILING, subject)
    text = HEAD + check(1, verdict(ok=False)) + check(2, verdict(ok=False))
    result = run(pytester, text, f"--checkpoint={subject}", f"--audit-baseline={known}")
    assert (result.exit_code, result.of_outcome("failed")) == (1, ["TEAM002"])


def test_known_warning_that_became_error_gates(pytester, subject):
    known = record(pytester, WARNING, subject)
    worse = HEAD + check(1, verdict(ok=False))
    assert run(pytester, worse, f"--checkpoint={subject}", f"--audit-baseline={known}").exit_code


def test_error_of_the_rule_itself_is_never_known(pytester, subject):
    broken = HEAD + check(1, "1 / 0")
    known = record(pytester, broken, subject)
    assert run(pytester, broken, f"--checkpoint={subject}", f"--audit-baseline={known}").exit_code


def test_next_run_is_compared_by_rule(pytester, subject, tmp_path):
    known = record(pytester, FAILING, subject)
    renamed = tmp_path / "run-b"
    renamed.mkdir()
    arguments = (f"--checkpoint={renamed}", f"--audit-baseline={known}")
    assert run(pytester, FAILING, *arguments).exit_code == 0


def test_other_subject_of_several_knows_nothing(pytester, subject, tmp_path):
    others = [tmp_path / name for name in ("run-b", "run-c")]
    for folder in others:
        folder.mkdir()
    run(pytester, FAILING, f"--checkpoint={subject}", f"--checkpoint={others[0]}")
    known = pytester.path / "known.json"
    (pytester.path / "audit.json").rename(known)
    both = [f"--checkpoint={folder}" for folder in others]
    result = run(pytester, FAILING, *both, f"--audit-baseline={known}")
    gated = {each["subject"] for each in result.document["checks"] if each["gates"]}
    assert gated == {"run-c"}


def test_baseline_is_read_from_pyproject_beside_it(pytester, subject):
    record(pytester, FAILING, subject)
    settings(pytester, 'audit-baseline = "known.json"')
    result = run(pytester, FAILING, f"--checkpoint={subject}")
    assert result.exit_code == 0
    assert result.document["policy"]["audit_baseline"].endswith("known.json")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read"),
        ("no json", "found no JSON"),
        ("[" * 100_000, "found no JSON"),
        ("[]", "found schema None"),
        ('{"schema": "colintern.audit/3"}', "found schema colintern.audit/3"),
        ('{"schema": "colintern.audit/1", "subjects": 3}', "not a whole audit"),
        ('{"schema": "colintern.audit/2", "subjects": 3}', "not a whole audit"),
    ],
)
def test_what_is_no_recorded_audit_is_refused(pytester, subject, content, message):
    file = pytester.path / "known.json"
    if content is not None:
        file.write_text(content)
    result = run(pytester, FAILING, f"--checkpoint={subject}", f"--audit-baseline={file}")
    assert result.exit_code == 4
    assert message in result.output


@pytest.mark.parametrize(
    ("wanted", "unmet"),
    [
        ("TEAM002", []),
        ("TEAM", []),
        ("TEAM003", ["TEAM003"]),
        ("TEAM002,TEAM003", ["TEAM003"]),
    ],
)
def test_minimum_of_evidence_gates(pytester, subject, wanted, unmet):
    text = HEAD + check(2, verdict(ok=True)) + check(3, NO_EVIDENCE)
    result = run(pytester, text, f"--checkpoint={subject}", f"--min-evidence={wanted}")
    assert result.exit_code == (1 if unmet else 0)
    assert result.document["subjects"][0]["unmet_evidence"] == unmet
    assert ("the policy wants it: TEAM003" in result.output) == bool(unmet)


def test_minimum_of_evidence_is_read_from_pyproject(pytester, subject):
    settings(pytester, 'min-evidence = ["TEAM003"]')
    text = HEAD + check(2, verdict(ok=True)) + check(3, NO_EVIDENCE)
    assert run(pytester, text, f"--checkpoint={subject}").exit_code == 1


@pytest.mark.parametrize("text", ["min-evidence = 'LOG'", "audit-baseline = 3"])
def test_wrong_type_in_the_policy_is_refused(pytester, subject, text):
    settings(pytester, text)
    result = run(pytester, FAILING, f"--checkpoint={subject}")
    assert result.exit_code == 4
    assert "expected" in result.output


def test_misspelt_minimum_is_refused(pytester, subject):
    result = run(pytester, FAILING, f"--checkpoint={subject}", "--min-evidence=TEAM01")
    assert result.exit_code == 4
    assert "did you mean TEAM001" in result.output


@pytest.mark.parametrize("option", ["--min-evidence=", "--select= ,", "--skip-rules="])
def test_ids_that_are_none_are_refused(pytester, subject, option):
    result = run(pytester, FAILING, f"--checkpoint={subject}", option)
    assert result.exit_code == 4
    assert "expected ids or families" in result.output


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--audit-json=", "--audit-json: expected a path, found nothing"),
        ("--audit-baseline=", "--audit-baseline: expected a path, found nothing"),
        ("--html=", "--html: expected a path, found nothing"),
        ("--html=.", "is a folder; name a file"),
        ("--html=known.txt/report.html", "known.txt/report.html: its folder cannot be made: "),
    ],
)
def test_paths_that_are_none_are_refused(pytester, subject, option, message):
    (pytester.path / "known.txt").touch()
    result = run(pytester, FAILING, f"--checkpoint={subject}", option)
    assert result.exit_code == 4
    assert message in result.output


def test_a_report_that_cannot_be_written_is_told(pytester, subject, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    names = ("audit-markdown", "audit-sarif", "html")
    options = [f"--{name}={pytester.path / name}" for name in names]
    result = run(pytester, WARNING, f"--checkpoint={subject}", *options)
    assert result.exit_code == 3
    told = re.findall(
        r"^not written: \S+/(\S+): No space left on device$", result.output, re.MULTILINE
    )
    assert told == ["audit.json", *names]
    assert "Traceback" not in result.output
    assert result.output.strip().split("\n")[-1].startswith("verdict: PASS")
    assert not [path for path in pytester.path.iterdir() if path.name.startswith(".a")]


def test_policy_in_force_is_printed(pytester, subject):
    settings(
        pytester,
        'fail-on = "warning"\nmin-evidence = ["TEAM001"]\n'
        "[tool.colintern.guide]\nmin_epochs = 3\nmin_effective_batch_size = 8\n"
        "[tool.colintern.waive]\n"
        'TEAM001 = {reason = "agreed", until = 2999-01-01}\n'
        'TEAM002 = {reason = "old", until = 2020-01-01}\n'
        'TEAM003 = {reason = "for good"}',
    )
    result = run(pytester, FAILING, f"--checkpoint={subject}")
    for line in (
        "fails on warning, settings: ",
        "must be judged: TEAM001",
        "thresholds changed: min_epochs = 3.0, min_effective_batch_size = 8",
        "waived: TEAM001 (agreed; until 2999-01-01)",
        "waived: TEAM003 (for good; no end date)",
        "waiver TEAM002 (old; expired on 2020-01-01, counts no longer)",
    ):
        assert line in result.output
    waivers = {each["rule"]: each["expired"] for each in result.document["policy"]["waivers"]}
    assert waivers == {"TEAM001": False, "TEAM002": True, "TEAM003": False}


def test_infinite_threshold_is_still_strict_json(pytester, subject):
    settings(pytester, "[tool.colintern.guide]\nmin_epochs = inf")
    result = run(pytester, FAILING, f"--checkpoint={subject}")
    assert result.document["policy"]["guide"] == {"min_epochs": "inf"}


def test_pass_on_few_checks_says_so(pytester, subject):
    text = HEAD + check(1, verdict(ok=True)) + check(2, NO_EVIDENCE) + check(3, NO_EVIDENCE)
    last = run(pytester, text, f"--checkpoint={subject}").output.strip().split("\n")[-1]
    assert last.startswith("verdict: PASS, but only 1 of 3 checks could be judged")
    assert "some.json" in last


@pytest.fixture
def github(pytester, monkeypatch):
    summary = pytester.path / "summary.md"
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    return summary


def test_github_gets_annotations_and_a_summary(pytester, subject, github):
    github.write_text("before\n")
    output = run(pytester, FAILING, f"--checkpoint={subject}").output
    assert "\n::error title=TEAM001 fault-1%3A run-a::seen (expected wanted). mend it.\n" in output
    assert github.read_text().startswith("before\n\n## ColIntern audit: FAIL")


def test_missing_summary_costs_no_verdict(pytester, subject, github, monkeypatch):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(github / "no" / "folder"))
    result = run(pytester, WARNING, f"--checkpoint={subject}")
    assert result.exit_code == 0
    assert "not written: " in result.output
    assert "verdict: PASS" in result.output


def test_cause_below_the_gate_is_an_error_where_its_symptom_gates(pytester, subject, github):
    text = HEAD + check(1, verdict(ok=False), severity="WARNING", explains=("TEAM002",))
    text += check(2, verdict(ok=False)) + check(4, verdict(ok=False), severity="WARNING")
    (first, second) = told(run(pytester, text, f"--checkpoint={subject}"), github)
    assert first.startswith("::error title=TEAM001 ")
    assert second.startswith("::warning title=TEAM004 ")


def test_missing_evidence_that_gates_is_annotated(pytester, subject, github):
    text = HEAD + check(2, verdict(ok=True)) + check(3, NO_EVIDENCE)
    arguments = (f"--checkpoint={subject}", "--min-evidence=TEAM003")
    (line,) = told(run(pytester, text, *arguments), github)
    assert line == "::error title=run-a::not judged, but the policy wants it: TEAM003"
    (line,) = told(run(pytester, text, arguments[0], "--strict-evidence"), github)
    assert line == "::error title=TEAM003 fault-3%3A run-a::needs some.json for a figure."


def test_errors_come_before_ten_warnings(pytester, subject, github, tmp_path):
    (tmp_path / "run-b").mkdir()
    (tmp_path / "run-b" / "bad").touch()
    body = 'return Verdict(not (layout.path / "bad").exists(), observed="", expected="")'
    warnings = [check(n, verdict(ok=False), severity="WARNING") for n in range(2, 14)]
    text = HEAD + check(1, body) + "".join(warnings)
    both = [f"--checkpoint={folder}" for folder in (subject, tmp_path / "run-b")]
    lines = told(run(pytester, text, *both), github)
    assert [line.split(" ")[0] for line in lines] == ["::error", *["::warning"] * 10]
    assert lines[0].startswith("::error title=TEAM001 fault-1%3A run-b")


def told(result, github):
    assert github.exists()
    return list(obeyed(result.output))


def test_elsewhere_nothing_is_annotated(pytester, subject, monkeypatch):
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    assert "::error" not in run(pytester, FAILING, f"--checkpoint={subject}").output


def test_artefact_cannot_write_workflow_commands(pytester, subject, github):
    observed = "a%0A::error::x\\r\\n::set-output name=a::b"
    text = HEAD + check(1, f'return Verdict(False, observed="{observed}", expected="", where="")')
    output = run(pytester, text, f"--checkpoint={subject}").output
    (line,) = obeyed(output)
    assert line.startswith("::error title=TEAM001")
    assert "%250A" in line
    assert github.exists()


def obeyed(output):
    """The lines of a log that the runner of GitHub Actions acts on."""
    token = None
    for line in map(str.strip, output.split("\n")):
        if token is not None:
            token = None if line == f"::{token}::" else token
        elif line.startswith("::stop-commands::"):
            token = line.removeprefix("::stop-commands::")
        elif line.startswith("::") or "##[" in line:
            yield line
    assert token is None


@pytest.mark.parametrize("option", ["-q", "--collect-only"])
def test_a_wrapped_line_is_no_command(pytester, subject, github, option):
    observed = "word " * 18 + "::set-env name=PATH::/tmp ##[add-mask]pass"
    text = HEAD + check(1, f'return Verdict(False, observed="{observed}", expected="", where="")')
    hostile = subject.rename(subject.with_name("##[set-env name=A;]b"))
    output = run(pytester, text, f"--checkpoint={hostile}", option).output
    assert all(line.startswith("::error title=TEAM001") for line in obeyed(output))
    assert any("##[" in line for line in obeyed(output.replace("::stop-commands::", "")))
    assert github.parent.exists()


def test_tree_of_runs_ends_in_one_table(pytester, tmp_path):
    for name in ("a", "b"):
        (tmp_path / "runs" / name).mkdir(parents=True)
    (tmp_path / "runs" / "b" / "bad").touch()
    body = 'return Verdict(not (layout.path / "bad").exists(), observed="", expected="", where="")'
    arguments = [f"--checkpoint={tmp_path / 'runs' / name}" for name in ("a", "b")]
    output = run(pytester, HEAD + check(1, body), *arguments).output
    table = [line.split()[:2] for line in output.split("\n") if line.startswith(("pass", "fail"))]
    assert table == [["fail", "b"], ["pass", "a"]]


def test_recorded_audit_is_what_the_audit_writes(pytester, subject):
    known = json.loads(record(pytester, FAILING, subject).read_text())
    assert known["schema"] == "colintern.audit/2"


@pytest.mark.parametrize(("known", "exit_code"), [((), 1), ((AUDIT_1,), 0)])
def test_audit_recorded_by_version_1_is_still_known(pytester, known, exit_code):
    arguments = ["--checkpoint=demo:guide-as-written", "--select=ADP,RES"]
    result = audit(pytester, *arguments, *(f"--audit-baseline={path}" for path in known))
    assert result.exit_code == exit_code
    found = [check for check in result.document["checks"] if check["rule"] in FOUND_BY_1]
    assert {check["rule"] for check in found} == FOUND_BY_1
    assert {check["known"] for check in found} == {bool(known)}
