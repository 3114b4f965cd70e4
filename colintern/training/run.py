"""Trains one recipe with colpali-engine's trainer and losses, and leaves its evidence."""

import logging
from pathlib import Path

import torch
from colpali_engine.collators import VisualRetrieverCollator
from colpali_engine.loss import ColbertLoss
from colpali_engine.trainer.contrastive_trainer import ContrastiveTrainer
from peft import PeftModel
from transformers import TrainingArguments, set_seed

from colintern.artifacts.tiny_base import resolve_base
from colintern.model.loading import choose_attention, load_base
from colintern.model.lora import apply_lora, save_projection_base
from colintern.model.processing import ColIntern3_5Processor
from colintern.pages.world import held_out_pairs, training_pairs
from colintern.training.manifest import ManifestWriter, run_manifest
from colintern.training.model_card import model_card
from colintern.training.page_pairs import pair_dataset
from colintern.training.recipes import Recipe

logger = logging.getLogger(__name__)


class ColInternTrainer(ContrastiveTrainer):
    """colpali-engine's trainer; its checkpoints can be rebuilt from the plain base."""

    def _save(self, output_dir: str | None = None, state_dict: object = None) -> None:
        super()._save(output_dir, state_dict)
        save_projection_base(
            self.accelerator.unwrap_model(self.model), Path(output_dir or self.args.output_dir)
        )


def train(recipe: Recipe, output_dir: Path) -> None:
    """Train `recipe` into `output_dir`: adapter, processor, log, manifest and model card."""
    set_seed(recipe.seed)
    attention = choose_attention(torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    base, _ = load_base(recipe.base, attention=attention)
    processor = ColIntern3_5Processor.from_pretrained(resolve_base(recipe.base))
    model, coverage = apply_lora(base, recipe.lora, base_name=recipe.base)
    arguments = training_arguments(recipe, output_dir)
    manifest = run_manifest(recipe, arguments, model, processor, coverage, attention=attention)
    writer = ManifestWriter(output_dir, manifest)
    trainer = build_trainer(recipe, arguments, model, processor)
    trainer.add_callback(writer)
    trainer.train()
    trainer.save_model()
    trainer.save_state()
    card = model_card(recipe, manifest)
    (output_dir / "README.md").write_text(card)
    writer.finish("completed")


def training_arguments(recipe: Recipe, output_dir: Path) -> TrainingArguments:
    """Return the recipe as Trainer's arguments."""
    return TrainingArguments(
        output_dir=str(output_dir),
        learning_rate=recipe.learning_rate,
        num_train_epochs=recipe.num_train_epochs,
        per_device_train_batch_size=recipe.per_device_train_batch_size,
        per_device_eval_batch_size=max(recipe.per_device_train_batch_size, 2),
        gradient_accumulation_steps=recipe.gradient_accumulation_steps,
        warmup_steps=recipe.warmup_steps,
        lr_scheduler_type=recipe.lr_scheduler_type,
        max_grad_norm=recipe.max_grad_norm,
        weight_decay=recipe.weight_decay,
        bf16=torch.cuda.is_available(),
        eval_strategy="no" if recipe.eval_steps is None else "steps",
        eval_steps=recipe.eval_steps,
        save_strategy="steps",
        save_steps=recipe.save_steps,
        save_total_limit=recipe.save_total_limit,
        logging_steps=recipe.logging_steps,
        dataloader_drop_last=True,
        dataloader_pin_memory=torch.cuda.is_available(),
        remove_unused_columns=False,
        label_names=[],
        report_to=[],
        seed=recipe.seed,
    )


def build_trainer(
    recipe: Recipe,
    arguments: TrainingArguments,
    model: PeftModel,
    processor: ColIntern3_5Processor,
) -> ColInternTrainer:
    """Assemble the trainer on the generated pairs."""
    held_out = None if recipe.eval_steps is None else held_out_pairs(recipe.eval_pairs)
    return ColInternTrainer(
        loss_func=ColbertLoss(
            temperature=recipe.temperature, normalize_scores=recipe.normalize_scores
        ),
        is_vision_model=True,
        model=model,
        args=arguments,
        train_dataset=pair_dataset(training_pairs(recipe.train_pairs, seed=recipe.seed)),
        eval_dataset=None if held_out is None else pair_dataset(held_out),
        data_collator=VisualRetrieverCollator(processor=processor),
        processing_class=processor,
    )
