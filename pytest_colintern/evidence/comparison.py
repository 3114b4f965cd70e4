"""Evidence of a comparison with the results that `--baseline` names."""

from colintern.artifacts.errors import ArtifactError
from colintern.artifacts.predictions import read_task_queries
from colintern.artifacts.results_folder import TaskResults
from colintern.artifacts.results_search import find_results_in
from colintern.artifacts.run_layout import RunLayout
from colintern.diagnostics.comparison import Comparison, Evaluated, compare
from pytest_colintern.evidence_registry import artifact, evidence
from pytest_colintern.subject import AuditOptions, Subject
from pytest_colintern.verdict import NoEvidence


@artifact
def baseline_results(layout: RunLayout, subject: Subject, options: AuditOptions) -> TaskResults:
    """The results in `--baseline`: those in the folder, else those below its `results`."""
    folder = options.baseline
    if folder is None:
        raise NoEvidence("--baseline DIR", needed_for="a comparison with other results")
    for place in (folder, folder / "results"):
        found = find_results_in(place, layout, subject.name, num_subjects=1).results
        if found is not None and found.tasks:
            return found
        if found is not None and found.errors:
            raise found.errors[0]
    raise ArtifactError(
        folder,
        expected="task results in it, in its folder `results`, or in one named like the subject",
        found="none",
        remedy="Name the folder that holds the TASK.json files.",
    )


@evidence
def baseline_comparison(task_results: TaskResults, baseline_results: TaskResults) -> Comparison:
    """The subject's results beside those of the baseline."""
    models = [
        Evaluated(
            name,
            results,
            {
                task: queries
                for task in results.tasks
                if (queries := read_task_queries(results, task)) is not None
            },
        )
        for name, results in (("baseline", baseline_results), ("subject", task_results))
    ]
    return compare(*models)
