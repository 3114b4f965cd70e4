"""The finished model of a run, written whole or not at all, with its card. Free of torch."""

import json
import re
from typing import Any, Final

from colintern.artifacts.run.layout import STAGING, TRAINER_STATE
from colintern.artifacts.run.manifest import RunManifest
from colintern.recipes.recipe import Recipe
from colintern.training.checkpoints import disk_faults_as_such, publish

_TEMPLATE: Final = """\
---
base_model: {base_yaml}
library_name: peft
tags:
- colpali
- vidore
- lora
---

# {family}, recipe `{recipe}`

A late-interaction retriever of document pages, trained by colintern.

## Use

```python
import torch
from peft import PeftModel
from PIL import Image

from colintern.artifacts.model.base_model import resolve_base
from colintern.model.modeling import ColIntern3_5
from colintern.model.processing import ColIntern3_5Processor

folder = "."  # where this file is
images = [Image.new("RGB", (800, 1000), "white")]
texts = ["Which page names the total?"]

base = ColIntern3_5.from_pretrained(resolve_base({base_python}), dtype=torch.{dtype})
model = PeftModel.from_pretrained(base, folder).eval()
processor = ColIntern3_5Processor.from_pretrained(folder)

with torch.inference_mode():
    pages = model(**processor.process_images(images))
    queries = model(**processor.process_queries(texts))
scores = processor.score(list(queries), list(pages))
```

## Training

| | |
|---|---|
| LoRA | rank {rank}, alpha {alpha}, dropout {dropout}, {matched} modules |
| trained parameters | {trainable:,} |
| learning rate | {learning_rate:g}, {warmup} warm-up steps, {scheduler} decay |
| epochs | {epochs:.4g} of {rows:,} pairs{steps} |
| batch | {batch} queries, {candidates} candidate pages each |
| loss | {loss}, temperature {temperature:g}, scores normalised: {normalised} |
"""


_PLAIN: Final = re.compile(r"(?!-)[A-Za-z0-9_.-]*/[A-Za-z0-9_./-]+")
"""Names with a slash that mean themselves in YAML; `null` or `1e5` would not."""


def write_final_model(trainer: Any, writer: Any, recipe: Recipe) -> None:
    """Write the finished model beside its place, and move it there when it is whole.

    Args:
        trainer: has trained it.
        writer: of the run's manifest, which tells that it is complete.
        recipe: that it was trained by.
    """
    staging = writer.folder / STAGING
    with disk_faults_as_such("the final model"):
        trainer.save_model(str(staging))
    if trainer.args.should_save:
        trainer.state.save_to_json(str(staging / TRAINER_STATE))
        (staging / "README.md").write_text(model_card(recipe, writer.manifest))
        publish(staging, writer.folder)
        writer.finish("completed")


def model_card(recipe: Recipe, manifest: RunManifest) -> str:
    """Write README.md: what the run is, how it was made, and lines that load it."""
    lora, arguments = manifest.lora, manifest.arguments or {}
    # A JSON string is one of Python and of YAML too: no name of a folder can leave its quotes.
    quoted = json.dumps(recipe.base)
    return _TEMPLATE.format(
        base_yaml=recipe.base if _PLAIN.fullmatch(recipe.base) else quoted,
        base_python=quoted,
        dtype=manifest.hardware.dtype if manifest.hardware else "float32",
        family=recipe.family,
        recipe=recipe.name,
        rank=recipe.lora.rank,
        alpha=recipe.lora.alpha,
        dropout=recipe.lora.dropout,
        matched=len(lora.matched or ()) if lora else 0,
        trainable=(lora.trainable_parameters or 0) if lora else 0,
        learning_rate=recipe.learning_rate,
        warmup=recipe.warmup_steps,
        scheduler=recipe.lr_scheduler_type,
        epochs=_epochs(recipe, arguments, manifest.effective_batch_size),
        steps=f", by `max_steps` {steps:,}" if (steps := _max_steps(arguments)) else "",
        rows=recipe.train_pairs,
        batch=manifest.effective_batch_size,
        candidates=manifest.candidates,
        loss=manifest.loss.class_name if manifest.loss else None,
        temperature=recipe.temperature,
        normalised="yes" if recipe.normalize_scores else "no",
    )


def _max_steps(arguments: dict[str, Any]) -> int:
    return max(0, int(arguments.get("max_steps") or 0))


def _epochs(recipe: Recipe, arguments: dict[str, Any], batch: int | None) -> float:
    """Return the passes over the data: what `max_steps` makes of them, where it is set."""
    steps = _max_steps(arguments)
    if not steps or not batch or not recipe.train_pairs:
        return recipe.num_train_epochs
    return steps * batch / recipe.train_pairs
