"""Three workers on one study, whose trials only sleep: `study_worker.py TRIALS FOLDER URL ...`.

Each trial adds a line with its number to FOLDER/done.txt when it completes. The first worker ends
as by kill -9 in the middle of its second trial. Prints how each process ended,
study by study; the URL of a journal is empty.
"""

import json
import os
import signal
import sys
import time
from importlib import import_module
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[2])]


def worker_of(folder, url, objective, **options):
    from colintern.recipes.named import tiny  # noqa: PLC0415 - after the path
    from colintern.search.space import Parameter  # noqa: PLC0415 - after the path
    from colintern.search.storage import open_storage  # noqa: PLC0415 - after the path
    from colintern.search.study import SearchPlan, open_study, suggested  # noqa: PLC0415
    from colintern.search.worker import Worker  # noqa: PLC0415 - after the path

    space = (Parameter(name="learning_rate", low=1e-3, high=4e-3, log=True),)
    plan = SearchPlan(recipe=tiny(), space=space, evaluations=5)
    storage = open_storage(url, folder)
    study = open_study(storage, "test", plan, num_trials=options.pop("num_trials", 8))

    def trained(trial, lost):
        return objective(trial, suggested(trial, space), lost)

    quick = {"interval": 1.0, "grace": 120.0, "poll": 0.2, **options}
    return study, Worker(study, storage, trained, **quick)


def work(folder, num_trials, url, *, dies):
    from colintern.search.worker import Outcome  # noqa: PLC0415 - after the path

    begun = []
    second = folder / "second"

    def objective(trial, params, _):
        begun.append(trial.number)
        time.sleep(0.1)
        if dies and len(begun) == 2:
            second.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        while not dies and not second.exists():  # or the others might do all trials before
            time.sleep(0.01)
        with (folder / "done.txt").open("a") as file:
            file.write(f"{trial.number}\n")
        return Outcome("complete", value=1 - params["learning_rate"])

    _, worker = worker_of(folder, url, objective)
    return 0 if worker.run(num_trials) else 1


def main():
    num_trials, studies = int(sys.argv[1]), zip(sys.argv[2::2], sys.argv[3::2], strict=True)
    # One import for all: what is measured is the study.
    for module in ("study", "worker"):
        import_module(f"colintern.search.{module}")
    codes = [exit_codes(Path(folder), num_trials, url or None) for folder, url in studies]
    print(json.dumps(codes))  # noqa: T201 - what the test reads


def exit_codes(folder, num_trials, url):
    children = []
    for number in range(3):
        child = os.fork()
        if child == 0:
            os._exit(work(folder, num_trials, url, dies=number == 0))
        children.append(child)
    # The killed one is not waited for first: nobody reaps a worker on another machine either.
    codes = {child: os.waitpid(child, 0)[1] for child in reversed(children)}
    return [os.waitstatus_to_exitcode(codes[child]) for child in children]


if __name__ == "__main__":
    main()
