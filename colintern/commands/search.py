# ruff: noqa: D301 - click reads the control character \b as "keep these lines"
"""`colintern search`: hyperparameters found by training with them, by Optuna."""

import click

from colintern.commands.options import RUN_CONTEXT, extra, run_options

_MOST_TRIALS = 100_000
_MOST_EVALUATIONS = 100


@click.command(context_settings=RUN_CONTEXT)
@click.option(
    "--trials",
    type=click.IntRange(0, _MOST_TRIALS),
    default=10,
    show_default=True,
    metavar="N",
    help="Finished trials that the study shall have, of all workers together.",
)
@click.option(
    "--recipe", default="guide_1b", show_default=True, metavar="NAME", help="To start from."
)
@click.option("--space", metavar="FILE", help="TOML or JSON: what to vary, and between what.")
@click.option(
    "--output-dir",
    metavar="DIR",
    help="Runs and results. [default: runs/search, and the best parameters also here]",
)
@click.option("--storage", metavar="URL", help="A database, for workers on many machines.")
@click.option("--study", default="colintern", show_default=True, metavar="NAME", help="Its name.")
@click.option(
    "--evaluations",
    type=click.IntRange(2, _MOST_EVALUATIONS),
    default=5,
    show_default=True,
    metavar="N",
    help="Measurements of NDCG@5 in the course of a trial.",
)
@click.option("--sampler-seed", type=int, metavar="N", help="For one worker that can be repeated.")
@run_options
@click.argument("flags", nargs=-1, type=click.UNPROCESSED, metavar="[TRAINING ARGUMENTS]")
@click.pass_context
def search(context: click.Context, /, flags: tuple[str, ...], **options: object) -> None:
    """Search hyperparameters: trials that train, are measured by NDCG@5, and stop early if poor.

    Takes every flag of `colintern train`. The first trial is the recipe as it is. The same command
    goes on with a study, and several at once share it: start one for each GPU, with one
    --output-dir on one machine, or with --storage on many. A trial whose worker died is done again,
    once. Leaves optuna_best_params.json, search.html and a run for each trial.

    Exit codes: 0 all trials finished, 1 had to stop, 2 usage error, 143 stopped on a signal.

    \b
    Examples:
      colintern search --trials 10
      colintern search --recipe tiny --num_train_epochs 1 --warmup_steps 0.1 --output-dir runs/s
      colintern search --space space.toml --eval-rows 300 --dataset ./pages --output-dir runs/s
      colintern search --trials 40 --storage postgresql://user@host/optuna --study invoices
      colintern search --trials 0 --output-dir runs/s   (shows the study as it is)
      colintern train --params runs/s/optuna_best_params.json --output-dir runs/best

    \b
    A space:
      [learning_rate]
      low = 1e-5
      high = 1e-4
      log = true
      [lora.rank]
      choices = [16, 32, 64]
      [warmup_ratio]
      low = 0.0
      high = 0.3
    """
    with extra("search"):
        from colintern.search.command import run_search  # noqa: PLC0415 - imports torch

        code = run_search(options, flags)
    context.exit(code)
