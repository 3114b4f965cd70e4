import ast
import html
import pickle
import re
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
from support.auditing import audit
from support.html_reports import made_report, result, written_page
from support.own_checks import HEAD, check
from test_formats import SCHEMA

import colintern
from colintern.engine.evidence import sources
from colintern.engine.missing import Missing, Source
from colintern.engine.outcome import Outcome
from colintern.engine.reports.markdown_report import markdown_report
from colintern.engine.reports.terminal import finding_lines
from pytest_colintern import NoEvidence

STRICT = ["--strict-evidence"]
ROOT = Path(colintern.__file__).parents[1]
SOURCES = {name: each for name, each in vars(sources).items() if isinstance(each, Source)}


@pytest.mark.parametrize(
    ("missing", "sentence", "short", "part"),
    [
        (Missing(source="OWNER"), "needs OWNER", "OWNER", ""),
        (
            Missing(source="task results", purpose="the scores", detail="looked in results"),
            "needs task results for the scores (looked in results)",
            "task results",
            "looked in results",
        ),
        (
            Missing(source="log.json", what="rows of a GPU", purpose="GPU memory"),
            "needs rows of a GPU in log.json for GPU memory",
            "log.json (rows of a GPU)",
            "rows of a GPU",
        ),
        (
            Missing(source="log.json", what="20 rows", detail="found 5"),
            "needs 20 rows in log.json (found 5)",
            "log.json (20 rows)",
            "20 rows (found 5)",
        ),
    ],
)
def test_record_reads_as_a_sentence(missing, sentence, short, part):
    assert (missing.sentence, missing.short, missing.part) == (sentence, short, part)
    assert str(NoEvidence.of(missing)) == sentence


@pytest.mark.parametrize("name", ["training_args.bin", "--something", "--baseline DIR"])
def test_text_of_a_team_is_a_source_and_no_option(name):
    missing = NoEvidence(name, needed_for="effective batch size").missing
    assert missing == Missing(source=name, purpose="effective batch size")
    assert not missing.is_option


FULL = Missing(source="a", what="b", detail="c", purpose="d", hint="e", is_option=True)


def test_whole_record_is_kept_and_travels():
    absence = NoEvidence.of(FULL)
    keywords = NoEvidence(
        Source("a", is_option=True), what="b", detail="c", needed_for="d", hint="e"
    )
    assert absence.missing == keywords.missing == FULL
    again = pickle.loads(pickle.dumps(absence))
    assert (type(again), again.missing, str(again)) == (NoEvidence, FULL, str(absence))


