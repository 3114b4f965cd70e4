"""Memory and time of the streaming evaluator against MTEB's own wrapper, as the corpus grows.

    python tests/benchmarks/bench_streaming.py [--pages 500 1000 2000 4000] [--queries 200]

Both evaluate the same ColQwen2 of colpali-engine, made tiny by its configuration, on the same task
of MTEB with pages of 16 to 768 visual tokens: `mteb.evaluate` with MTEB's `ColQwen2Wrapper`, and
`StreamingSearch`. Each runs in a process of its own, one after the other at each size. Time is from
the loaded model to the scores, on the clock and of the processor. Memory is the peak resident size
of the process; and beside it what the evaluation takes of it, which is the peak less what was
resident when model and data were loaded.
"""

# ruff: noqa: PLC0415, T201 - a script; only the measured process needs the training stack

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent.parent), str(Path(__file__).parent.parent.parent)]

TASK = "VidoreDocVQARetrieval"
MOST_MEMORY = 0.25
MOST_TIME = 1.0
BATCH = 16
HEAD = """\
| pages | peak MiB: MTEB | ours | ratio | of it the evaluation: MTEB | ours | ratio \
| s: MTEB | ours | ratio | s of CPU: MTEB | ours | ratio | NDCG@5 of both |
|---|---|---|---|---|---|---|---|---|---|---|---|---|---|"""
TOKEN_EDGE = 14
"""Pixels of one visual token each way: a patch. ColQwen2 merges four, which costs time alone."""


def page_sizes(count, fewest, most=768):
    """Pages as columns and rows of tokens, uniform in the logarithm of their number, unsorted."""
    import numpy as np

    random = np.random.default_rng(0)
    tokens = np.exp(random.uniform(np.log(fewest), np.log(most), count))
    rows = np.maximum(2, np.sqrt(tokens * random.uniform(0.7, 1.4, count)))
    return [(max(2, round(n / r)), max(2, round(r))) for n, r in zip(tokens, rows, strict=True)]


def png(number, width, height):
    import io

    import numpy as np
    from PIL import Image

    random = np.random.default_rng(number)
    blocks = random.integers(0, 255, (height, width, 3), dtype=np.uint8)
    stream = io.BytesIO()
    image = Image.fromarray(blocks)
    image.resize((width * TOKEN_EDGE, height * TOKEN_EDGE), Image.Resampling.NEAREST).save(
        stream, "png"
    )
    return stream.getvalue()


def write_data(folder, num_pages, num_queries, fewest):
    from support.vidore_copies import write_parts

    from colintern.pages.world import retrieval_task

    texts = retrieval_task().queries
    corpus = [
        {"corpus-id": n, "image": {"bytes": png(n, *size), "path": f"{n}.png"}}
        for n, size in enumerate(page_sizes(num_pages, fewest))
    ]
    queries = [
        {"query-id": n, "query": texts[n % len(texts)], "language": "english"}
        for n in range(num_queries)
    ]
    qrels = [
        {"query-id": n, "corpus-id": n * num_pages // num_queries, "score": 1}
        for n in range(num_queries)
    ]
    write_parts(folder / TASK, {"corpus": corpus, "queries": queries, "qrels": qrels})


def write_model(folder):
    """Write a ColQwen2 of one narrow layer: what is measured is the evaluation, not the model."""
    import torch
    from colpali_engine.models import ColQwen2
    from support.tiny_engine import config, processor

    torch.manual_seed(0)
    tiny = config()
    text, vision = tiny.text_config, tiny.vision_config
    text.num_hidden_layers = vision.depth = vision.num_heads = text.num_key_value_heads = 1
    text.layer_types = text.layer_types[:1]
    text.num_attention_heads = 2
    text.hidden_size = vision.hidden_size = 32
    vision.embed_dim = 16
    vision.spatial_merge_size = 1
    ColQwen2(tiny).save_pretrained(folder)
    pages = processor()
    pages.image_processor.merge_size = 1
    most = 1_024 * TOKEN_EDGE**2
    pages.image_processor.size = {"shortest_edge": 4 * TOKEN_EDGE**2, "longest_edge": most}
    pages.save_pretrained(folder)


def status_of(key):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(key)) / 1024


