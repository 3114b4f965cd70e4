"""What to try next, in order: the root causes, the gravest first, with the guide's own advice."""

import shlex
from collections.abc import Iterator, Sequence
from typing import Final

from colintern.artifacts.printable import printable
from colintern.engine.outcome import CheckResult, Outcome
from colintern.engine.reports.missing_evidence import missing_evidence
from colintern.engine.rule_families import families_to
from colintern.families.catalogue import family_named
from colintern.families.family import Family
from colintern.recipes.named import recipe_of
from colintern.report.document import Block, Heading, Paragraph, Section, Step, Steps
from colintern.report.reported_run import ReportedRun, mark_of
from colintern.report.troubleshooting import WHOLE_CHECKLIST, Entry, checklist, entries_named

MOST_ROOTS: Final = 12
"""Root causes told as steps; a run with more has a fault that hides behind all of them."""
_MOST_MISSING: Final = 3
_FINE: Final = (Outcome.PASSED, Outcome.NOTED)


def next_section(runs: Sequence[ReportedRun]) -> Section:
    """Say of every run what to do, in order."""
    blocks: list[Block] = []
    for run in runs:
        if run.letter:
            blocks.append(Heading(run.heading))
        if not run.audit.roots:
            blocks.append(Paragraph(_nothing_to_mend(run)))
        steps = tuple(run_steps(run))
        blocks += [Steps(steps)] if steps else []
    number = sum(len(run.audit.roots) for run in runs)
    several = number > 1
    aside = f"{number} root cause{'s, the gravest first' if several else ''}" if number else ""
    return Section("next", "What to try next", tuple(blocks), aside)


def run_steps(run: ReportedRun) -> Iterator[Step]:
    """Yield the steps: mend each root cause, try again, then let more of it be judged."""
    results = [run.audit.result(root.rule) for root in run.audit.roots]
    for root, result in list(zip(run.audit.roots, results, strict=True))[:MOST_ROOTS]:
        yield _mend(run, result, root.explains)
    if len(results) > MOST_ROOTS:
        more = ", ".join(result.rule for result in results[MOST_ROOTS:])
        yield Step(f"{len(results) - MOST_ROOTS} more root causes", more)
    if results:
        yield _try_again(run, {result.family for result in results})
    helpful = [item for item in missing_evidence([run.audit]) if item.hints]
    if helpful:
        yield Step(
            "Let more of it be judged",
            facts=tuple(
                (printable(item.name, limit=80), item.hint) for item in helpful[:_MOST_MISSING]
            ),
        )
    if run.audit.verdict == "pass" and not results:
        path = _quoted(run)
        yield Step("Keep it so: gate it in CI", code=(f"pytest checks/ --checkpoint {path}",))


def next_line(run: ReportedRun) -> str:
    """Return the first step in one line."""
    if not run.audit.roots:
        return _nothing_to_mend(run)
    result = run.audit.result(run.audit.roots[0].rule)
    return f"{result.rule}: {result.fix}"


def _nothing_to_mend(run: ReportedRun) -> str:
    if run.audit.verdict == "inconclusive":
        return "Nothing about the model could be judged."
    unmet = run.audit.unmet
    if unmet:
        return f"Not judged, but the policy wants it: {', '.join(unmet)}."
    if run.audit.verdict == "fail":
        return "A rule broke, or missing evidence gates: see the audit below."
    return "Nothing to mend: no check found a fault."


def _mend(run: ReportedRun, result: CheckResult, explains: Sequence[str]) -> Step:
    entries = entries_named(result.advice)
    facts = [("Because", result.observed)]
    if result.where:
        facts.append(("Where", result.where))
    facts += [("The guide", f"{entry.section}: {entry.text}") for entry in entries]
    if WHOLE_CHECKLIST in result.advice and not entries:
        facts += _gone_through(run)
    if explains:
        names = (f"{rule} {run.audit.result(rule).name}" for rule in explains)
        facts.append(("Explains", ", ".join(names)))
    code = tuple(line for entry in entries for line in _code(run, entry))
    return Step(
        f"{result.rule} {result.name}",
        _sentence(result.fix),
        tuple(dict.fromkeys(code)),
        tuple(facts),
        mark_of(result.outcome),
    )


def _gone_through(run: ReportedRun) -> Iterator[tuple[str, str]]:
    """Go through the guide's list for a poor model: what is done already, and what is not known."""
    done, unknown = [], []
    for entry in checklist():
        results = [result for result in run.audit.results if entry.name in result.satisfies]
        if any(result.is_finding for result in results):
            continue  # It is a root cause of its own, or one explains it.
        if results and all(result.outcome in _FINE for result in results):
            seen = "; ".join(f"{result.observed} ({result.rule})" for result in results)
            done.append(f"{entry.text} {_sentence(seen)}.")
        else:
            unknown.append(entry.text)
    if done:
        yield "Done already, of the guide's list", " ".join(done)
    if unknown:
        yield "Not recorded, of the guide's list", " ".join(unknown)


def _try_again(run: ReportedRun, families: set[str]) -> Step:
    path = _quoted(run)
    if families & families_to("train"):
        recipe = recipe_of(run.audit.identity.family)
        flag = f"--recipe {recipe} " if recipe else ""
        return Step(
            "Train again, and see whether it helped",
            code=(
                f"colintern train {flag}--output-dir runs/next",
                f"colintern evaluate --model-path runs/next{_benchmarks(run)}",
                "colintern audit runs/next",
                f"colintern compare {path} runs/next",
            ),
        )
    if families & families_to("evaluate"):
        commands = (
            f"colintern evaluate --model-path {path}{_benchmarks(run)}",
            f"colintern audit {path}",
        )
        return Step("Evaluate again, and look again", code=commands)
    return Step("Look again", code=(f"colintern audit {path}",))


def _benchmarks(run: ReportedRun) -> str:
    """The tiny family can read the generated pages only."""
    family = _family(run)
    only = family.only_benchmark if family is not None else None
    return f" --benchmarks {only}" if only else ""


def _family(run: ReportedRun) -> Family | None:
    return family_named(run.audit.identity.family or "")


def _code(run: ReportedRun, entry: Entry) -> Iterator[str]:
    family = _family(run)
    if entry.of_its_model and (family is None or not family.is_guides_own):
        return
    for line in entry.code:
        yield line.replace("{run!r}", repr(run.audit.identity.path))


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _quoted(run: ReportedRun) -> str:
    """Return the run as a shell takes it, whatever its name is."""
    name = run.name
    return name if name.startswith("demo:") else shlex.quote(run.audit.identity.path)
