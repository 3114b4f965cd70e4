"""ENV: the software that a run was made with, and whether it can be made again."""

from colintern.artifacts.printable import listed
from colintern.artifacts.run.layout import RunLayout
from colintern.engine.rule import rule
from colintern.engine.verdict import INFO, WARNING, Verdict
from colintern.facts.versions import VersionPair


@rule(
    "ENV001",
    "versions-incompatible",
    severity=WARNING,
    setting="Software",
)
def check_versions_fit(compared_versions: tuple[VersionPair, ...]) -> Verdict:
    """Recorded versions are outside the bounds that they declare for each other.

    Why: transformers moved the layers of vision-language models in 4.52 and in 5.0; an engine or a
        PEFT of another time loads such a checkpoint with a part of its weights and no error.
    Evidence: versions in colintern_run.json, colintern_eval.json, the model card's "Framework
        versions" and `peft_version` in adapter_config.json. Training and evaluation are judged
        apart. An engine whose bounds we do not know leaves the rest unjudged, unless it is wrong.
    Fix: install the versions that colpali-engine declares: `pip install "colpali-engine[train]"`.
    Source: metadata of the colpali-engine releases on PyPI; sources K01, K02.
    """
    wrong = [pair for pair in compared_versions if not pair.compatible]
    return Verdict(
        not wrong,
        observed=listed([str(pair) for pair in wrong])
        or f"{len(compared_versions)} recorded pairs within their bounds",
        expected="versions within the bounds that they declare for each other",
        where=None,
    )


@rule("ENV002", "provenance-missing", severity=INFO)
def check_provenance_is_recorded(layout: RunLayout, unrecorded: tuple[str, ...]) -> Verdict:
    """The run cannot be repeated from what it recorded.

    Why: without the commit, the data's revision and the manifest nobody can say later what made
        this checkpoint, and two runs cannot be compared.
    Evidence: colintern_run.json; git_hash.txt. A manifest that cannot be read is not judged:
        SEC003 names it.
    Fix: train with `colintern train`, which records all of it.
    Source: sources J07, H09.
    """
    return Verdict(
        not unrecorded,
        observed=f"not recorded: {', '.join(unrecorded)}"
        if unrecorded
        else "manifest, commit and data",
        expected="a run manifest, the commit of the code and the revision of the data",
        where=layout.path,
    )
