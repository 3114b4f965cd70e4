# ruff: noqa: D301 - click reads the control character \b as "keep these lines"
"""`colintern plan`: hyperparameters, memory and time of a run, before it is started."""

import math

import click

from colintern.commands.options import CONTEXT

_MOST_GIGABYTES = 4096
_MOST_PAIRS = 10**9
_GUIDE_GIGABYTES = 32


@click.command(context_settings=CONTEXT)
@click.argument("model", default="1B", metavar="[MODEL]")
@click.option(
    "--gpu-memory",
    type=click.FloatRange(1, _MOST_GIGABYTES),
    metavar="GB",
    help="Of one GPU (default: the smallest one here, else the guide's 32).",
)
@click.option(
    "--pairs",
    type=click.IntRange(2, _MOST_PAIRS),
    default=127_000,
    show_default=True,
    metavar="N",
    help="Queries with their pages to train on.",
)
@click.option("--table", is_flag=True, help="Batch x accumulation of every model and GPU size.")
@click.option("--json", "as_json", is_flag=True, help="Print the plan as JSON.")
@click.pass_context
def plan(  # noqa: PLR0917 - the options of a command
    context: click.Context,
    /,
    model: str,
    gpu_memory: float | None,
    pairs: int,
    table: bool,  # noqa: FBT001 - click passes flags so
    as_json: bool,  # noqa: FBT001 - as above
) -> None:
    """Propose what to train MODEL with on a GPU: the guide's numbers, counted, without torch.

    MODEL is a folder with a config.json, a Hub id in the local cache, or InternVL3.5 as 1B, 2B, 4B
    or 8B (default 1B). Exit codes: 0 it fits, 1 it does not fit, 2 usage error.

    \b
    Examples:
      colintern plan
      colintern plan 4B --gpu-memory 24
      colintern plan --pairs 118195 --json
      colintern plan --table
    """
    from colintern.artifacts.errors import ArtifactError  # noqa: PLC0415 - for a quick --help
    from colintern.planning.architecture import ArchitectureError, find_architecture  # noqa: PLC0415
    from colintern.planning.hyperparameters import propose  # noqa: PLC0415
    from colintern.planning.machine import find_gpus  # noqa: PLC0415
    from colintern.planning.memory import GIBIBYTE  # noqa: PLC0415
    from colintern.planning.output import (  # noqa: PLC0415
        misfit_text,
        plan_json,
        plan_text,
        proposal_table,
    )

    _check(model, gpu_memory, table=table, as_json=as_json)
    if table:
        click.echo(proposal_table())
        return
    if gpu_memory is None:
        here = min((gpu.memory_bytes for gpu in find_gpus()), default=0)
        size = here or _GUIDE_GIGABYTES * GIBIBYTE
    else:
        size = int(gpu_memory * GIBIBYTE)
    try:
        proposal = propose(find_architecture(model), size, pairs)
    except (ArchitectureError, ArtifactError) as error:
        raise click.UsageError(str(error)) from error
    if as_json:
        import json  # noqa: PLC0415 - as above

        click.echo(json.dumps(plan_json(proposal), indent=2))
    else:
        click.echo(plan_text(proposal) if proposal.fits else misfit_text(proposal))
    context.exit(0 if proposal.fits else 1)


def _check(model: str, gpu_memory: float | None, *, table: bool, as_json: bool) -> None:
    """Refuse what click lets through: a NaN is in no range, and in every one."""
    if gpu_memory is not None and math.isnan(gpu_memory):
        raise click.BadParameter("it must be a number of GB, but it is nan", param_hint="GB")
    if not model.strip():
        raise click.UsageError("MODEL must be a name or a folder, but it is empty")
    if table and as_json:
        raise click.UsageError("--table is a text; --json is the plan of one MODEL: choose one")
