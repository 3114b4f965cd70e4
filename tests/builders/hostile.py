"""Artefacts of an attacker. Each payload would leave a file behind if anything ran it."""

import json

from builders.pickling import Call, Instance, Name, pickled

EXECUTED = "executed-by-a-checkpoint"
"""Name of the file that a payload would make in the current folder."""

COMMAND = f"touch {EXECUTED}"
CODE = f"open({EXECUTED!r}, 'w').close()"


def reduced(module, name, *arguments):
    return pickled(Call(Name(module, name), arguments))


def memo_bomb(levels):
    """A list of two references to a list of two references to ...: 2^levels elements if copied."""
    layers = b"".join(b"](h%ch%ceq%c" % (i, i, i + 1) for i in range(levels))
    return b"\x80\x02]q\x00" + layers + b"."


def key_bomb(levels):
    """Nested tuples as a dict's key: hashing it takes 2^levels steps."""
    layers = b"".join(b"h%ch%c\x86q%c" % (i, i, i + 1) for i in range(levels))
    return b"\x80\x02}(K\x01\x85q\x00" + layers + b"Nu."


PAYLOADS = {
    "os.system": reduced("os", "system", COMMAND),
    "posix.system": reduced("posix", "system", COMMAND),
    "builtins.eval": reduced("builtins", "eval", CODE),
    "__builtin__.eval": reduced("__builtin__", "eval", CODE),
    "builtins.exec": reduced("builtins", "exec", CODE),
    "subprocess.Popen": reduced("subprocess", "Popen", ["touch", EXECUTED]),
    "commands.getoutput": reduced("commands", "getoutput", COMMAND),
    "importlib.import_module": reduced("importlib", "import_module", "antigravity"),
    "runpy.run_path": reduced("runpy", "run_path", EXECUTED),
    "torch.load": reduced("torch", "load", EXECUTED),
    "numpy.load": reduced("numpy", "load", EXECUTED, None, True),
    "operator.attrgetter": pickled(
        Call(Call(Name("operator", "attrgetter"), ("system",)), (Name("os", "path"),))
    ),
    "nested": pickled(
        Call(
            Call(Name("builtins", "getattr"), (Name("collections", "OrderedDict"), "__init__")),
            (Call(Name("builtins", "eval"), (CODE,)),),
        )
    ),
    "getattr of a class": pickled(
        Call(
            Name("builtins", "getattr"),
            (Name("collections", "OrderedDict"), "__subclasses__"),
        )
    ),
    "inside the state": pickled(
        Instance(
            Name("transformers.training_args", "TrainingArguments"),
            {"learning_rate": Call(Name("os", "system"), (COMMAND,))},
        )
    ),
    "protocol 0": f"cos\nsystem\n(S'{COMMAND}'\ntR.".encode(),
    "inst": f"(S'{COMMAND}'\nios\nsystem\n.".encode(),
    "stack global": b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x04true\x85R.",
    "dotted name": b"\x80\x04\x8c\x05torch\x8c\x09os.system\x93\x8c\x04true\x85R.",
    "before a fault": reduced("os", "system", COMMAND)[:-1] + b"\xff\xff",
    "second pickle": pickled({"learning_rate": 1e-4}) + reduced("os", "system", COMMAND),
}


def safetensors(header, data=b"", *, length=None):
    """A file with this header: an object, a text or bytes; `length` is what it claims."""
    if not isinstance(header, bytes):
        header = (header if isinstance(header, str) else json.dumps(header)).encode()
    return (len(header) if length is None else length).to_bytes(8, "little") + header + data


def entry(dtype="F32", shape=(2, 2), offsets=(0, 16)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


FLAWED_SAFETENSORS = {
    "empty file": (b"", "a file of 0 bytes"),
    "no header": (b"\0" * 8, "an empty header"),
    "header of 100 GB": (safetensors("{}", length=100 * 10**9), "100,000,000,000 bytes"),
    "header beyond the file": (safetensors("{}", length=1000), "truncated inside its header"),
    "not JSON": (safetensors("{oops"), "Expecting property name"),
    "an array": (safetensors("[]"), "[]"),
    "not UTF-8": (safetensors(b'{"\xff": 1}'), "another byte at 2"),
    "nested JSON": (safetensors('{"a":' * 50_000 + "1" + "}" * 50_000), "deeply nested JSON"),
    "duplicate tensor": (
        safetensors(f'{{"a":{json.dumps(entry())},"a":{json.dumps(entry())}}}', b"\0" * 16),
        "`a` twice",
    ),
    "duplicate key": (
        safetensors('{"a":{"dtype":"F32","dtype":"F16","shape":[1],"data_offsets":[0,4]}}'),
        "`dtype` twice",
    ),
    "unknown dtype": (safetensors({"a": entry("F33")}, b"\0" * 16), "F33"),
    "dtype of another type": (safetensors({"a": entry(["F32"])}, b"\0" * 16), "no string"),
    "negative shape": (safetensors({"a": entry(shape=(-2, -2))}, b"\0" * 16), "other values"),
    "boolean shape": (safetensors({"a": entry(shape=(True, 4))}, b"\0" * 16), "other values"),
    "float shape": (safetensors({"a": entry(shape=(2.0, 2))}, b"\0" * 16), "other values"),
    "overflowing shape": (
        safetensors({"a": entry(shape=(2**33, 2**33), offsets=(0, 0))}),
        "0 bytes between",
    ),
    "huge dimension": (safetensors({"a": entry(shape=(2**64,))}, b"\0" * 16), "other values"),
    "many dimensions": (safetensors({"a": entry(shape=(1,) * 99)}, b"\0" * 4), "other values"),
    "size of the shape": (safetensors({"a": entry(shape=(2, 3))}, b"\0" * 16), "16 bytes between"),
    "offsets reversed": (safetensors({"a": entry(offsets=(16, 0))}, b"\0" * 16), "other values"),
    "offsets missing": (safetensors({"a": {"dtype": "F32", "shape": [1]}}), "something else"),
    "beyond the file": (safetensors({"a": entry()}, b"\0" * 15), "truncated"),
    "bytes behind": (safetensors({"a": entry()}, b"\0" * 17), "followed by other bytes"),
    "overlap": (
        safetensors({"a": entry(), "b": entry(offsets=(8, 24))}, b"\0" * 24),
        "offset 8, which overlaps",
    ),
    "gap": (
        safetensors({"a": entry(), "b": entry(offsets=(20, 36))}, b"\0" * 36),
        "offset 20, which leaves a gap",
    ),
    "metadata of numbers": (safetensors({"__metadata__": {"a": 1}}), "with other values"),
    "hidden name": (
        safetensors({"\x1b[31mred\u202e": entry("F99")}),
        "F99",
    ),
}
