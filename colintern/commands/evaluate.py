# ruff: noqa: D301 - click reads the control character \b as "keep these lines"
"""`colintern evaluate`: score a checkpoint on ViDoRe and the generated pages, by MTEB."""

import click

from colintern.commands.options import CONTEXT, evaluation_options, extra


@click.command(context_settings=CONTEXT)
@click.option("--model-path", required=True, metavar="PATH", help="As `colintern audit` takes it.")
@evaluation_options
@click.pass_context
def evaluate(context: click.Context, /, model_path: str, **options: object) -> None:
    """Score a checkpoint on ViDoRe and the generated pages, by MTEB.

    PATH is a run, checkpoint-N, adapter or merged model folder, a Hub id or demo. An adapter is
    merged, and the merge verified. Queries are formatted as the checkpoint says. Finished tasks are
    kept; those of other weights are moved away. Exit codes: 0 done, 1 a task failed, 2 usage error.

    \b
    Examples:
      colintern evaluate --model-path runs/a --batch-size 16 --benchmarks "ViDoRe(v1)" "ViDoRe(v2)"
      colintern evaluate --model-path runs/a --benchmarks VidoreDocVQARetrieval pages
      colintern evaluate --model-path runs/a --data-dir /data/vidore
    """
    with extra("eval"):
        from colintern.evaluation.command import (  # noqa: PLC0415 - imports torch
            prepare_environment,
            run_evaluation,
        )
        from colintern.evaluation.settings import Settings  # noqa: PLC0415 - as above

        prepare_environment()
        context.exit(run_evaluation(Settings.of(model_path, options)))
