"""One evaluation: the tasks that are not finished, one after the other."""

import logging
from collections.abc import Sequence
from typing import Any

import click
from mteb.abstasks.retrieval import AbsTaskRetrieval

from colintern.artifacts.printable import printable
from colintern.evaluation.checkpoint import Checkpoint
from colintern.evaluation.processes import Processes
from colintern.evaluation.results import ResultsFolder, evaluation_record
from colintern.evaluation.retriever import load_retriever
from colintern.evaluation.settings import Settings
from colintern.evaluation.streaming import StreamingSearch
from colintern.evaluation.task_run import is_finished, run_task
from colintern.evaluation.wrapper import ColIntern3_5Wrapper

WORK: str = ".pages"
"""Hidden folder of embedded pages, beside the results."""

logger = logging.getLogger(__name__)


class EvaluationSession:
    """Evaluates one checkpoint; all processes do the same, and the first one writes."""

    def __init__(
        self,
        settings: Settings,
        checkpoint: Checkpoint,
        folder: ResultsFolder,
        processes: Processes,
    ) -> None:
        """Start from what the command line asked for."""
        self._settings = settings
        self._checkpoint = checkpoint
        self._folder = folder
        self._processes = processes

    def run(self, tasks: Sequence[AbsTaskRetrieval], *, streaming: bool) -> dict[str, str]:
        """Evaluate on `tasks`.

        Returns:
            Task name to reason, for every task that failed.
        """
        if self._processes.first_says(self._all_finished(tasks)):
            self._say("all tasks are finished; nothing is evaluated again")
            return {}
        with self._processes.together():
            if self._processes.is_first:
                self._folder.make()
            retriever = load_retriever(self._checkpoint, device=self._settings.device)
            if self._processes.is_first:
                self._start(evaluation_record(retriever))
        work = self._folder.path / WORK
        model: Any = (
            StreamingSearch(retriever, work, self._processes)
            if streaming
            else ColIntern3_5Wrapper(retriever)
        )
        failures = {
            task.metadata.name: reason
            for task in tasks
            if (reason := self._reason_of_failure(task, model)) is not None
        }
        if self._processes.is_first:
            self._folder.finish()
        return failures

    def _all_finished(self, tasks: Sequence[AbsTaskRetrieval]) -> bool:
        if not self._folder.is_of(self._checkpoint):
            return False
        return all(is_finished(task, self._folder) for task in tasks)

    def _start(self, record: dict[str, Any]) -> None:
        moved = self._folder.start(record)
        if moved is not None:
            self._say(f"results of other weights or settings were moved to {printable(moved)}")

    def _reason_of_failure(self, task: AbsTaskRetrieval, model: Any) -> str | None:
        name = task.metadata.name
        if self._processes.first_says(is_finished(task, self._folder)):
            self._say(f"{name}: finished before, kept")
            return None
        self._say(f"{name}: evaluating")
        try:
            run_task(
                task,
                model,
                self._folder,
                batch_size=self._settings.batch_size,
                data=self._settings.data,
                processes=self._processes,
            )
        except Exception as error:
            logger.debug("%s failed", name, exc_info=True)
            return f"{type(error).__name__}: {error}"
        if isinstance(model, StreamingSearch):
            model.forget()
        return None

    def _say(self, text: str) -> None:
        if self._processes.is_first:
            click.echo(text)