def test_record_reaches_another_process():
    program = (
        "import pickle, sys\n"
        "from colintern.engine.verdict import NoEvidence\n"
        "sys.stdout.buffer.write(pickle.dumps(NoEvidence('--x', needed_for='y', hint='z')))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, stdout=subprocess.PIPE)
    missing = pickle.loads(done.stdout).missing
    assert missing == Missing(source="--x", purpose="y", hint="z")


@pytest.mark.parametrize(
    ("what", "hint", "expected"),
    [("", None, "whole"), ("rows", None, "part"), ("rows", "own", "own"), ("", "", "")],
)
def test_hint_fits_what_is_absent(what, hint, expected):
    place = Source("f", "whole", "part")
    assert NoEvidence(place, what=what, needed_for="g", hint=hint).missing.hint == expected


def test_texts_of_artefacts_are_made_printable():
    hostile = dict.fromkeys(("source", "what", "detail", "purpose", "hint"), "\x1b[2J")
    shown = NoEvidence.of(Missing(**hostile)).missing
    assert {getattr(shown, name) for name in hostile} == {"\\x1b[2J"}


# Every place that raises


def evidence_calls(tree):
    """Calls that make a NoEvidence of the package's own, with the argument that is its source."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            position = {"NoEvidence": 0, "needed": 1}.get(name)
            if position is not None:
                yield node, node.args[position] if len(node.args) > position else None


def has_a_source(argument):
    """Whether it is `sources.NAME`, or the parameter `source` of a function that makes them."""
    if isinstance(argument, ast.Attribute):
        return getattr(argument.value, "id", "") == "sources" and argument.attr in SOURCES
    if isinstance(argument, ast.IfExp):
        return has_a_source(argument.body) and has_a_source(argument.orelse)
    return isinstance(argument, ast.Name) and argument.id == "source"


def own_files(*folders):
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def test_every_no_evidence_names_a_source():
    found = 0
    for path in own_files("colintern", "checks", "pytest_colintern"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for call, argument in evidence_calls(tree):
            found += 1
            place = f"{path.relative_to(ROOT)}:{call.lineno}"
            assert has_a_source(argument), f"{place}: {ast.unparse(call)}"
            assert any(keyword.arg == "needed_for" for keyword in call.keywords), place
    assert found > 100


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ('NoEvidence(sources.LOG, needed_for="x")', True),
        ('NoEvidence(sources.LOG if x else sources.BASE, needed_for="x")', True),
        ('needed(value, sources.LOG, "`loss`", needed_for="x")', True),
        ('NoEvidence("rows of a GPU in trainer_state.json", needed_for="x")', False),
        ('NoEvidence(f"{name} of the base", needed_for="x")', False),
        ('NoEvidence(sources.UNKNOWN, needed_for="x")', False),
        ('NoEvidence(needed_for="x")', False),
        ('needed(value, "trainer_state.json", needed_for="x")', False),
    ],
)
def test_a_raise_without_a_source_is_seen(text, holds):
    ((_, argument),) = evidence_calls(ast.parse(text))
    assert has_a_source(argument) is holds


def test_every_source_is_used():
    texts = [path.read_text(encoding="utf-8") for path in own_files("colintern", "checks")]
    unused = [name for name in SOURCES if not any(f"sources.{name}" in text for text in texts)]
    assert unused == []


# No report takes the sentence apart

CUTTING = {"partition", "rpartition", "split", "startswith", "endswith", "removeprefix", "find"}
CUT = {"observed", "sentence", "reason", "hint"}


def parsing_in(text):
    """What of a module takes the text of missing evidence apart again."""
    yield from (word for word in (" is needed for ", "OPTION_NOT_GIVEN") if word in text)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            of = getattr(node.func.value, "attr", getattr(node.func.value, "id", ""))
            if node.func.attr in CUTTING and (of in CUT or "missing" in of):
                yield ast.unparse(node)
            elif node.func.attr in {"search", "match", "fullmatch", "findall"}:
                read = [getattr(each, "attr", getattr(each, "id", "")) for each in node.args]
                yield from (ast.unparse(node) for each in read if each in CUT)


def test_no_report_parses_text():
    folders = ("colintern/engine", "colintern/report", "colintern/live", "pytest_colintern")
    for path in own_files(*folders):
        assert list(parsing_in(path.read_text(encoding="utf-8"))) == [], path


@pytest.mark.parametrize(
    "text",
    [
        'what = result.observed.partition(" is needed for ")[0]',
        "x = OPTION_NOT_GIVEN",
        'option = result.observed.startswith("--")',
        'option = missing.startswith("--")',
        'helpful = not item.hint.startswith("Only for")',
        "file = FILE.findall(result.observed)",
    ],
)
def test_parsing_is_seen(text):
    assert list(parsing_in(text))


# What a person is told

ADVISED = [
    *((name, "", each.hint) for name, each in SOURCES.items() if each.hint),
    *((name, "a part", each.part_hint) for name, each in SOURCES.items() if each.part_hint),
]


def report_of(absence):
    fields = {"missing": absence.missing, "observed": str(absence)}
    return made_report(["run"], [result(1, "run", Outcome.NO_EVIDENCE, **fields)])


@pytest.mark.parametrize(("name", "what", "hint"), ADVISED)
def test_each_hint_is_shown(tmp_path, name, what, hint):
    source = SOURCES[name]
    report = report_of(NoEvidence(source, what=what, needed_for="a figure"))
    page = written_page(tmp_path / "page.html", report).read_text(encoding="utf-8")
    unjudged = page.partition('id="unjudged"')[2].partition("</section>")[0]
    shown = html.unescape(re.sub(r"<[^>]*>", "", unjudged))
    for text in (source.name, what, hint, "a figure"):
        assert text.replace("`", "") in shown.replace("`", ""), text


def test_options_have_no_hint_and_are_not_asked_for(tmp_path):
    options = [each for each in SOURCES.values() if each.is_option]
    assert {each.name for each in options} == {"--baseline DIR", "--merged DIR", "--live"}
    for each in options:
        assert each.hint == each.part_hint == ""
        report = report_of(NoEvidence(each, needed_for="a figure"))
        page = written_page(tmp_path / "page.html", report).read_text(encoding="utf-8")
        assert 'id="unjudged"' not in page
        assert f"    {each.name}: TEAM0001" in dict(
            finding_lines(report.subjects[0], verbose=False)
        )


def test_markdown_has_the_sentence():
    report = report_of(NoEvidence("OWNER", needed_for="the owner of the run"))
    assert "needs OWNER for the owner of the run" in "".join(markdown_report(report))


TEAM = HEAD + check(1, 'raise NoEvidence("--something", needed_for="x", what="rows", hint="ask")')


@pytest.mark.parametrize(("options", "exit_code", "gates"), [([], 5, False), (STRICT, 1, True)])
def test_dashes_of_a_team_are_no_way_out(pytester, tmp_path, options, exit_code, gates):
    (pytester.path / "check_dashes.py").write_text(TEAM)
    arguments = (f"--checkpoint={tmp_path}", *options)
    done = audit(pytester, *arguments, checks="check_dashes.py")
    jsonschema.Draft202012Validator(SCHEMA).validate(done.document)
    (found,) = done.document["checks"]
    assert (done.exit_code, found["gates"]) == (exit_code, gates)
    assert found["missing"] == {
        "source": "--something",
        "what": "rows",
        "detail": "",
        "purpose": "x",
        "hint": "ask",
        "is_option": False,
    }


def test_option_not_given_does_not_gate(pytester, healthy_run):
    done = audit(pytester, "--checkpoint", healthy_run, "--select", "CMP,ADP020", *STRICT)
    assert {check["rule"]: check["missing"]["source"] for check in done.document["checks"]} == {
        "ADP020": "--merged DIR",
        "CMP001": "--baseline DIR",
        "CMP002": "--baseline DIR",
    }
    assert all(check["missing"]["is_option"] for check in done.document["checks"])
    assert not any(check["gates"] for check in done.document["checks"])
