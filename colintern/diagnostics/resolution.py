"""The budget of visual tokens a page, wherever it is recorded."""

from colintern.artifacts.evaluation_record import EvaluationRecord
from colintern.artifacts.processor_config import ProcessorConfig
from colintern.artifacts.run_manifest import RunManifest


def page_budgets(
    manifest: RunManifest | None,
    processor: ProcessorConfig | None,
    evaluation: EvaluationRecord | None,
) -> dict[str, int]:
    """Return `max_num_visual_tokens` by the file that records it."""
    trained = manifest.processor if manifest else None
    recorded = {
        "colintern_run.json": trained.max_num_visual_tokens if trained else None,
        "the saved processor": processor.max_num_visual_tokens if processor else None,
        "colintern_eval.json": evaluation.max_num_visual_tokens if evaluation else None,
    }
    return {source: tokens for source, tokens in recorded.items() if tokens is not None}
