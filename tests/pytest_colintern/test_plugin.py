import json
import shutil
import xml.etree.ElementTree as ET

import pytest
from support.auditing import CHECKS, audit
from support.own_checks import EIGHT, EIGHT_OUTCOMES, HEAD, NO_EVIDENCE, WAIVE_SEVEN, check, verdict


@pytest.fixture
def subject(pytester):
    folder = pytester.mkdir("my-run")
    (folder / "adapter_config.json").write_text("{}")
    return folder


def own(pytester, text, name="check_own.py"):
    path = pytester.path / name
    path.write_text(text)
    return path


def run(pytester, text, *arguments):
    return audit(pytester, *arguments, checks=own(pytester, text))


def test_eight_outcomes_are_distinct_in_json(pytester, subject):
    (pytester.path / "pyproject.toml").write_text(WAIVE_SEVEN)
    result = run(pytester, EIGHT, "--checkpoint", subject)
    assert result.outcomes == EIGHT_OUTCOMES
    assert set(result.document["counts"].values()) == {1}
    assert result.check("TEAM006")["blocked_by"] == "TEAM002"
    assert result.check("TEAM007")["waiver"] == "agreed (until 2999-01-01)"
    assert result.document["settings"] == str(pytester.path / "pyproject.toml")


def test_eight_outcomes_are_distinct_on_the_terminal(pytester, subject):
    (pytester.path / "pyproject.toml").write_text(WAIVE_SEVEN)
    result = run(pytester, EIGHT, "--checkpoint", subject, "-v")
    for outcome in EIGHT_OUTCOMES.values():
        assert outcome.replace("_", " ").upper() in result.output
    counts = "1 failed, 1 error, 1 warned, 1 noted, 1 no evidence, 1 blocked, 1 waived, 1 passed"
    assert counts in result.output


def test_verdict_counts_and_roots_are_the_last_lines(pytester, subject):
    lines = run(pytester, EIGHT, "--checkpoint", subject).output.strip().split("\n")
    assert lines[-1].startswith("verdict: FAIL")
    assert lines[-2].startswith("2 failed")
    start = next(i for i, line in enumerate(lines) if " audit " in line and "====" in line)
    assert len(lines) - start <= 24
    assert lines[start + 1] == "root cause 1: TEAM002 fault-2"
    assert "explains TEAM003" in "\n".join(lines[start:])


def test_a_finding_is_told_without_a_traceback(pytester, subject):
    output = run(pytester, EIGHT, "--checkpoint", subject).output
    for text in ("TEAM002 fault-2", "seen", "wanted", "here", "it hurts.", "mend it."):
        assert text in output
    assert "Traceback" not in output
    assert "def check_2" not in output


def test_junit_keeps_the_outcome(pytester, subject):
    (pytester.path / "pyproject.toml").write_text(WAIVE_SEVEN)
    run(pytester, EIGHT, "--checkpoint", subject, "--junitxml=out.xml")
    cases = ET.parse(pytester.path / "out.xml").getroot().iter("testcase")  # noqa: S314 - our own file
    seen = {}
    for case in cases:
        properties = {each.get("name"): each.get("value") for each in case.iter("property")}
        state = next(
            (tag for tag in ("failure", "error", "skipped") if case.find(tag) is not None), ""
        )
        seen[properties["rule"]] = (properties["outcome"], state)
    states = {"failed": "failure", "error": "error"} | dict.fromkeys(
        ("no_evidence", "blocked", "waived"), "skipped"
    )
    assert seen == {rule: (name, states.get(name, "")) for rule, name in EIGHT_OUTCOMES.items()}


@pytest.mark.parametrize(
    ("body", "options", "expected"),
    [
        (verdict(ok=True), [], (0, "pass")),
        (verdict(ok=False), [], (1, "fail")),
        (NO_EVIDENCE, [], (5, "inconclusive")),
        (NO_EVIDENCE, ["--strict-evidence"], (1, "fail")),
        ("1 / 0", [], (1, "fail")),
    ],
)
def test_exit_code_tells_the_verdict(pytester, subject, body, options, expected):
    result = run(pytester, HEAD + check(1, body), "--checkpoint", subject, *options)
    assert (result.exit_code, result.document["verdict"]) == expected


def test_inconclusive_says_which_file_would_help(pytester, subject):
    output = run(pytester, HEAD + check(1, NO_EVIDENCE), "--checkpoint", subject).output
    assert "what would help: some.json" in output.strip().split("\n")[-1]


