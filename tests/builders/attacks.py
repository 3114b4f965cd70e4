"""Attacks on single files and on whole runs, each with what must be said of it."""

import json
import os
import zipfile

from builders.hostile import (
    FLAWED_SAFETENSORS,
    PAYLOADS,
    entry,
    key_bomb,
    memo_bomb,
    safetensors,
)
from builders.training_args import write_archive

SECONDS = 5
"""Of the processor: what else runs on the machine does not count. A reader that waits runs into the
time limit of its process."""


MEGABYTES = 500


MEBIBYTE = 1 << 20


def many_tensors(path):
    """Ten million tensors need a header of 500 MB; this one claims it and holds its start."""
    one = b',"%07d":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}'
    header = b"{" + b"".join(one % number for number in range(1_100_000))[1:] + b"}"
    path.write_bytes(safetensors(header))


def sparse(path):
    path.touch()
    os.truncate(path, 1 << 30)


def text_of(content):
    return lambda path: path.write_bytes(content)


def filled(start, piece, num_bytes, end):
    def write(path):
        path.write_bytes(start + piece * ((num_bytes - len(start)) // len(piece)) + end)

    return write


def zip_bomb(path):
    with zipfile.ZipFile(path, "w", compression=zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("training_args/data.pkl", b"\0" * (100 * MEBIBYTE))


def zip_of_many_members(path):
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(30_000):
            archive.writestr(f"training_args/{number}.pkl", b"N.")


ATTACKS = {
    "10 million tensors": ("weights", many_tensors, "at most"),
    "header of 100 GB": ("weights", text_of(safetensors("{}", length=10**11)), "100,000,000,000"),
    "header of commas": (
        "weights",
        text_of(safetensors(b'{"a":[' + b"0," * (30 * MEBIBYTE) + b"0]}")),
        "at most",
    ),
    "header of arrays": (
        "weights",
        text_of(safetensors(b'{"a":' + b"[" * (60 * MEBIBYTE))),
        "at most",
    ),
    "header of one long name": (
        "weights",
        text_of(safetensors(b'{"' + b"a" * (60 * MEBIBYTE) + b'":1}')),
        "dtype, shape and data_offsets",
    ),
    "huge rank": (
        "weights",
        text_of(safetensors({"a": entry(shape=[2**40] * 100_000)})),
        "a shape of up to",
    ),
    "sparse weights": ("weights", sparse, "an empty header"),
    "nested 100,000 deep": ("json", text_of(b'{"a":' * 100_000), "nesting"),
    "sparse JSON": ("json", sparse, "1,073,741,824 bytes"),
    "log of empty objects": (
        "log",
        filled(b'{"log_history":[', b"{},", 64 * MEBIBYTE - 9, b"{}]}"),
        "more",
    ),
    "log of long numbers": (
        "log",
        filled(b'{"log_history":[', b"1" * 4000 + b",", 60 * MEBIBYTE, b"1]}"),
        "",
    ),
    "log of short texts": (
        "log",
        filled('{"\U0001f600":['.encode(), b'"ab",', 19 * MEBIBYTE, b'"ab"]}'),
        "log_history",
    ),
    "log of small objects": (
        "log",
        filled('{"\U0001f600":['.encode(), b'{"ab":1.5},', 8 * MEBIBYTE, b"{}]}"),
        "log_history",
    ),
    "memo bomb": ("arguments", text_of(memo_bomb(250)), "another object"),
    "key bomb": ("arguments", text_of(key_bomb(250)), "another object"),
    "pickle of a million lists": (
        "arguments",
        filled(b"\x80\x02", b"]", 4 * MEBIBYTE - 1, b"."),
        "opcodes",
    ),
    "huge integer": (
        "arguments",
        filled(b"\x80\x02\x8b\x00\x00\x30\x00", b"\x7f", 3 * MEBIBYTE + 7, b"."),
        "another object",
    ),
    "zip bomb": ("arguments", zip_bomb, "104,857,600 bytes"),
    "zip of many pickles": ("arguments", zip_of_many_members, "30,000"),
}


def as_arguments(content):
    return lambda run: write_archive(run / "training_args.bin", content)


def as_weights(content):
    return lambda run: (run / "adapter_model.safetensors").write_bytes(content)


def as_text(name, content):
    return lambda run: (run / name).write_bytes(content)


def replaced(name, make):
    def change(run):
        (run / name).unlink(missing_ok=True)
        make(run / name)

    return change


def escaping_index(run):
    (run / "adapter_model.safetensors").unlink(missing_ok=True)
    (run / "adapter_config.json").unlink(missing_ok=True)
    weight_map = {"a": "../../../../etc/passwd"}
    (run / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))


def escaping_link(run):
    (run / "tokenizer.model").symlink_to("/etc/passwd")


def link_loop(path):
    path.symlink_to(path.name)


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n"


ATTACKED_RUNS = {
    **{
        f"pickle {name}": ("SEC001", as_arguments(PAYLOADS[name]))
        for name in ("os.system", "builtins.eval", "nested", "protocol 0", "inside the state")
    },
    "pickled optimiser": ("SEC001", as_text("optimizer.pt", PAYLOADS["posix.system"])),
    "pickle without a suffix": ("SEC001", as_text("model", PAYLOADS["stack global"])),
    "memo bomb": ("SEC003", as_arguments(memo_bomb(250))),
    "zip bomb": ("SEC003", lambda run: zip_bomb(run / "training_args.bin")),
    **{
        f"weights {name}": ("SEC003", as_weights(FLAWED_SAFETENSORS[name][0]))
        for name in ("header of 100 GB", "overlap", "beyond the file", "duplicate tensor")
    },
    "JSON nested": ("SEC003", as_text("trainer_state.json", b'{"a":' * 100_000)),
    "JSON of another encoding": ("SEC003", as_text("trainer_state.json", b'{"a":"\xff"}')),
    "JSON of wrong types": ("SEC003", as_text("trainer_state.json", b'{"log_history":{"a":1}}')),
    "sparse JSON": ("SEC003", replaced("trainer_state.json", sparse)),
    "pointer": ("SEC003", as_text("trainer_state.json", POINTER)),
    "pipe": ("SEC003", replaced("trainer_state.json", os.mkfifo)),
    "folder": ("SEC003", replaced("trainer_state.json", os.mkdir)),
    "loop": ("SEC003", replaced("trainer_state.json", link_loop)),
    "index that escapes": ("SEC004", escaping_index),
    "link that escapes": ("SEC004", escaping_link),
}
