# ruff: noqa: D301 - click reads the control character \b as "keep these lines"
"""`colintern doctor`: whether this machine can train, and what mends it if not."""

import click

from colintern.commands.options import CONTEXT


@click.command(context_settings=CONTEXT)
@click.argument("model", default="1B", metavar="[MODEL]")
@click.option(
    "--output-dir", default=".", metavar="DIR", help="Where runs are written: its disk counts."
)
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@click.pass_context
def doctor(context: click.Context, /, model: str, output_dir: str, as_json: bool) -> None:  # noqa: FBT001 - click passes flags so
    """Look at packages, GPU, memory and disk, and say how to mend what keeps MODEL from training.

    MODEL is as for `colintern plan`. torch is asked in a process of its own, where it is installed.
    Exit codes: 0 nothing to mend, 1 a problem, 2 usage error.

    \b
    Examples:
      colintern doctor
      colintern doctor 4B --output-dir /data/runs
      colintern doctor --json
    """
    import json  # noqa: PLC0415 - for a quick --help
    from pathlib import Path  # noqa: PLC0415

    import msgspec  # noqa: PLC0415

    from colintern.artifacts.errors import ArtifactError  # noqa: PLC0415
    from colintern.planning.architecture import ArchitectureError, find_architecture  # noqa: PLC0415
    from colintern.planning.doctor import findings  # noqa: PLC0415
    from colintern.planning.machine import this_machine  # noqa: PLC0415

    try:
        architecture = find_architecture(model)
    except (ArchitectureError, ArtifactError) as error:
        raise click.UsageError(str(error)) from error
    found = findings(this_machine(Path(output_dir)), architecture)
    if as_json:
        rows = [msgspec.to_builtins(each) for each in found]
        click.echo(json.dumps({"schema": "colintern.doctor/1", "findings": rows}, indent=2))
    else:
        for each in found:
            click.echo(f"{each.status:8} {each.name:12} {each.observed}")
            if each.fix and each.status != "ok":
                click.echo(f"{'':8} {'':12} fix: {each.fix}")
    context.exit(1 if any(each.status == "problem" for each in found) else 0)
