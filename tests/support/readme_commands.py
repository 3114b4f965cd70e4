"""Prints a command of the README's quick start, so that CI runs what a newcomer reads."""

import re
import sys
from pathlib import Path

README = Path(__file__).parents[2] / "README.md"
ORDER = ("audit", "tests")


def quick_start_commands():
    """Return the commands of the first two code blocks, by what they do."""
    blocks = re.findall(
        r"^```sh\n(.*?)^```$", README.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    commands = [block.replace("\\\n", " ").strip() for block in blocks[: len(ORDER)]]
    return dict(zip(ORDER, commands, strict=True))


if __name__ == "__main__":
    sys.stdout.write(quick_start_commands()[sys.argv[1]] + "\n")