@pytest.mark.parametrize(("options", "exit_code"), [([], 0), (["--fail-on", "warning"], 1)])
def test_fail_on_moves_the_gate(pytester, subject, options, exit_code):
    text = HEAD + check(1, verdict(ok=False), severity="WARNING")
    assert run(pytester, text, "--checkpoint", subject, *options).exit_code == exit_code


def test_fail_on_is_read_from_pyproject(pytester, subject):
    (pytester.path / "pyproject.toml").write_text('[tool.colintern]\nfail-on = "warning"\n')
    text = HEAD + check(1, verdict(ok=False), severity="WARNING")
    assert run(pytester, text, "--checkpoint", subject).exit_code == 1


@pytest.mark.parametrize(
    ("options", "rules"),
    [
        (["--select", "TEAM001,TEAM003"], ["TEAM001", "TEAM003"]),
        (["--select", "TEAM", "--skip-rules", "TEAM001"], [f"TEAM00{n}" for n in range(2, 9)]),
        (["-k", "TEAM004"], ["TEAM004"]),
        (["-m", "warning"], ["TEAM003"]),
    ],
)
def test_rules_are_selected(pytester, subject, options, rules):
    assert sorted(run(pytester, EIGHT, "--checkpoint", subject, *options).outcomes) == rules


def test_an_unselected_requirement_still_blocks(pytester, subject):
    result = run(pytester, EIGHT, "--checkpoint", subject, "--select", "TEAM006")
    assert result.outcomes == {"TEAM006": "blocked"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--select", "TEAM01"], "*did you mean TEAM001*"),
        (["--skip-rules", "ADPP"], "*did you mean ADP*"),
        (["--family", "ColPaly"], "*ColPali*"),
        (["--results", "nowhere"], "*--results*nowhere*no such folder*"),
        (["--audit-json", "no/folder/a.json"], "*--audit-json*no folder*"),
        (["--guide", "missing.toml"], "*missing.toml*cannot be read*"),
        (["--checkpoint", "nowhere"], "*no folder*nowhere*"),
        (["--checkpoint", "demo:healty"], "*no such bundled run*demo:healthy*"),
        (["--checkpoint", "org/name"], "*hf download org/name*"),
        (["--checkpoint", "check_own.py"], "*is a file*"),
    ],
)
def test_a_mistake_is_a_usage_error_with_a_remedy(pytester, subject, arguments, message):
    own(pytester, EIGHT)
    if arguments[0] != "--checkpoint":
        arguments = ["--checkpoint", str(subject), *arguments]
    result = pytester.runpytest_inprocess("check_own.py", *arguments)
    assert result.ret == 4
    (result.stderr if result.stderr.lines else result.stdout).fnmatch_lines([message])


def test_an_unknown_waiver_is_a_usage_error(pytester, subject):
    (pytester.path / "pyproject.toml").write_text('[tool.colintern.waive]\nTEAM01 = "x"\n')
    result = run(pytester, EIGHT, "--checkpoint", subject)
    assert result.exit_code == 4
    assert "did you mean TEAM001" in result.output


def test_a_misspelt_parameter_is_an_error_with_close_names(pytester, subject):
    text = HEAD + check(1, verdict(ok=True), parameters="layuot")
    result = run(pytester, text, "--checkpoint", subject)
    assert "did you mean layout?" in result.check("TEAM001")["observed"]
    assert result.exit_code == 1


def test_a_teams_fixture_may_use_our_evidence(pytester, subject):
    fixture = (
        "import pytest\n\n@pytest.fixture\n"
        "def names(layout):\n    return sorted(layout.folder.names)\n\n"
    )
    body = "return Verdict(True, observed=str(names), expected='e')"
    result = run(
        pytester, HEAD + fixture + check(1, body, parameters="names"), "--checkpoint", subject
    )
    assert result.check("TEAM001")["observed"] == "['adapter_config.json']"


def test_a_teams_rule_may_require_a_shipped_one(pytester, subject):
    text = HEAD + check(1, verdict(ok=True), requires=("SEC003",))
    assert run(pytester, text, "--checkpoint", subject).outcomes["TEAM001"] in ("passed", "blocked")


def test_a_requirement_that_does_not_exist_is_a_usage_error(pytester, subject):
    result = run(
        pytester, HEAD + check(1, verdict(ok=True), requires=("ADP999",)), "--checkpoint", subject
    )
    assert result.exit_code == 4
    assert "TEAM001 requires ADP999" in result.output


def test_two_rules_of_one_id_are_refused(pytester, subject):
    text = (
        HEAD + check(1, verdict(ok=True)) + check(1, verdict(ok=True)).replace("check_1", "check_2")
    )
    result = run(pytester, text, "--checkpoint", subject)
    assert result.exit_code != 0
    assert "two rules have the id TEAM001" in result.output


