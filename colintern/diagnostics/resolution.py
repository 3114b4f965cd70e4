"""The budget of visual tokens a page, wherever it is recorded."""

from colintern.artifacts.evaluation_record import EvaluationRecord
from colintern.artifacts.processor_config import ProcessorConfig
from colintern.artifacts.run_manifest import RunManifest
from colintern.diagnostics.visual_tokens import visual_tokens


def page_budgets(
    manifest: RunManifest | None,
    processor: ProcessorConfig | None,
    evaluation: EvaluationRecord | None,
) -> dict[str, int]:
    """Return the budget by the file that records it.

    It is `max_num_visual_tokens`, or, for a processor that has none, what the largest page becomes.
    """
    trained = manifest.processor if manifest else None
    recorded = {
        "colintern_run.json": trained.max_num_visual_tokens if trained else None,
        "the saved processor": processor.max_num_visual_tokens if processor else None,
        "colintern_eval.json": evaluation.max_num_visual_tokens if evaluation else None,
    }
    budgets = {source: tokens for source, tokens in recorded.items() if tokens is not None}
    return budgets or _largest_pages(processor, evaluation)


def _largest_pages(
    processor: ProcessorConfig | None, evaluation: EvaluationRecord | None
) -> dict[str, int]:
    saved = visual_tokens(processor) if processor else None
    then = evaluation.most_visual_tokens if evaluation else None
    if saved is None or then is None:
        return {}
    return {"the saved processor": saved.most, "colintern_eval.json": then}
