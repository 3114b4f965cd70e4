"""`python -m colintern`, which torchrun needs to start the command line."""

from colintern.cli import main

if __name__ == "__main__":
    main(prog_name="colintern")
