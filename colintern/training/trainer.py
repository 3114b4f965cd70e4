"""colpali-engine's trainer and collator, with their traps mended and cached contrastive batches.

What differs from `ContrastiveTrainer`: pages are gathered from all processes on every micro-step,
not only where gradients are synchronised, and in evaluation too; hard negatives work in evaluation
and with any tiling; the loss is always divided by the accumulation steps; a loss or gradient that
is no number stops the run; a checkpoint is whole or absent; a checkpoint can be rebuilt from the
plain base.

Shape letters: B rows, Q queries, P pages, N tokens, D dimension.
"""

from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Final

import torch
from colpali_engine.collators import VisualRetrieverCollator
from colpali_engine.loss import ColbertLoss, ColbertNegativeCELoss
from colpali_engine.trainer.contrastive_trainer import ContrastiveTrainer
from torch import nn
from torch.utils.data import Sampler
from transformers import TrainingArguments
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from colintern.model.lora import save_projection_base
from colintern.recipes.recipe import Recipe
from colintern.training.adapted_model import AdaptedModel
from colintern.training.cached_batch import (
    EmbeddedSide,
    Inputs,
    flat_negatives,
    loss_at_embeddings,
    split_rows,
    with_prefix,
)
from colintern.training.checkpoints import (
    StagedCheckpoint,
    checkpoint_to_go_on_from,
    disk_faults_as_such,
    rotate,
)
from colintern.training.data import TrainingData
from colintern.training.distinct_pages import DistinctPages, page_keys
from colintern.training.faults import refuse_not_finite
from colintern.training.processes import gathered
from colintern.training.step_record import LossCarry, StepOperations, StepRecord

_SCORE_TOLERANCE: Final = 1.0
"""Mean cosines lie in [-1, 1]; colpali-engine prints a line a step for those below 0 without it."""


