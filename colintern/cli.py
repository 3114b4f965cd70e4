# ruff: noqa: D301 - click reads the control character \b as "keep these lines"
"""The command line: each command is a module of `colintern.commands`, imported when it runs."""

from importlib import import_module
from typing import Final

import click

import colintern
from colintern.commands.options import CONTEXT

COMMANDS: Final[dict[str, str]] = {
    "audit": "Judge trained checkpoints by every rule, without torch, in about a second.",
    "rules": "Print the catalogue of rules, or one rule's page.",
    "docs": "Print the list of pages, or one page.",
    "plan": "Propose batch, rank and rate for a GPU; count memory and time, without torch.",
    "doctor": "Look at packages, GPU, memory and disk; say how to mend what is wrong.",
    "train": "Train a retriever by a recipe, and record what the audit needs.",
    "search": "Search hyperparameters by training with them; several workers share a study.",
    "watch": "Follow a run from another terminal: losses, time left, verdicts; without torch.",
    "evaluate": "Score a checkpoint on ViDoRe and the generated pages, by MTEB.",
    "vidore-eval": "Score it on the same tasks in little memory, on one or several GPUs.",
    "report": "Write a training report of one run or several, as HTML and Markdown.",
    "compare": "Set results side by side, and say which differences are beyond chance.",
    "merge": "Fold an adapter into its base, and verify the written model.",
    "init-base": "Write a base model with a projection drawn from a seed.",
    "demo": "Train a healthy run and two broken ones on a CPU, and audit them.",
}
"""Command to its line in `colintern --help`, which so needs no import."""


class _LazyGroup(click.Group):
    """Imports a command's module when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order in which they are shown."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command; None when there is none of this name."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        name = cmd_name.replace("-", "_")
        command: click.Command = getattr(import_module(f"colintern.commands.{name}"), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=_LazyGroup, context_settings=CONTEXT)
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
