"""`python -m colintern`, which torchrun needs to start the command line."""

import sys

if __name__ == "__main__":
    # Python looks for modules in the current folder first, which may be one that is audited.
    if not sys.flags.safe_path:
        del sys.path[0]
    from colintern.cli import main

    main(prog_name="colintern")