def test_only_declared_rules_of_check_files_are_collected(pytester, subject):
    own(
        pytester,
        EIGHT + "def check_plain():\n    1 / 0\n\ndef test_x():\n    1 / 0\n",
    )
    pytester.makepyfile(test_other="def test_other():\n    raise AssertionError\n")
    result = audit(pytester, "--checkpoint", subject, checks=pytester.path)
    assert sorted(result.outcomes) == sorted(EIGHT_OUTCOMES)


def test_several_subjects_are_told_apart_by_their_parents(pytester):
    for parent in ("a", "b"):
        (pytester.path / parent / "run").mkdir(parents=True)
    text = HEAD + check(
        1, "return Verdict(layout.path.parent.name == 'a', observed='o', expected='e')"
    )
    result = run(
        pytester, text, "--checkpoint", "a/run", "--checkpoint", "b/run", "--checkpoint", "a/run/"
    )
    verdicts = {each["name"]: each["verdict"] for each in result.document["subjects"]}
    assert verdicts == {"a/run": "pass", "b/run": "fail"}
    assert result.document["verdict"] == "fail"
    assert result.output.strip().split("\n")[-1].endswith("of 2 subjects judged)")


def test_workers_of_xdist_tell_the_same(pytester, subject):
    alone = run(pytester, EIGHT, "--checkpoint", subject).document
    report = pytester.path / "many.json"
    pytester.runpytest_subprocess(
        "check_own.py", "--checkpoint", subject, "-n", "2", f"--audit-json={report}"
    )
    many = json.loads(report.read_text())

    def told(document):
        timeless = [
            {key: value for key, value in check.items() if key != "duration_seconds"}
            for check in document["checks"]
        ]
        return timeless, document["root_causes"], document["counts"], document["verdict"]

    assert told(many) == told(alone)


def test_markdown_and_sarif_are_written(pytester, subject):
    run(pytester, EIGHT, "--checkpoint", subject, "--audit-markdown=a.md", "--audit-sarif=a.sarif")
    markdown = (pytester.path / "a.md").read_text()
    assert markdown.startswith("## ColIntern audit: FAIL\n")
    assert "1. **TEAM002 fault-2**: seen" in markdown
    sarif = json.loads((pytester.path / "a.sarif").read_text())
    levels = {each["ruleId"]: each["level"] for each in sarif["runs"][0]["results"]}
    assert levels["TEAM002"] == "error"
    assert levels["TEAM003"] == "warning"
    assert levels["TEAM004"] == "note"


def test_a_failed_write_is_told_and_leaves_the_old_file(pytester, subject, monkeypatch):
    old = pytester.path / "a.json"
    old.write_text("old")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", full)
    result = pytester.runpytest_inprocess(
        own(pytester, EIGHT), "--checkpoint", subject, f"--audit-json={old}"
    )
    assert "No space left on device" in result.stdout.str() + result.stderr.str()
    assert result.ret != 0
    assert old.read_text() == "old"
    assert list(pytester.path.glob(".a.json*")) == []


def test_an_audit_without_checks_says_where_they_are(pytester, subject):
    pytester.makepyfile(test_theirs="def test_one():\n    1 / 0\n")
    result = pytester.runpytest_inprocess("--checkpoint", subject)
    assert result.ret == 5
    result.stdout.fnmatch_lines(["verdict: INCONCLUSIVE: no checks were collected*--skip-rules*"])


def test_maxfail_stops_and_still_tells_a_verdict(pytester, subject):
    result = run(pytester, EIGHT, "--checkpoint", subject, "-x")
    assert result.exit_code == 1
    assert "verdict: FAIL" in result.output


def test_without_a_subject_nothing_of_ours_is_collected(pytester):
    pytester.makepyfile(test_theirs="def test_one():\n    pass\n")
    own(pytester, EIGHT, "sub_check_own.py")
    result = pytester.runpytest_inprocess()
    result.assert_outcomes(passed=1)


@pytest.mark.parametrize("argument", ["check_own.py", "check_own.py::check_1"])
def test_checks_without_a_subject_say_what_to_type(pytester, argument):
    own(pytester, EIGHT)
    result = pytester.runpytest_inprocess(argument)
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*--checkpoint PATH*"])


def test_the_shipped_checks_without_a_subject_say_what_to_type(pytester, request):
    result = pytester.runpytest_inprocess(str(request.config.rootpath / "checks"))
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*--checkpoint PATH*"])


BROKEN_TEARDOWN = """import pytest

@pytest.fixture
def limit():
    yield 3
    raise RuntimeError("broken")

"""


