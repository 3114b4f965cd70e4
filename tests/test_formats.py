import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import jsonschema
import pytest
from auditing import CHECKS, audit
from own_checks import EIGHT, HEAD, WAIVE_SEVEN, check

import pytest_colintern

SCHEMA = json.loads(
    Path(pytest_colintern.__file__).with_name("audit.schema.json").read_text(encoding="utf-8")
)
HOSTILE = (
    "<script>alert(1)</script> | @you ::error:: `x` [a](javascript:alert(1)) </script>"
    " \x1b[31m \u202e =1+1 #1 ![x](y) \n\n# head %0A"
)


@pytest.fixture
def outputs(pytester, tmp_path):
    (pytester.path / "check_own.py").write_text(EIGHT)
    (pytester.path / "pyproject.toml").write_text(WAIVE_SEVEN)
    folder = tmp_path / "run a"
    folder.mkdir()
    return write(pytester, folder)


def write(pytester, *folders):
    files = {name: pytester.path / f"out.{name}" for name in ("md", "sarif", "xml")}
    result = audit(
        pytester,
        *(f"--checkpoint={folder}" for folder in folders),
        f"--audit-markdown={files['md']}",
        f"--audit-sarif={files['sarif']}",
        f"--junitxml={files['xml']}",
        checks="check_own.py",
    )
    return result, {name: path.read_text(encoding="utf-8") for name, path in files.items()}


def validate(document):
    jsonschema.Draft202012Validator(SCHEMA).validate(document)


def test_json_holds_to_its_schema(outputs):
    result, _ = outputs
    validate(result.document)


@pytest.mark.parametrize(
    "break_it",
    [
        lambda document: document.pop("verdict"),
        lambda document: document["counts"].update(skipped=1),
        lambda document: document["checks"][0].update(outcome="ok"),
        lambda document: document["subjects"][0].update(verdict="maybe"),
    ],
)
def test_schema_refuses_other_documents(outputs, break_it):
    result, _ = outputs
    break_it(result.document)
    with pytest.raises(jsonschema.ValidationError):
        validate(result.document)


def test_sarif_tells_the_findings_of_the_json(outputs):
    result, texts = outputs
    (sarif,) = json.loads(texts["sarif"])["runs"]
    told = {each["ruleId"]: each for each in sarif["results"]}
    findings = ("failed", "warned", "noted", "waived", "error")
    assert sorted(told) == result.of_outcome(*findings)
    levels = {"error": "error", "warning": "warning", "info": "note"}
    for rule, entry in told.items():
        recorded = result.check(rule)
        assert entry["level"] == levels[recorded["severity"]]
        assert recorded["observed"] in entry["message"]["text"]
        assert ("suppressions" in entry) == (recorded["outcome"] == "waived")
        assert sarif["tool"]["driver"]["rules"][entry["ruleIndex"]]["id"] == rule


def test_sarif_locations_are_valid_references(outputs):
    _, texts = outputs
    for entry in json.loads(texts["sarif"])["runs"][0]["results"]:
        uri = entry["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
        assert re.fullmatch(r"(file://)?[\w./~%-]+", uri, re.ASCII), uri


def test_junit_tells_the_outcomes_of_the_json(outputs):
    result, texts = outputs
    told = {}
    for case in ET.fromstring(texts["xml"]).iter("testcase"):  # noqa: S314 - our own file
        properties = {each.get("name"): each.get("value") for each in case.iter("property")}
        told[properties["rule"]] = properties
    assert {rule: each["outcome"] for rule, each in told.items()} == result.outcomes
    for rule, properties in told.items():
        recorded = result.check(rule)
        assert properties["severity"] == recorded["severity"]
        assert properties["observed"] == recorded["observed"]


def test_markdown_tells_findings_and_what_was_not_judged(outputs):
    result, texts = outputs
    assert texts["md"].startswith("## ColIntern audit: FAIL\n")
    rows = dict(re.findall(r"^\| (TEAM\d+) \S+ \| (\w+)", texts["md"], re.MULTILINE))
    shown = {"failed", "warned", "noted", "waived", "error"}
    assert rows == {rule: each for rule, each in result.outcomes.items() if each in shown}
    for rule in result.of_outcome("no_evidence", "blocked"):
        assert f"- {rule} " in texts["md"]


def test_several_subjects_have_a_table_worst_first(pytester, tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    (tmp_path / "b" / "bad").touch()
    body = 'return Verdict(not (layout.path / "bad").exists(), observed="", expected="", where="")'
    (pytester.path / "check_own.py").write_text(HEAD + check(1, body))
    _, texts = write(pytester, tmp_path / "a", tmp_path / "b")
    rows = re.findall(r"^\| (a|b) \| (\w+) \| 1 of 1", texts["md"], re.MULTILINE)
    assert rows == [("b", "fail"), ("a", "pass")]


def test_hostile_text_stays_text(pytester, tmp_path):
    body = f"return Verdict(False, observed={HOSTILE!r}, expected={HOSTILE!r}, where={HOSTILE!r})"
    (pytester.path / "check_own.py").write_text(HEAD + check(1, body))
    folder = tmp_path / "<img src=x onerror=alert(1)>\x1b[2J|`@me`"
    folder.mkdir()
    result, texts = write(pytester, folder)
    validate(result.document)
    for text in (result.output, *texts.values()):
        assert "\x1b" not in text
        assert "\u202e" not in text
    for live in ("<script", "<img", "@you", "](javascript:", "\n# head", " `x`"):
        assert live not in texts["md"]
    (row,) = [line for line in texts["md"].split("\n") if line.startswith("| TEAM001")]
    assert len(re.findall(r"(?<!\\)\|", row)) == 6
    ET.fromstring(texts["xml"])  # noqa: S314 - our own file


@pytest.mark.parametrize(
    ("place", "uri"),
    [
        ("{here}/runs/a b/x.json", "runs/a%20b/x.json"),
        ("/elsewhere/x.json", "file:///elsewhere/x.json"),
        ("results of v1", "results%20of%20v1"),
    ],
)
def test_sarif_reference_is_relative_to_the_repository(pytester, tmp_path, place, uri):
    where = place.format(here=Path.cwd())
    body = f'return Verdict(False, observed="", expected="", where={where!r})'
    (pytester.path / "check_own.py").write_text(HEAD + check(1, body))
    _, texts = write(pytester, tmp_path)
    (entry,) = json.loads(texts["sarif"])["runs"][0]["results"]
    assert entry["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == uri


REVERSED = """
import pytest

@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    items.reverse()
"""


@pytest.mark.parametrize("arguments", [["-n", "8"], ["-p", "backwards"]])
def test_workers_and_order_change_no_format(pytester, tmp_path, healthy_run, arguments):
    (pytester.path / "backwards.py").write_text(REVERSED)
    pytester.syspathinsert()
    (healthy_run / "trainer_state.json").write_text("{")
    texts = {}
    for name, extra in {"one": [], "other": arguments}.items():
        files = {kind: pytester.path / f"{name}.{kind}" for kind in ("json", "markdown", "sarif")}
        done = pytester.runpytest_subprocess(
            str(CHECKS),
            f"--checkpoint={healthy_run}",
            f"--checkpoint={tmp_path}",
            *(f"--audit-{kind}={path}" for kind, path in files.items()),
            *extra,
        )
        assert done.ret == 1
        texts[name] = [timeless(path.read_text()) for path in files.values()]
    assert texts["one"] == texts["other"]


def timeless(text):
    return re.sub(r'"duration_seconds": [\d.e-]+|\d+\.\d s', "", text)
