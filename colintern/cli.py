# ruff: noqa: D301 - click reads the control character \b as "keep these lines"
"""The command line. Commands import what they need when they run, so that `--help` is quick."""

import click

import colintern

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@click.group(context_settings=CONTEXT)
@click.version_option(colintern.__version__, prog_name="colintern")
def main() -> None:
    """Train, evaluate and audit ColPali-style visual document retrievers.

    \b
    Examples:
      colintern audit runs/my-checkpoint
      colintern audit demo --audit-json audit.json
      colintern rules ADP003
      colintern train --recipe tiny --output-dir runs/tiny
    """


@main.command(context_settings=CONTEXT)
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option(
    "--results", metavar="DIR", help="Task results: JSON files in DIR or in DIR/SUBJECT/**."
)
@click.option("--baseline", metavar="DIR", help="Results to compare with (CMP rules).")
@click.option("--merged", metavar="DIR", help="A merged model to verify against base + adapter.")
@click.option("--base", metavar="DIR", help="The base model, when its recorded path is not here.")
@click.option("--family", metavar="NAME", help="The retriever family, when it cannot be told.")
@click.option("--guide", metavar="FILE", help="TOML that overrides thresholds of the guide.")
@click.option(
    "--checks", metavar="PATH", multiple=True, help="Your own check_*.py files or folders."
)
@click.option(
    "--select", metavar="IDS", multiple=True, help="Only these rules or families: ADP,LOG002."
)
@click.option("--skip-rules", metavar="IDS", multiple=True, help="Not these rules or families.")
@click.option(
    "--fail-on", type=click.Choice(["error", "warning"]), help="What gates (default: error)."
)
@click.option(
    "--strict-evidence", is_flag=True, help="A rule that cannot be judged fails the audit."
)
@click.option("--live", is_flag=True, help="Also the rules that load the model (train extra).")
@click.option("--audit-json", metavar="FILE", help="Write the audit as JSON.")
@click.option("--audit-markdown", metavar="FILE", help="Write the audit as Markdown.")
@click.option("--audit-sarif", metavar="FILE", help="Write the findings as SARIF.")
@click.option("--html", metavar="FILE", help="Write a self-contained HTML report (pytest-html).")
@click.option("--junitxml", metavar="FILE", help="Write a JUnit file.")
@click.option("-n", "workers", metavar="N", help="Judge in N processes (needs pytest-xdist).")
@click.option("-v", "--verbose", is_flag=True, help="Show every check, passed ones too.")
@click.pass_context
def audit(context: click.Context, /, **options: object) -> None:
    """Judge trained checkpoints by every rule, without torch, in about a second.

    PATH is a run directory, one checkpoint-N, an adapter or merged model folder, a Hub id in the
    local cache, demo or demo:NAME. Exit codes: 0 pass, 1 fail, 2 interrupted, 3 internal error,
    4 usage error, 5 inconclusive.

    \b
    Examples:
      colintern audit runs/colintern-1b
      colintern audit runs/a runs/b --results results/mteb_evaluation
      colintern audit runs/a --select ADP,PRJ --fail-on warning
    """
    from pytest_colintern.command import run_audit  # noqa: PLC0415 - pytest costs 0.3 s to import

    context.exit(run_audit(options))


@main.command(context_settings=CONTEXT)
@click.argument("rule", required=False, metavar="[ID]")
def rules(rule: str | None) -> None:
    """Print the catalogue of rules, or one rule's page.

    \b
    Examples:
      colintern rules
      colintern rules ADP
      colintern rules ADP003
    """
    from pytest_colintern.catalogue_pages import catalogue_text  # noqa: PLC0415 - imports every rule

    try:
        click.echo(catalogue_text(rule))
    except LookupError as error:
        raise click.UsageError(str(error.args[0])) from error


@main.command(context_settings={**CONTEXT, "ignore_unknown_options": True})
@click.option(
    "--recipe", default="guide_1b", show_default=True, metavar="NAME", help="As listed above."
)
@click.option(
    "--output-dir", "--output_dir", required=True, metavar="DIR", help="An empty or new folder."
)
@click.option("--lr", type=float, metavar="RATE", help="Peak learning rate.")
@click.option("--peft/--no-peft", default=True, help="Train LoRA, the only way there is.")
@click.option("--base", metavar="NAME", help="Folder or Hub id of the base model.")
@click.option("--dataset", metavar="NAME", help="Hub id, folder, parquet file, or images + JSONL.")
@click.option("--eval-rows", type=int, metavar="N", help="Rows held out for the evaluation loss.")
@click.option("--negatives-column", metavar="NAME", help="Column with lists of hard negatives.")
@click.option("--num-negatives", type=int, metavar="N", help="Hard negatives of every row.")
@click.option("--on-bad-row", type=click.Choice(["skip", "fail"]), help="Empty query, broken page.")
@click.option(
    "--contrastive-batch-size", "batch", type=int, metavar="N", help="Pages compared at once."
)
@click.option(
    "--chunk-size", type=int, metavar="N", help="Pages in memory at once; caches a batch."
)
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="As lora.rank=8.")
@click.option("--resume", is_flag=True, help="Go on from the newest whole checkpoint, if any.")
@click.option("--download", is_flag=True, help="Fetch base and data from the Hub if not cached.")
@click.option("--dry-run", is_flag=True, help="Print the plan: no weights, data or Hub.")
@click.argument("flags", nargs=-1, type=click.UNPROCESSED, metavar="[TRAINING ARGUMENTS]")
@click.pass_context
def train(context: click.Context, /, flags: tuple[str, ...], **options: object) -> None:
    """Train a retriever by a recipe, and record what the audit needs.

    Recipes: guide_1b, guide_2b, guide_4b, tiny, guide_as_written, poor_settings. Every flag of
    Hugging Face's TrainingArguments works, with hyphens or underscores. Ctrl-C and SIGTERM save a
    checkpoint first. Exit codes: 0 trained, 1 had to stop, 2 usage error, 143 saved on a signal.

    \b
    Examples:
      colintern train --recipe tiny --output-dir runs/tiny
      colintern train --output-dir runs/a --lr 5e-5 --peft --num_train_epochs 5
      colintern train --output-dir runs/b --contrastive-batch-size 64 --chunk-size 4
      colintern train --output-dir runs/a --resume
      colintern train --output-dir runs/c --set lora.rank=16 --dry-run
      torchrun --nproc-per-node 4 -m colintern train --output-dir runs/d
    """
    try:
        from colintern.training.command import run_training  # noqa: PLC0415 - as above
    except ModuleNotFoundError as error:
        raise click.UsageError(
            f"training needs the extra `train` ({error.name} is missing): "
            f"uv pip install 'colintern[train]', or -e '.[train]' in a clone"
        ) from error

    context.exit(run_training(options, flags))
