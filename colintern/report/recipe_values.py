"""One setting of a run each, as text; the parameters are evidence, None is "not recorded"."""

from typing import Final

from colintern.artifacts.model.adapter_config import AdapterConfig
from colintern.artifacts.model.base_model import BaseReference
from colintern.artifacts.model.processor_config import ProcessorConfig
from colintern.artifacts.printable import printable
from colintern.artifacts.results.evaluation_record import EvaluationRecord
from colintern.artifacts.run.manifest import RunManifest
from colintern.diagnostics.adapter.coverage import AdapterCoverage
from colintern.diagnostics.log.training_progress import TrainingProgress
from colintern.diagnostics.processor.resolution import page_budgets
from colintern.facts.batch_size import BatchSize
from colintern.facts.loss_kind import LossKind
from colintern.facts.run_config import Recorded, RunConfig
from colintern.facts.training_mode import planned_warmup, training_precision
from colintern.figures.scale import shown

_MOST_NAMED: Final = 3
_PACKAGES: Final = ("torch", "transformers", "peft", "colpali-engine")
_LIMIT: Final = 80
"""Characters of one text from a file."""
_MINUTE, _HOUR = 60, 3600


def recipe_name(manifest: RunManifest) -> str | None:
    """Name the recipe."""
    return _text(manifest.recipe)


def base_model(base_reference: BaseReference) -> str | None:
    """Name the base as the adapter does."""
    return _text(base_reference.recorded)


def training_data(manifest: RunManifest) -> str | None:
    """Name the data sets and their rows."""
    sets = manifest.datasets or ()
    named = [
        f"{_text(each.name) or 'a data set'}{f', {each.rows:,} rows' if each.rows else ''}"
        for each in sets[:_MOST_NAMED]
    ]
    more = [f"and {len(sets) - _MOST_NAMED} more"] if len(sets) > _MOST_NAMED else []
    return "; ".join([*named, *more]) or None


def epochs(run_config: RunConfig) -> str | None:
    """Return the planned epochs."""
    return _number(run_config.planned_epochs)


def steps(progress: TrainingProgress) -> str:
    """Return the steps done of those planned."""
    return f"{progress.global_step:,} of {progress.max_steps:,}"


def device_batch(batch: BatchSize) -> str | None:
    """Return the queries of one forward pass."""
    return _number(batch.per_device)


def accumulation(batch: BatchSize) -> str | None:
    """Return the forward passes of a step."""
    return _number(batch.accumulation)


def effective_batch(batch: BatchSize) -> str:
    """Return the queries of a step."""
    return str(batch)


def negatives(loss_kind: LossKind) -> str | None:
    """Return the other pages that each query is compared with."""
    return None if loss_kind.candidates is None else f"{loss_kind.candidates - 1:,}"


def learning_rate(run_config: RunConfig) -> str | None:
    """Return the peak learning rate."""
    rate = run_config.learning_rate
    return None if rate is None else f"{rate.value:g}"


def warmup(run_config: RunConfig) -> str | None:
    """Return the planned warm-up."""
    planned = planned_warmup(run_config)
    return None if planned is None else str(planned)


def schedule(run_config: RunConfig) -> str | None:
    """Name the schedule."""
    kind = run_config.lr_scheduler_type
    return None if kind is None else _text(kind.value)


def rank(adapter: AdapterConfig) -> str:
    """Return the rank."""
    return f"{adapter.r:,}"


def alpha(adapter: AdapterConfig) -> str:
    """Return the scale's numerator."""
    return f"{adapter.lora_alpha:g}{' with rslora' if adapter.use_rslora else ''}"


def dropout(adapter: AdapterConfig) -> str:
    """Return the dropout."""
    return f"{adapter.lora_dropout:g}"