class ColInternTrainer(ContrastiveTrainer):
    """Trains a retriever on in-batch negatives, of which there may be more than memory holds."""

    loss_is_scaled_for_ga: ClassVar[bool] = False
    """Never by the model: a forward with `**kwargs` would make the Trainer believe so."""

    def __init__(self, *args: Any, chunk_size: int | None = None, **kwargs: Any) -> None:
        """Assemble the trainer.

        Args:
            *args: ContrastiveTrainer's.
            chunk_size: pages that are embedded with a graph at a time; the per-device batch size is
                the contrastive batch. None embeds the whole batch at once.
            **kwargs: ContrastiveTrainer's.
        """
        kwargs.setdefault("is_vision_model", True)
        kwargs.setdefault("eval_dataset", None)
        super().__init__(*args, **kwargs)
        if chunk_size is not None and chunk_size < 1:
            raise ValueError(f"chunk_size must be at least 1, but it is {chunk_size}")
        if chunk_size is not None and self.compute_symetric_loss:
            raise ValueError("a cached batch has no symmetric loss; leave chunk_size out")
        self.chunk_size = chunk_size
        self.steps = StepRecord()
        self.operations = StepOperations(self.model, super().floating_point_ops)
        self.carry = LossCarry(self)
        self.add_callback(self.carry)

    def _get_train_sampler(self, dataset: Any = None) -> Sampler[int] | None:
        train_dataset = self.train_dataset if dataset is None else dataset
        keys = page_keys(train_dataset)
        if keys is None:
            return super()._get_train_sampler(dataset)
        window = self._train_batch_size * self.args.world_size
        seed = self.args.seed if self.args.data_seed is None else self.args.data_seed
        return DistinctPages(keys, window, seed=seed)

    def _sides(self, batch: dict[str, Any]) -> tuple[Inputs, Inputs, Inputs]:
        """Return the model's inputs for queries, pages and hard negatives (maybe none)."""
        prefixes = (self.query_prefix, self.pos_prefix, self.neg_prefix)
        queries, pages, negatives = (with_prefix(batch, prefix) for prefix in prefixes)
        return queries, pages, flat_negatives(negatives)

    def _chunks(self, model: nn.Module, side: Inputs, pages: Inputs) -> list[Inputs]:
        """Cut `side` into parts of about as many tokens as a chunk of pages has."""
        size = self.chunk_size or side["input_ids"].shape[0]
        if self.chunk_size is not None and "pixel_values" not in side:
            size *= max(1, pages["input_ids"].shape[1] // side["input_ids"].shape[1])
        config = getattr(self.accelerator.unwrap_model(model), "config", None)
        return split_rows(side, size, getattr(config, "image_token_id", None))

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,  # noqa: FBT001, FBT002 - the Trainer's signature
        num_items_in_batch: Any = None,
    ) -> Any:
        """Embed the whole batch at once and compare every query with the pages of all processes."""
        del num_items_in_batch
        queries, pages, negatives = self._sides(inputs)
        query_QND = self._embed(model, queries, pages)  # noqa: N806
        page_PND = self._embed(model, pages, pages)  # noqa: N806
        grouped = None
        if negatives:
            more_BND = self._embed(model, negatives, pages)  # noqa: N806
            grouped = more_BND.view(query_QND.shape[0], -1, *more_BND.shape[1:])
        loss = self._compute_loss_from_outputs(query_QND, page_PND, grouped)
        if self.compute_symetric_loss:
            if grouped is not None:
                raise ValueError("the symmetric loss knows no hard negatives; leave one out")
            loss = (loss + self._compute_loss_from_outputs(page_PND, query_QND)) / 2
        return (loss, (query_QND, page_PND)) if return_outputs else loss

    def _embed(self, model: nn.Module, side: Inputs, pages: Inputs) -> torch.Tensor:
        if torch.is_grad_enabled() or self.chunk_size is None:
            return model(**side)
        return torch.cat([model(**chunk) for chunk in self._chunks(model, side, pages)])

    def _compute_loss_from_outputs(
        self,
        query_outputs: torch.Tensor,
        pos_target_outputs: torch.Tensor,
        neg_target_outputs: torch.Tensor | None = None,
    ) -> torch.Tensor:
        candidates_PND, offset = gathered(pos_target_outputs)  # noqa: N806
        more = () if neg_target_outputs is None else (neg_target_outputs,)
        return self.loss_func(query_outputs, candidates_PND, *more, offset=offset)

    def training_step(
        self, model: nn.Module, inputs: dict[str, Any], num_items_in_batch: Any = None
    ) -> torch.Tensor:
        """Take one micro-step, in chunks if there is a chunk size, and check its loss."""
        if self.chunk_size is None:
            loss = super().training_step(model, inputs, num_items_in_batch)
        else:
            loss = self._cached_step(model, inputs)
        self.steps.add_loss(refuse_not_finite(self, "loss", loss))
        return loss

    def _cached_step(self, model: nn.Module, batch: dict[str, Any]) -> torch.Tensor:
        model.train()
        queries, pages, negatives = self._sides(self._prepare_inputs(batch))
        # Pages last: they reach every parameter, which the averaging over processes waits for.
        parts = [side for side in (queries, negatives, pages) if side]
        with self.compute_loss_context_manager():
            sides = [EmbeddedSide.of(model, self._chunks(model, part, pages)) for part in parts]
            loss = loss_at_embeddings(
                self.loss_func,
                sides[0].vectors_BND,
                sides[-1].vectors_BND,
                sides[1].vectors_BND if negatives else None,
                block=self.chunk_size or 1,
            )
            unsynchronised = partial(self.accelerator.no_sync, model=model)
            for index, side in enumerate(sides):
                last = index == len(sides) - 1
                side.carry(model, self._backward, unsynchronised=unsynchronised, last=last)
        return loss / self.current_gradient_accumulation_steps

    def _backward(self, surrogate: torch.Tensor) -> None:
        self.accelerator.backward(surrogate / self.current_gradient_accumulation_steps)

    def floating_point_ops(self, inputs: dict[str, Any]) -> int:
        """Count as the Trainer does, without its look at every parameter."""
        return self.operations.of(inputs)

    def prediction_step(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        prediction_loss_only: bool,  # noqa: FBT001 - the Trainer's signature
        ignore_keys: list[str] | None = None,
    ) -> tuple[torch.Tensor, None, None]:
        """Compute the evaluation loss of a batch as in training."""
        del prediction_loss_only, ignore_keys
        with torch.no_grad(), self.compute_loss_context_manager():
            loss = self.compute_loss(model, self._prepare_inputs(inputs))
        return loss.detach(), None, None

    def _get_grad_norm(self, model: nn.Module, grad_norm: Any = None) -> Any:
        norm = super()._get_grad_norm(model, grad_norm)
        if self.accelerator.scaler is None:  # a gradient scaler expects infinities, and skips them
            refuse_not_finite(self, "grad_norm", norm)
        self.steps.close(
            self.state.global_step + 1,
            grad_norm=float(norm),
            learning_rate=float(self._get_learning_rate()),
            epoch=float(self.state.epoch or 0.0),
        )
        return norm

    def train(
        self,
        resume_from_checkpoint: str | bool | None = None,  # noqa: FBT001 - the Trainer's signature
        **kwargs: Any,
    ) -> Any:
        """Train, or go on: `True` finds the newest whole checkpoint of the run.

        Raises:
            ResumeError: there is none.
        """
        if resume_from_checkpoint is True:
            resume_from_checkpoint = str(checkpoint_to_go_on_from(Path(self.args.output_dir)))
        self.carry.resume(Path(resume_from_checkpoint) if resume_from_checkpoint else None)
        return super().train(resume_from_checkpoint=resume_from_checkpoint, **kwargs)

    def _run_epoch(self, *args: Any, **kwargs: Any) -> None:
        # The Trainer looks for the end behind a step: a run that goes on from its last, or that a
        # callback ends before it begins, would get one more.
        if self.control.should_training_stop or self.state.global_step >= self.state.max_steps:
            self.control.should_training_stop = True
            return
        super()._run_epoch(*args, **kwargs)

    def _save(self, output_dir: str | None = None, state_dict: object = None) -> None:
        super()._save(output_dir, state_dict)
        if self.args.should_save:
            model = self.accelerator.unwrap_model(self.model)
            save_projection_base(model, Path(output_dir or self.args.output_dir))

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        """Write the checkpoint beside its place, and move it there when it is whole."""
        run = Path(super()._get_output_dir(trial))
        name = f"{PREFIX_CHECKPOINT_DIR}-{self.state.global_step}"
        with (
            disk_faults_as_such(name),
            StagedCheckpoint(run, name, self.accelerator) as staged,
        ):
            self._staging = staged.folder
            try:
                super()._save_checkpoint(model, trial)
            finally:
                self._staging = None
            if self.args.should_save:
                self._note_best(run, staged.path)
            self.carry.save(staged.path)
        if self.args.should_save:
            rotate(run, self.args.save_total_limit, self.state.best_model_checkpoint)

    _staging: Path | None = None

    def _get_output_dir(self, trial: Any) -> str:
        return str(self._staging) if self._staging is not None else super()._get_output_dir(trial)

    def _note_best(self, run: Path, staged: Path) -> None:
        """Write the best checkpoint's final path, not the staging one, into the saved state."""
        best = self.state.best_global_step
        if best:
            self.state.best_model_checkpoint = str(run / f"{PREFIX_CHECKPOINT_DIR}-{best}")
            self.state.save_to_json(str(staged / "trainer_state.json"))


