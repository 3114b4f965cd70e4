"""One optimiser step in each mode; run alone or by torchrun, it writes losses and gradients.

torchrun --nproc-per-node 2 tests/distributed_step.py OUT
"""

import os
import sys
from pathlib import Path

sys.path[:0] = [str(folder) for folder in Path(__file__).parents[1:3]]

import torch  # noqa: E402 - after the path
from builders.tiny_model import guide_lora, random_model  # noqa: E402 - after the path
from builders.training_pairs import PairRows  # noqa: E402 - after the path
from colpali_engine.loss import ColbertLoss  # noqa: E402 - after the path
from transformers import TrainerCallback, TrainingArguments  # noqa: E402 - after the path

from colintern.model.lora import apply_lora  # noqa: E402 - after the path
from colintern.pages.train_base import tiny_processor  # noqa: E402 - after the path
from colintern.training.trainer import ColInternTrainer, RetrievalCollator  # noqa: E402 - after the path

GLOBAL_BATCH = 8
MODES = {"plain": None, "cached": 2}


class Gradients(TrainerCallback):
    def __init__(self):
        self.values = {}

    def on_pre_optimizer_step(self, *_, model, **__):
        named = model.named_parameters()
        self.values = {name: each.grad.clone() for name, each in named if each.requires_grad}


def model_of():
    torch.manual_seed(0)
    model, _ = apply_lora(random_model(), guide_lora(dropout=0.0))
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.05)
    return model


def step(chunk_size, folder, world_size):
    gradients = Gradients()
    trainer = ColInternTrainer(
        model=model_of(),
        args=TrainingArguments(
            str(folder),
            per_device_train_batch_size=GLOBAL_BATCH // world_size,
            gradient_accumulation_steps=2,
            max_steps=1,
            logging_steps=1,
            save_strategy="no",
            optim="sgd",
            max_grad_norm=0,
            use_cpu=True,
            report_to=[],
            disable_tqdm=True,
            ddp_find_unused_parameters=False,
            label_names=[],
        ),
        loss_func=ColbertLoss(),
        train_dataset=PairRows(2 * GLOBAL_BATCH),
        eval_dataset=PairRows(GLOBAL_BATCH),
        data_collator=RetrievalCollator(tiny_processor()),
        chunk_size=chunk_size,
        callbacks=[gradients],
    )
    trainer.train()
    losses = [row["loss"] for row in trainer.state.log_history if "loss" in row]
    trainer.args.per_device_eval_batch_size = GLOBAL_BATCH // world_size
    evaluation = trainer.evaluate()["eval_loss"]
    return {"losses": losses, "evaluation": evaluation, "gradients": gradients.values}


def main():
    folder = Path(sys.argv[1])
    world_size = int(os.environ.get("WORLD_SIZE", "1"))
    found = {mode: step(size, folder, world_size) for mode, size in MODES.items()}
    rank = int(os.environ.get("RANK", "0"))
    torch.save(found, folder / f"world-{world_size}-rank-{rank}.pt")
    if world_size > 1:
        torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
