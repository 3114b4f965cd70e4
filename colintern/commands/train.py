# ruff: noqa: D301 - click reads the control character \b as "keep these lines"
"""`colintern train`: a recipe made into a checkpoint."""

import click

from colintern.commands.options import RUN_CONTEXT, extra, run_options


@click.command(context_settings=RUN_CONTEXT)
@click.option("--recipe", metavar="NAME", help="As listed above. [default: guide_1b]")
@click.option("--output-dir", required=True, metavar="DIR", help="An empty or new folder.")
@click.option("--params", metavar="FILE", help="Parameters that `colintern search` found.")
@run_options
@click.option("--resume", is_flag=True, help="Go on from the newest whole checkpoint, if any.")
@click.option(
    "--stop-on",
    type=click.Choice(["error", "warning", "never"]),
    default="never",
    show_default=True,
    help="Findings of the live audit that end the run, with a checkpoint.",
)
@click.option("--dry-run", is_flag=True, help="Print the plan: no weights, data or Hub.")
@click.argument("flags", nargs=-1, type=click.UNPROCESSED, metavar="[TRAINING ARGUMENTS]")
@click.pass_context
def train(context: click.Context, /, flags: tuple[str, ...], **options: object) -> None:
    """Train a retriever by a recipe, and record what the audit needs.

    Recipes: guide_1b, guide_2b, guide_4b, tiny, guide_as_written, poor_settings. Every flag of
    Hugging Face's TrainingArguments works, with hyphens or underscores. Ctrl-C and SIGTERM save a
    checkpoint first. --resume refuses another value of what decides the steps (base, LoRA, loss,
    data, batch, rate, schedule, length, seed, processes); saving, logging, evaluation, workers,
    --chunk-size and --on-bad-row may change. The run is audited as it trains: findings are told
    once, written to colintern_live.json, and shown by `colintern watch`. They end the run only
    with --stop-on, because you may want it as it is; unattended runs should say --stop-on error.
    Exit codes: 0 trained, 1 had to stop, 2 usage error, 3 ended by --stop-on, 143 saved on a
    signal.

    \b
    Examples:
      colintern train --recipe tiny --output-dir runs/tiny
      colintern train --output-dir runs/a --lr 5e-5 --peft --num_train_epochs 5
      colintern train --output-dir runs/b --contrastive-batch-size 64 --chunk-size 4
      colintern train --output-dir runs/a --lr 5e-5 --peft --num_train_epochs 5 --resume
      colintern train --output-dir runs/a --stop-on error
      colintern train --params optuna_best_params.json --output-dir runs/best
      colintern train --output-dir runs/c --set lora.rank=16 --dry-run
      torchrun --nproc-per-node 4 -m colintern train --output-dir runs/d
    """
    with extra("train"):
        from colintern.training.command import run_training  # noqa: PLC0415 - imports torch

        code = run_training(options, flags)
    context.exit(code)
