"""Step time and peak memory of our trainer against colpali-engine's own: not slower.

    python tests/benchmarks/bench_training_step.py [--steps 30] [--rounds 3]

Both train the same model on the same rows in the same batches, in processes of their own, in turn.
The time is the median over rounds of the seconds a step, without the first five; memory is the
peak resident size of the process.
"""

# ruff: noqa: PLC0415, T201 - a script; only the measured process needs the training stack

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent.parent), str(Path(__file__).parent.parent.parent)]

WARM_UP_STEPS = 5
TOLERANCE = 1.05
"""Times are compared with this much room: two runs of one trainer differ by as much."""


def trainer_of(which, model, arguments, rows, processor):
    from colpali_engine.collators import VisualRetrieverCollator
    from colpali_engine.loss import ColbertLoss

    if which == "ours":
        from colintern.training.trainer import ColInternTrainer as Trainer
    else:
        from colpali_engine.trainer.contrastive_trainer import ContrastiveTrainer as Trainer
    return Trainer(
        model=model,
        args=arguments,
        loss_func=ColbertLoss(),
        is_vision_model=True,
        train_dataset=rows,
        eval_dataset=None,
        data_collator=VisualRetrieverCollator(processor),
    )


def measured(options):
    import torch
    from builders.tiny_model import guide_lora, random_model
    from builders.training_pairs import PairRows
    from transformers import TrainerCallback, TrainingArguments

    from colintern.model.lora import apply_lora
    from colintern.pages.train_base import tiny_processor

    class Clock(TrainerCallback):
        def __init__(self):
            self.ends = []

        def on_step_end(self, *_, **__):
            self.ends.append(time.perf_counter())

    torch.set_num_threads(options.threads)
    model, _ = apply_lora(random_model(), guide_lora(dropout=0.1))
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            folder,
            per_device_train_batch_size=options.batch,
            max_steps=options.steps,
            logging_steps=10,
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
            use_cpu=True,
            remove_unused_columns=False,
            label_names=[],
            dataloader_drop_last=True,
        )
        rows, clock = PairRows(options.batch * options.steps), Clock()
        trainer = trainer_of(options.which, model, arguments, rows, tiny_processor())
        trainer.add_callback(clock)
        trainer.train()
    seconds = [end - begin for begin, end in zip(clock.ends, clock.ends[1:], strict=False)]
    status = Path("/proc/self/status").read_text().splitlines()
    peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024
    return {"seconds": statistics.median(seconds[WARM_UP_STEPS:]), "mebibytes": peak}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--which", choices=["ours", "theirs"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.which:
        print(json.dumps(measured(options)))
        return 0
    results = {"theirs": [], "ours": []}
    for _ in range(options.rounds):
        for which, found in results.items():
            command = [sys.executable, __file__, *sys.argv[1:], "--which", which]
            output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            found.append(json.loads(output.splitlines()[-1]))
    median = {
        which: {key: statistics.median(each[key] for each in found) for key in found[0]}
        for which, found in results.items()
    }
    for which, found in median.items():
        print(f"{which:7} {found['seconds']:.4f} s a step  {found['mebibytes']:.0f} MiB at most")
    ratio = median["ours"]["seconds"] / median["theirs"]["seconds"]
    memory = median["ours"]["mebibytes"] / median["theirs"]["mebibytes"]
    print(f"time {ratio:.2f}, memory {memory:.2f} of colpali-engine's")
    return int(ratio > TOLERANCE or memory > TOLERANCE)


if __name__ == "__main__":
    sys.exit(main())