def reach(coverage: AdapterCoverage) -> str:
    """Return the modules that have LoRA."""
    number = len(coverage.tensors.modules)
    text = f"{number:,} module{'' if number == 1 else 's'}"
    if coverage.outline is None:
        return text
    expected = coverage.language_expected
    reached = expected - len(coverage.language_missing)
    return f"{text}; {reached:,} of {expected:,} of the language model"


def projection(coverage: AdapterCoverage) -> str | None:
    """Say how the projection was trained."""
    if coverage.projection is None:
        return None
    if coverage.projection_module is not None:
        return "LoRA, and its matrix saved" if coverage.projection_saved else "LoRA"
    return "saved in full" if coverage.projection_saved else "not in the adapter"


def loss(loss_kind: LossKind) -> str | None:
    """Name the loss and its temperature."""
    if loss_kind.class_name is None:
        return None
    name = printable(loss_kind.class_name.rpartition(".")[2], limit=_LIMIT)
    temperature = loss_kind.temperature
    return name if temperature is None else f"{name}, temperature {temperature:g}"


def precision(run_config: RunConfig) -> str | None:
    """Return the type that the run computed in."""
    found = training_precision(run_config)
    return None if found is None else found.value


def attention(run_config: RunConfig) -> str | None:
    """Name the implementation of attention."""
    return None if run_config.attention is None else _text(run_config.attention.value)


def clipping(run_config: RunConfig) -> str | None:
    """Return the largest gradient norm."""
    return _number(run_config.max_grad_norm)


def checkpointing(run_config: RunConfig) -> str | None:
    """Say whether activations were computed again."""
    found = run_config.gradient_checkpointing
    return None if found is None else ("on" if found.value else "off")


def evaluation(run_config: RunConfig) -> str | None:
    """Say how often the run evaluated."""
    done, strategy = run_config.num_evaluations, run_config.eval_strategy
    if strategy is None and done is None:
        return None
    named = _text(strategy.value) if strategy else None
    count = f"{done.value:,} evaluations" if done else None
    return ", ".join(filter(None, (named, count)))


def workers(run_config: RunConfig) -> str | None:
    """Return the processes that load pages."""
    return _number(run_config.dataloader_num_workers)


def visual_tokens(
    manifest: RunManifest | None,
    processor: ProcessorConfig | None,
    evaluation_record: EvaluationRecord | None,
) -> str | None:
    """Return the budget of a page in training, else that of the saved processor."""
    budgets = page_budgets(manifest, processor, evaluation_record)
    return next((f"{tokens:,}" for tokens in budgets.values()), None)


def hardware(run_config: RunConfig) -> str | None:
    """Name the GPU, or the kind of device."""
    device, world = run_config.gpu or run_config.device, run_config.world_size
    name = _text(device.value) if device else None
    several = f"{world.value:,} x " if world and world.value > 1 else ""
    return f"{several}{name}" if name else None


def training_time(run_config: RunConfig) -> str | None:
    """Return how long the training took."""
    runtime = run_config.train_runtime
    return None if runtime is None or runtime.value <= 0 else shown_seconds(runtime.value)


def software(manifest: RunManifest) -> str | None:
    """Return the versions that matter most."""
    versions = manifest.versions or {}
    named = [f"{name} {_text(versions[name])}" for name in _PACKAGES if versions.get(name)]
    return ", ".join(named) or None


def shown_seconds(seconds: float) -> str:
    """Show a duration.

    >>> [shown_seconds(value) for value in (42.4, 125, 3600 * 26.5)]
    ['42 s', '2 min 5 s', '26.5 h']
    """
    if seconds < _MINUTE:
        return f"{seconds:.0f} s"
    if seconds < _HOUR:
        return f"{seconds // _MINUTE:.0f} min {seconds % _MINUTE:.0f} s"
    return f"{seconds / _HOUR:,.1f} h"


def _number(recorded: Recorded[float] | Recorded[int] | None) -> str | None:
    return None if recorded is None else shown(recorded.value)


def _text(value: object) -> str | None:
    return printable(value, limit=_LIMIT) if value else None
