"""The command line of the plugin. Nothing here is imported that costs time."""

import pytest


def add_options(parser: pytest.Parser) -> None:
    """Add the group of options; every destination starts with `colintern_`."""
    group = parser.getgroup("colintern", "audit of trained checkpoints")
    group.addoption(
        "--checkpoint",
        dest="colintern_checkpoint",
        action="append",
        default=[],
        metavar="PATH",
        help="run directory, checkpoint-N, adapter, merged model, cached Hub id, demo or demo:NAME"
        " (repeatable)",
    )
    for flag, metavar, text in (
        (
            "--results",
            "DIR",
            "task results: JSON files in DIR, or in DIR/SUBJECT/**",
        ),
        ("--baseline", "DIR", "results to compare with (CMP rules)"),
        ("--merged", "DIR", "a merged model to verify against base + adapter"),
        ("--base", "DIR", "the base model, when the adapter's own path is not on this machine"),
        ("--family", "NAME", "the retriever family, when it cannot be told"),
        ("--guide", "FILE", "TOML that overrides thresholds of the guide"),
        (
            "--audit-baseline",
            "FILE",
            "an audit recorded with --audit-json: only findings that are new since then gate",
        ),
        ("--audit-json", "FILE", "write the audit as JSON (schema colintern.audit/2)"),
        ("--audit-markdown", "FILE", "write the audit as Markdown, for a pull request"),
        ("--audit-sarif", "FILE", "write the findings as SARIF 2.1.0, for code scanning"),
    ):
        group.addoption(
            flag, dest=_dest(flag), action="store", default=None, metavar=metavar, help=text
        )
    for flag, text in (
        ("--select", "judge only these rule ids or families, as ADP or LOG002,RES; repeatable"),
        ("--skip-rules", "do not judge these rule ids or families; repeatable"),
        (
            "--min-evidence",
            "fail unless these rules (or one rule of these families) could be judged; repeatable",
        ),
    ):
        group.addoption(
            flag, dest=_dest(flag), action="append", default=[], metavar="IDS", help=text
        )
    group.addoption(
        "--fail-on",
        dest="colintern_fail_on",
        choices=("error", "warning"),
        default=None,
        help="the least severity that fails the audit (default: error)",
    )
    group.addoption(
        "--strict-evidence",
        dest="colintern_strict_evidence",
        action="store_true",
        default=None,
        help="a rule that cannot be judged fails the audit",
    )
    group.addoption(
        "--live",
        dest="colintern_live",
        action="store_true",
        default=False,
        help="also the rules that load the model (LIV; needs the train extra)",
    )
    group.addoption(
        "--live-pages",
        dest="colintern_live_pages",
        action="store",
        default=None,
        metavar="DIR",
        help="with --live: your own pages, as images or as queries, corpus and qrels",
    )


def _dest(flag: str) -> str:
    return "colintern_" + flag.removeprefix("--").replace("-", "_")