class RetrievalCollator(VisualRetrieverCollator):
    """Gives hard negatives one row a page: pixel rows are tiles, and pages differ in their number.

    The columns of queries and pages are colpali-engine's own.
    """

    def __call__(self, examples: list[dict[str, Any]]) -> dict[str, Any]:
        """Collate rows of `query`, `pos_target` and, for all of them or none, `neg_target`.

        Raises:
            ValueError: rows have different numbers of hard negatives.
        """
        negatives = [_pages(example.get("neg_target")) for example in examples]
        counts = {len(pages) for pages in negatives}
        if len(counts) > 1:
            raise ValueError(
                "every row of a batch must have the same number of hard negatives, but they have "
                f"{', '.join(map(str, sorted(counts)))}; set num_negatives in the data settings"
            )
        batch = super().__call__([{**example, "neg_target": None} for example in examples])
        flat = [page for pages in negatives for page in pages]
        return batch | self.auto_collate(flat, key_prefix=self.neg_doc_prefix) if flat else batch


def _pages(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def build_trainer(
    recipe: Recipe, arguments: TrainingArguments, adapted: AdaptedModel, data: TrainingData
) -> ColInternTrainer:
    """Assemble the trainer; rows with hard negatives get the loss that compares with them."""
    loss = (ColbertNegativeCELoss if data.has_negatives else ColbertLoss)(
        temperature=recipe.temperature,
        normalize_scores=recipe.normalize_scores,
        norm_tol=_SCORE_TOLERANCE,
    )
    collator = RetrievalCollator if data.has_negatives else VisualRetrieverCollator
    return ColInternTrainer(
        loss_func=loss,
        model=adapted.model,
        args=arguments,
        train_dataset=data.train,
        eval_dataset=data.evaluation,
        data_collator=collator(processor=adapted.processor),
        processing_class=adapted.processor,
        chunk_size=recipe.chunk_size,
    )
