"""One search on this machine: the study, this worker, and the files that it leaves."""

import logging
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

from optuna.storages import BaseStorage
from optuna.study import Study

from colintern.artifacts.printable import printable
from colintern.model.versions import installed_versions
from colintern.recipes.best import BEST, METRIC, SCHEMA, BestParams, write_best
from colintern.search.command import DEFAULT_FOLDER, is_used, train_command
from colintern.search.page import PAGE, study_figures, write_page
from colintern.search.places import best_of, places_of
from colintern.search.storage import open_storage, shown_storage
from colintern.search.study import SearchPlan, StudyError, open_study
from colintern.search.summary import counts_text, table_text, trial_rows
from colintern.search.trial import RUN, TrainedTrial
from colintern.search.worker import Worker

logger = logging.getLogger(__name__)


class SearchSession:
    """A worker with its study and its output folder."""

    def __init__(
        self,
        plan: SearchPlan,
        storage: BaseStorage,
        study: Study,
        *,
        folder: Path,
        shown: str,
        flags: tuple[str, ...],
        copies: tuple[Path, ...],
    ) -> None:
        """Work on `study`; see `open`."""
        self._plan = plan
        self._storage = storage
        self._study = study
        self._folder = folder
        self._shown = shown
        self._flags = flags
        self._copies = copies

    @classmethod
    def open(cls, plan: SearchPlan, options: Mapping[str, Any], flags: tuple[str, ...]) -> Self:
        """Open or make the study that the command line names.

        Raises:
            StorageError: its storage cannot be opened.
            StudyError: it was made with other settings, or the folder has trials of another.
        """
        folder = Path(options["output_dir"] or DEFAULT_FOLDER)
        url = options["storage"]
        folder.mkdir(parents=True, exist_ok=True)
        storage = open_storage(url, folder)
        study = open_study(
            storage,
            options["study"],
            plan,
            num_trials=options["trials"],
            sampler_seed=options["sampler_seed"],
        )
        if is_used(folder) and not any(RUN in each.user_attrs for each in study.get_trials()):
            raise StudyError(
                f"{folder} has runs of trials, but the study {options['study']} has none; choose "
                "another --output-dir, or the --study and --storage that they are of"
            )
        # The guide's command leaves its result where it is typed.
        copies = () if options["output_dir"] else (Path(BEST),)
        return cls(
            plan,
            storage,
            study,
            folder=folder,
            shown=shown_storage(url, folder),
            flags=flags,
            copies=copies,
        )

    def run(self, num_trials: int) -> bool:
        """Work until the study has `num_trials`; False when a person stopped it."""
        objective = TrainedTrial(self._plan, self._folder)

        def after_trial() -> None:
            self.write()
            logger.info("%s of %d; %s", *self._standing(num_trials))

        worker = Worker(self._study, self._storage, objective, after_trial=after_trial)
        return worker.run(num_trials)

    def _standing(self, num_trials: int) -> tuple[str, int, str]:
        places = places_of(self._study.get_trials(deepcopy=False))
        best = best_of(places)
        leads = "none has a value yet"
        if best is not None:
            leads = f"best so far: trial {best.number}, NDCG@5 {best.value:.3f}"
        return counts_text(places), num_trials, leads

    def write(self) -> None:
        """Write the best parameters and the page, as the study is now."""
        places = places_of(self._study.get_trials(deepcopy=False))
        best = best_of(places)
        run = str(best.user_attrs.get(RUN, "")) if best is not None else ""
        if best is not None:
            record = BestParams(
                schema=SCHEMA,
                params=best.params,
                recipe=self._plan.recipe.name,
                value=best.value,
                metric=METRIC,
                study=self._study.study_name,
                storage=self._shown,
                trial=best.number,
                run=run,
                finished_trials=sum(place.is_finished for place in places),
                flags=self._flags,
                versions={**installed_versions(), "optuna": version("optuna")},
            )
            for path in (self._folder / BEST, *self._copies):
                write_best(path, record)
        write_page(
            self._folder / PAGE,
            places,
            study_figures(self._study, places),
            name=self._study.study_name,
            recipe=self._plan.recipe.name,
            storage=self._shown,
            space=self._plan.space,
            run=run,
            command=train_command(self._folder / BEST, self._flags),
        )

    def report(self) -> str:
        """Write the files, and return the study as the terminal shows it."""
        self.write()
        places = places_of(self._study.get_trials(deepcopy=False))
        best = best_of(places)
        lines = [
            "",
            table_text(trial_rows(places)),
            "",
            f"{counts_text(places)}; study {printable(self._study.study_name)} in {self._shown}",
        ]
        if best is None:
            lines.append(f"No trial has completed yet. Page: {self._folder / PAGE}")
        else:
            run = printable(best.user_attrs.get(RUN, "?"))
            lines += [
                f"Best: trial {best.number}, NDCG@5 {best.value:.3f} on held-out rows, run {run}",
                f"{self._folder / BEST}, {self._folder / PAGE}",
                f"Train it: {train_command(self._folder / BEST, self._flags)}",
            ]
        return "\n".join(lines)
