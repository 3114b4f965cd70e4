"""What a Trainer knows of its run, as the evidence that the audit otherwise reads from files."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

import torch
import transformers
from peft import PeftModel
from torch import nn
from transformers import TrainingArguments

from colintern.artifacts.errors import ArtifactError
from colintern.artifacts.model.adapter_config import AdapterConfig, as_adapter_config
from colintern.artifacts.model.model_config import ModelConfig, as_model_config
from colintern.artifacts.run.manifest import RunManifest
from colintern.diagnostics.adapter.trained_parts import MIN_GRADIENT_STEPS, TrainedParts
from colintern.engine.running.judge import LiveSubject
from colintern.engine.subjects import AuditOptions
from colintern.families.catalogue import projection_names

IN_MEMORY: Final = Path("the model in memory")
"""Stands where the audit names a file."""

T = TypeVar("T")


def live_subject(
    folder: Path,
    arguments: TrainingArguments,
    model: nn.Module | None,
    processor: object,
    *,
    manifest: RunManifest | None,
    options: AuditOptions,
    checks: tuple[Path, ...] = (),
) -> LiveSubject:
    """Describe the run of a Trainer; what it is not known of is left out."""
    return LiveSubject(
        path=folder.absolute(),
        arguments=_arguments(arguments, model),
        manifest=manifest,
        adapter=None if model is None else _or_none(lambda: _adapter(model)),
        model_config=None if model is None else _or_none(lambda: _config(model)),
        processor_class=None if processor is None else type(processor).__name__,
        options=options,
        checks=checks,
    )


class GradientWatch:
    """Looks at which parameters get a gradient in the first steps: after that it costs nothing."""

    def __init__(self, model: nn.Module) -> None:
        """Watch the parameters of what may be a projection, by the names of all families."""
        names = projection_names()
        self._watched = {
            name: parameter
            for name, parameter in model.named_parameters()
            if not names.isdisjoint(name.split("."))
        }
        self._any = [each for each in model.parameters() if each.requires_grad]
        self._without = dict.fromkeys(self._watched, 0)
        self.num_steps = 0

    @property
    def done(self) -> bool:
        """Whether enough steps were looked at."""
        return self.num_steps >= MIN_GRADIENT_STEPS or not self._watched

    def look(self) -> None:
        """Look at the gradients of a step, before the optimiser takes it."""
        # Engines that keep gradients elsewhere show none at all: such steps tell nothing.
        if self.done or not any(each.grad is not None for each in self._any):
            return
        self.num_steps += 1
        for name, parameter in self._watched.items():
            gradient = parameter.grad
            if gradient is None or not bool(gradient.detach().any()):
                self._without[name] += 1

    def parts(self) -> TrainedParts:
        """Return what was seen so far."""
        return TrainedParts(
            requires_gradient={name: each.requires_grad for name, each in self._watched.items()},
            steps_without=dict(self._without),
            num_steps=self.num_steps,
        )


def _arguments(arguments: TrainingArguments, model: nn.Module | None) -> Mapping[str, Any]:
    device = arguments.device.type
    facts = {
        "world_size": arguments.world_size,
        "n_gpu": arguments.n_gpu,
        "device": device,
        "gpu": torch.cuda.get_device_name(arguments.device) if device == "cuda" else None,
        "transformers": transformers.__version__,
    }
    if model is not None:
        config = getattr(model, "config", None)
        facts["attention"] = getattr(config, "_attn_implementation", None)
        facts["dtype"] = str(getattr(model, "dtype", "")).removeprefix("torch.") or None
    return {**arguments.to_dict(), **facts}


def _adapter(model: nn.Module) -> AdapterConfig | None:
    if not isinstance(model, PeftModel):
        return None
    config = model.peft_config[model.active_adapter].to_dict()
    # PEFT keeps target modules as a set.
    found = as_adapter_config(IN_MEMORY, json.loads(json.dumps(config, default=_listed)))
    return found if found.is_lora else None


def _config(model: nn.Module) -> ModelConfig | None:
    inner = model.get_base_model() if isinstance(model, PeftModel) else model
    config = getattr(inner, "config", None)
    if config is None or not hasattr(config, "to_dict"):
        return None
    document = json.loads(json.dumps(config.to_dict(), default=str))
    return as_model_config(IN_MEMORY, {**document, "architectures": [type(inner).__name__]})


def _listed(value: object) -> Any:
    return sorted(map(str, value)) if isinstance(value, set | frozenset) else str(value)


def _or_none(described: Callable[[], T | None]) -> T | None:
    """A model that describes itself in another way than known is no evidence, and no error."""
    try:
        return described()
    except (ArtifactError, TypeError, ValueError, KeyError, AttributeError):
        return None
