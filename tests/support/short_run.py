"""A short run in a process of its own: `short_run.py BASE RUN [resume] [kill-at=END]`.

`kill-at=END` ends the process without warning (as kill -9 does) when it opens a file to write whose
path ends so.
"""

import logging
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

sys.path[:0] = [str(folder) for folder in Path(__file__).parents[1:3]]


def recipe_of(base, **changes):
    from colintern.recipes.named import tiny  # noqa: PLC0415 - after the path
    from colintern.recipes.recipe import DataSettings  # noqa: PLC0415 - after the path

    settings = {
        "base": str(base),
        "per_device_train_batch_size": 4,
        "num_train_epochs": 2,
        "data": DataSettings(source=str(Path(base).parent / "pages"), eval_rows=4),
        "eval_steps": 4,
        "save_steps": 3,
        "warmup_steps": 2,
        "logging_steps": 2,
        "save_total_limit": 2,
        "arguments": {"use_cpu": True, "disable_tqdm": True},
    }
    return replace(tiny(), **{**settings, **changes})


def kill_at(end):
    """Die when a file whose path ends in `end` is opened for writing."""

    def hook(event, arguments):
        if event == "open" and "w" in str(arguments[1]) and str(arguments[0]).endswith(end):
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def main():
    base, run, *options = sys.argv[1:]
    from colintern.model.quiet_import import import_engine  # noqa: PLC0415 - after the path

    logging.basicConfig(level=logging.INFO)
    import_engine()
    from colintern.training.run import train  # noqa: PLC0415 - after the path

    for option in options:
        if option.startswith("kill-at="):
            kill_at(option.removeprefix("kill-at="))
        if option == "term":
            signal_in_a_step()
    sys.exit(0 if train(recipe_of(base), Path(run), resume="resume" in options) else 143)


def signal_in_a_step():
    """Send SIGTERM to this process when step 4 begins."""
    from colintern.training.resources import ResourceLogger  # noqa: PLC0415 - after the path

    original = ResourceLogger.on_step_begin

    def begin(self, args, state, *more, **rest):
        if state.global_step == 4:
            os.kill(os.getpid(), signal.SIGTERM)
        return original(self, args, state, *more, **rest)

    ResourceLogger.on_step_begin = begin


if __name__ == "__main__":
    main()
