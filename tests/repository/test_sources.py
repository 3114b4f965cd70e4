"""What code and pages cite can be opened by whoever has the package."""

import re
from pathlib import Path

import pytest

from colintern.commands.docs import FOLDER, entries_of
from colintern.engine.catalogue import shipped_rules
from colintern.engine.sources import PAGE, cited_entries

REPOSITORY = Path(__file__).parents[2]
ENTRY = re.compile(r"([A-Z]\d{2}) ")
RULE = re.compile(r"\b[A-Z]{3}\d{3}\b")
FOREIGN = re.compile(
    r"failure-modes|\bFACTS(?:\.md| \d)|(?:rules|peers|design|style|probes)\.md|[Dd]esign,? \d"
    r"|(?:our|public) corpus\b|corpus of public|labels\.tsv"
)
"""Documents and data that are not in the repository."""


def texts():
    """Every text of the packages by its name, white space and comment signs taken out."""
    for folder in ("colintern", "checks", "pytest_colintern"):
        for ending in ("*.py", "*.md", "*.jinja2", "*.js"):
            for path in sorted((REPOSITORY / folder).rglob(ending)):
                yield path.relative_to(REPOSITORY).as_posix(), flat(path.read_text("utf-8"))
    yield "README.md", flat((REPOSITORY / "README.md").read_text("utf-8"))


def flat(text):
    return re.sub(r"\s*\n\s*(?:#\s)?\s*", " ", text)


def entries():
    page = entries_of((FOLDER / f"{PAGE}.md").read_text("utf-8"))
    return {found[1]: text for title, text in page.items() if (found := ENTRY.match(title))}


def lost_citations(text, known):
    return [entry for entry in cited_entries(text) if entry not in known]


def foreign_documents(text):
    return FOREIGN.findall(text)


def test_every_citation_has_its_entry():
    known = entries()
    cited = {name: cited_entries(text) for name, text in texts()}
    assert sum(map(len, cited.values())) > 100
    lost = {name: lost_citations(text, known) for name, text in texts()}
    assert {name: found for name, found in lost.items() if found} == {}


def test_nothing_cites_what_is_not_in_the_repository():
    found = {name: foreign_documents(text) for name, text in texts()}
    assert {name: each for name, each in found.items() if each} == {}


@pytest.mark.parametrize("text", ["sources Z99.", "Sources F03, Z99", "see (sources\nZ99)"])
def test_a_lost_citation_is_found(text):
    assert lost_citations(flat(text), entries()) == ["Z99"]


@pytest.mark.parametrize(
    "text",
    ["failure-modes F03", "(design 9)", "Design 6.", "FACTS 1", "rules.md says", "in our corpus"],
)
def test_a_foreign_document_is_found(text):
    assert foreign_documents(text)


def test_an_entry_lists_the_rules_that_cite_it():
    rules, known = shipped_rules(), entries()
    for entry, text in known.items():
        listed = set(RULE.findall(text.partition("- Rules: ")[2].partition("\n- ")[0]))
        citing = {rule.id for rule in rules.values() if entry in cited_entries(rule.source)}
        assert citing <= listed <= rules.keys(), entry


def test_entries_have_text_and_links_that_are_links():
    for entry, text in entries().items():
        assert len(text.split()) > 15, entry
        links = text.partition("- Links: ")[2].split()
        assert all(re.fullmatch(r"https://\S+[\w/]", link) for link in links), entry
