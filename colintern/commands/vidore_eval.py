# ruff: noqa: D301 - click reads the control character \b as "keep these lines"
"""`colintern vidore-eval`: score a checkpoint on the same tasks in little memory."""

import click

from colintern.commands.options import CONTEXT, evaluation_options, extra


@click.command(context_settings=CONTEXT)
@click.option(
    "--checkpoint-path", required=True, metavar="PATH", help="As `colintern audit` takes it."
)
@evaluation_options
@click.pass_context
def vidore_eval(context: click.Context, /, checkpoint_path: str, **options: object) -> None:
    """Score a checkpoint on the same tasks in little memory, by our streaming evaluator.

    Tasks, metrics and files are those of `colintern evaluate`. Pages are embedded longest first and
    kept on disk in half precision until their task is finished, so a killed evaluation goes on in
    the middle of a corpus, and languages that share one embed it once.

    \b
    Examples:
      colintern vidore-eval --checkpoint-path runs/a --batch-size 16
      colintern vidore-eval --checkpoint-path runs/a --benchmarks "ViDoRe(v3)" pages
      torchrun --nproc-per-node 8 -m colintern vidore-eval --checkpoint-path runs/a
    """
    with extra("eval"):
        from colintern.evaluation.command import (  # noqa: PLC0415 - imports torch
            prepare_environment,
            run_evaluation,
        )
        from colintern.evaluation.settings import Settings  # noqa: PLC0415 - as above

        prepare_environment()
        context.exit(run_evaluation(Settings.of(checkpoint_path, options), streaming=True))
