"""Memory and time of a cached batch against the plain batch: <= 1/3 and <= 1.4 times.

    python tests/benchmarks/bench_cached_batch.py [--batch 64] [--chunk 16] [--rounds 5]
                                                  [--device cpu]

One training step each, in a process of its own, after a first step that is not counted. Memory is
what the step adds at its peak: on a GPU the allocator's own figure, on a CPU the peak resident size
of the process less its size before the step. Time is the median of the steps. Plain and cached
take turns, round by round; what counts is the median of the rounds' ratios.
"""

# ruff: noqa: PLC0415, T201 - a script; only the measured process needs the training stack

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent.parent), str(Path(__file__).parent.parent.parent)]

MEMORY_TARGET = 1 / 3
TIME_TARGET = 1.4
MEBIBYTE = 1 << 20


def build(options):
    import torch
    from builders.tiny_model import guide_lora
    from colpali_engine.loss import ColbertLoss
    from transformers import InternVLConfig, TrainingArguments

    from colintern.model.lora import apply_lora
    from colintern.model.modeling import ColIntern3_5
    from colintern.pages.train_base import tiny_config
    from colintern.training.trainer import ColInternTrainer

    torch.manual_seed(0)
    described = tiny_config().to_dict()
    described["text_config"] |= {
        "hidden_size": options.hidden,
        "num_hidden_layers": options.layers,
        "layer_types": None,
        "intermediate_size": 3 * options.hidden,
    }
    described["vision_config"] |= {
        "hidden_size": options.hidden,
        "num_hidden_layers": options.layers,
        "intermediate_size": 4 * options.hidden,
    }
    model, _ = apply_lora(ColIntern3_5(InternVLConfig(**described)), guide_lora(dropout=0.1))
    arguments = TrainingArguments(
        "unused", report_to=[], use_cpu=options.device == "cpu", per_device_train_batch_size=4
    )
    trainer = ColInternTrainer(
        model=model.to(options.device),
        args=arguments,
        loss_func=ColbertLoss(),
        train_dataset=[{}] * 4,
        data_collator=list,
        chunk_size=options.chunk if options.mode == "cached" else None,
    )
    trainer.optimizer, trainer.current_gradient_accumulation_steps = None, 1
    return trainer, model


def batch(options):
    import torch
    from builders.training_pairs import PairRows

    from colintern.pages.train_base import tiny_processor
    from colintern.training.trainer import RetrievalCollator

    rows = PairRows(options.batch)
    collated = RetrievalCollator(tiny_processor())([rows[index] for index in range(options.batch)])
    if options.tiles > 1:  # a page of several tiles: as many tokens and pixels more
        image = collated["doc_pixel_values"].repeat_interleave(options.tiles, dim=0)
        collated["doc_pixel_values"] = image
        ids, mask = collated["doc_input_ids"], collated["doc_attention_mask"]
        visual = ids == tiny_visual_token()
        body = ids[visual].view(options.batch, -1).repeat(1, options.tiles - 1)
        collated["doc_input_ids"] = torch.cat([body, ids], dim=1)
        collated["doc_attention_mask"] = torch.cat([torch.ones_like(body), mask], dim=1)
    return {key: value.to(options.device) for key, value in collated.items()}


def tiny_visual_token():
    from colintern.pages.tokenizer import vocabulary

    return vocabulary().index("<IMG_CONTEXT>")


def measured(options):
    import torch

    torch.set_num_threads(options.threads)
    (trainer, model), inputs = build(options), batch(options)
    seconds = []
    on_gpu = options.device != "cpu"
    if on_gpu:
        trainer.training_step(model, dict(inputs))
        torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated() if on_gpu else current_bytes()
    for _ in range(options.steps):
        model.zero_grad()
        started = time.perf_counter()
        loss = trainer.training_step(model, dict(inputs)).item()
        seconds.append(time.perf_counter() - started)
    peak = torch.cuda.max_memory_allocated() if on_gpu else peak_bytes()
    return {"bytes": peak - before, "seconds": statistics.median(seconds), "loss": loss}


def current_bytes():
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def peak_bytes():
    # Not ru_maxrss, which Linux hands down from the parent.
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) * 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--chunk", type=int, default=16)
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--tiles", type=int, default=7)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--mode", choices=["plain", "cached"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.mode:
        print(json.dumps(measured(options)))
        return 0
    rounds = [{mode: step(mode) for mode in ("plain", "cached")} for _ in range(options.rounds)]
    for each in rounds:
        print("  ".join(shown(mode, figures) for mode, figures in each.items()))
    memory, seconds = (
        statistics.median(each["cached"][key] / each["plain"][key] for each in rounds)
        for key in ("bytes", "seconds")
    )
    print(f"memory {memory:.2f} (target {MEMORY_TARGET:.2f})  time {seconds:.2f} ({TIME_TARGET})")
    return int(memory > MEMORY_TARGET or seconds > TIME_TARGET)


def step(mode):
    command = [sys.executable, __file__, *sys.argv[1:], "--mode", mode]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return json.loads(output.splitlines()[-1])


def shown(mode, figures):
    size, seconds = figures["bytes"] / MEBIBYTE, figures["seconds"]
    return f"{mode} {size:5.0f} MiB {seconds:6.2f} s a step, loss {figures['loss']:.4f}"


if __name__ == "__main__":
    sys.exit(main())