def test_what_fails_without_a_result_fails_the_audit(pytester, subject):
    text = HEAD + BROKEN_TEARDOWN + check(1, verdict(ok=True), parameters="limit")
    result = run(pytester, text, "--checkpoint", subject)
    assert result.document["verdict"] == "fail"
    assert "RuntimeError" in result.document["breakdowns"][0]
    assert result.exit_code == 1


def test_a_worker_that_dies_fails_the_audit(pytester, subject):
    own(pytester, HEAD + "import os\n\n\n" + check(1, "os._exit(3)"))
    result = pytester.runpytest_subprocess("check_own.py", "--checkpoint", subject, "-n", "2")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["broke down: *", "verdict: FAIL*"])


def test_a_check_file_that_cannot_be_read_never_passes(pytester, subject):
    own(pytester, "1 / 0\n", "check_broken.py")
    own(pytester, HEAD + check(1, verdict(ok=True)))
    result = pytester.runpytest_inprocess(
        ".", "--checkpoint", subject, "--continue-on-collection-errors"
    )
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*ZeroDivisionError*", "verdict: FAIL*"])


def test_rules_that_require_each_other_are_refused(pytester, subject):
    first = check(1, verdict(ok=True), requires=("TEAM002",))
    result = run(
        pytester,
        HEAD + first + check(2, verdict(ok=True), requires=("TEAM001",)),
        *("--checkpoint", subject),
    )
    assert result.exit_code == 4
    assert "require each other: TEAM001 -> TEAM002 -> TEAM001" in result.output.replace(
        "TEAM002 -> TEAM001 -> TEAM002", "TEAM001 -> TEAM002 -> TEAM001"
    )


def test_a_family_cannot_be_waived_as_a_whole(pytester, subject):
    (pytester.path / "pyproject.toml").write_text('[tool.colintern.waive]\nTEAM = "x"\n')
    result = run(pytester, EIGHT, "--checkpoint", subject)
    assert result.exit_code == 4
    assert "waive its rules one by one" in result.output


def test_strict_evidence_says_why_it_fails(pytester, subject):
    text = HEAD + check(1, NO_EVIDENCE)
    output = run(pytester, text, "--checkpoint", subject, "--strict-evidence").output
    assert output.strip().endswith("verdict: FAIL: 1 without evidence (--strict-evidence)")


def test_collecting_alone_tells_no_verdict(pytester, subject):
    own(pytester, EIGHT)
    result = pytester.runpytest_inprocess("check_own.py", "--checkpoint", subject, "--collect-only")
    assert result.ret == 0
    assert "verdict:" not in result.stdout.str()


def test_the_node_id_carries_the_subject(pytester, subject):
    own(pytester, EIGHT)
    other = pytester.mkdir("other")
    arguments = ("--checkpoint", subject, "--checkpoint", other)
    result = pytester.runpytest_inprocess(
        "check_own.py::check_1[other]", *arguments, "-v", "-p", "no:cacheprovider"
    )
    result.stdout.fnmatch_lines(["check_own.py::check_1[[]other[]] PASSED*"])
    assert "check_1[my-run]" not in result.stdout.str()


def test_a_rule_that_can_be_an_error_is_selected_as_one(pytester, subject):
    text = HEAD + check(1, verdict(ok=False), severity="WARNING")
    text = text.replace("severity=WARNING", "severity=WARNING, up_to=ERROR")
    assert sorted(run(pytester, text, "--checkpoint", subject, "-m", "error").outcomes) == [
        "TEAM001"
    ]


@pytest.fixture
def clone(pytester):
    """Another copy of the repository than the one that the plugin comes from."""
    folder = pytester.path / "clone"
    shutil.copytree(CHECKS, folder / "checks", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "pytest_colintern").mkdir()
    (folder / "pytest_colintern" / "plugin.py").touch()
    return folder


def test_a_clones_checks_are_the_installed_ones(pytester, clone):
    result = audit(pytester, "--checkpoint", "demo", checks=clone / "checks")
    assert result.exit_code == 0, result.output
    assert result.outcomes["ADP003"] == "passed"
    assert "LIV001" not in result.outcomes


def test_a_changed_clones_checks_are_refused(pytester, clone):
    path = clone / "checks" / "configuration" / "check_processor.py"
    path.write_text(path.read_text() + "\n")
    result = audit(pytester, "--checkpoint", "demo", checks=clone / "checks")
    assert result.exit_code not in (0, 5)
    assert f"and {path})" in result.output.replace("\n", "")


def test_a_clones_checks_want_a_checkpoint(pytester, clone):
    result = pytester.runpytest_inprocess(str(clone / "checks"))
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*--checkpoint PATH*"])