def theirs(model, task, _):
    import mteb
    from mteb.models.model_implementations.colqwen_models import ColQwen2Wrapper

    wrapper = ColQwen2Wrapper(str(model), device="cpu", query_prefix="")
    wrapper.mteb_model_meta = mteb.get_model_meta("vidore/colqwen2-v1.0")

    def evaluate():
        options = {"batch_size": BATCH, "show_progress_bar": False}
        result = mteb.evaluate(
            wrapper, task, cache=None, co2_tracker=False, encode_kwargs=options,
            show_progress_bar=False,
        )  # fmt: skip
        return result.task_results[0].scores["test"][0]

    return evaluate


def ours(model, task, folder):
    from colintern.evaluation.checkpoint import find_checkpoint
    from colintern.evaluation.processes import Processes
    from colintern.evaluation.results import ResultsFolder
    from colintern.evaluation.retriever import load_retriever
    from colintern.evaluation.streaming import StreamingSearch
    from colintern.evaluation.task_run import run_task

    search = StreamingSearch(
        load_retriever(find_checkpoint(str(model)), device="cpu"), folder / "work", Processes()
    )
    results = ResultsFolder(folder / "results")

    def evaluate():
        (folder / "results").mkdir()
        (folder / "results" / "per_query").mkdir()
        run_task(task, search, results, batch_size=BATCH)
        return results.task_result(TASK).scores["test"][0]

    return evaluate


def measured(options):
    import torch

    from colintern.evaluation.local_data import load_data
    from colintern.evaluation.task_names import chosen_tasks

    torch.set_num_threads(options.threads)
    folder = Path(options.folder)
    (task,) = chosen_tasks([TASK], folder / "data")
    load_data(task, folder / "data")
    with tempfile.TemporaryDirectory(dir=folder) as own:
        evaluate = {"theirs": theirs, "ours": ours}[options.which](
            folder / "model", task, Path(own)
        )
        loaded = status_of("VmRSS")
        Path("/proc/self/clear_refs").write_text("5")  # The peak begins anew.
        begin, worked = time.perf_counter(), time.process_time()
        scores = evaluate()
        seconds, worked = time.perf_counter() - begin, time.process_time() - worked
    peak = status_of("VmHWM")
    return {
        "seconds": seconds,
        "worked": worked,
        "peak": peak,
        "own": peak - loaded,
        "ndcg": scores["ndcg_at_5"],
    }


def in_own_process(which, folder, options):
    command = [sys.executable, __file__, "--which", which, "--folder", str(folder)]
    cache = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_CACHE": str(folder / "cache")}
    done = subprocess.run(
        [*command, "--threads", str(options.threads)],
        env=os.environ | cache,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def compared(num_pages, options):
    """Measure both at one size; return their figures."""
    with tempfile.TemporaryDirectory(dir=options.work) as name:
        folder = Path(name)
        write_model(folder / "model")
        write_data(folder / "data", num_pages, options.queries, options.fewest_tokens)
        if options.warm:  # Reads the parquet files into the cache, for both alike.
            in_own_process("ours", folder, options)
        return {which: in_own_process(which, folder, options) for which in ("theirs", "ours")}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pages", type=int, nargs="+", default=[500, 1000, 2000, 4000])
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--fewest-tokens", type=int, default=16, help="768: pages of one size")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--work", help="where the data is written; as much as a disk holds")
    parser.add_argument("--warm", action="store_true", help="read the data once before")
    parser.add_argument("--which", choices=["theirs", "ours"], help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.which:
        print(json.dumps(measured(options)))
        return 0
    print(HEAD)
    ratios = []
    for num_pages in options.pages:
        found = compared(num_pages, options)
        one, other = found["theirs"], found["ours"]
        ratio = {key: other[key] / one[key] for key in one if one[key]}
        ratios.append(ratio)
        figures = (
            f"{one[key]:.{digits}f} | {other[key]:.{digits}f} | {ratio[key]:.2f}"
            for key, digits in (("peak", 0), ("own", 0), ("seconds", 1), ("worked", 1))
        )
        same = f"{one['ndcg']:.4f}, {other['ndcg']:.4f}"
        print(f"| {num_pages} | {' | '.join(figures)} | {same} |", flush=True)
    return int(any(each["own"] > MOST_MEMORY or each["seconds"] > MOST_TIME for each in ratios))


if __name__ == "__main__":
    sys.exit(main())
