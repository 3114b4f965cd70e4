# ruff: noqa: D301 - click reads the control character \b as "keep these lines"
"""`colintern rules`: the catalogue, or one page of it."""

import click

from colintern.commands.options import CONTEXT


@click.command(context_settings=CONTEXT)
@click.argument("rule", required=False, metavar="[ID]")
def rules(rule: str | None) -> None:
    """Print the catalogue of rules, or one rule's page.

    \b
    Examples:
      colintern rules
      colintern rules ADP
      colintern rules ADP003
    """
    from colintern.engine.reports.catalogue_pages import catalogue_text  # noqa: PLC0415 - imports every rule

    try:
        click.echo(catalogue_text(rule))
    except LookupError as error:
        raise click.UsageError(str(error.args[0])) from error
