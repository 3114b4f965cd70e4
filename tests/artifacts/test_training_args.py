import pickle
import pickletools
import zipfile

import pytest
from builders.pickling import Call, Instance, Name, enum, pickled
from builders.training_args import CLASS, write_archive, write_training_args

from colintern.artifacts import limits
from colintern.artifacts.errors import ArtifactError
from colintern.artifacts.run.training_args import TrainingArguments, read_training_args


def read(run, **changes):
    write_training_args(run, **changes)
    return read_training_args(run / "training_args.bin", None)


def test_healthy_arguments_are_typed(tmp_path):
    arguments = read(tmp_path)
    assert arguments.class_name == "transformers.training_args.TrainingArguments"
    assert arguments.learning_rate == 7e-5
    assert (arguments.per_device_train_batch_size, arguments.gradient_accumulation_steps) == (16, 4)
    assert (arguments.eval_strategy, arguments.lr_scheduler_type) == ("steps", "cosine")
    assert arguments.gradient_checkpointing_kwargs == {"use_reentrant": False}
    assert arguments.n_gpu == 1
    assert arguments.values["distributed_state"]["device"] == "cuda:0"
    assert arguments.values["distributed_state"]["distributed_type"] == "NO"
    assert arguments.warmup_ratio is None


OLD_STEPS = Call(
    Name("__builtin__", "getattr"),
    (Name("transformers.trainer_utils", "IntervalStrategy"), "STEPS"),
)


@pytest.mark.parametrize(
    ("changes", "field", "value"),
    [
        ({"eval_strategy": ..., "evaluation_strategy": "epoch"}, "eval_strategy", "epoch"),
        ({"eval_strategy": "no", "evaluation_strategy": "epoch"}, "eval_strategy", "no"),
        ({"eval_strategy": None, "evaluation_strategy": OLD_STEPS}, "eval_strategy", "steps"),
        ({"per_gpu_train_batch_size": 4}, "per_device_train_batch_size", 4),
        ({"per_gpu_train_batch_size": None}, "per_device_train_batch_size", 16),
        (
            {"gradient_checkpointing": ..., "activation_checkpointing": True},
            "gradient_checkpointing",
            True,
        ),
        ({"warmup_ratio": 0.1}, "warmup_ratio", 0.1),
        ({"warmup_steps": 0.1}, "warmup_steps", 0.1),
        ({"logging_steps": 1.0}, "logging_steps", 1.0),
        ({"learning_rate": 1}, "learning_rate", 1.0),
        ({"learning_rate": float("inf")}, "learning_rate", float("inf")),
        ({"run_name": "a\ud800b"}, "run_name", "a\ud800b"),
        (
            {"resume_from_checkpoint": Call(Name("pathlib", "PosixPath"), ("/", "a"))},
            "resume_from_checkpoint",
            "/a",
        ),
    ],
)
def test_older_names_and_forms(tmp_path, changes, field, value):
    assert getattr(read(tmp_path, **changes), field) == value


FIELDS = [
    name for name in TrainingArguments.__struct_fields__ if name not in {"class_name", "values"}
]


@pytest.mark.parametrize("name", FIELDS)
def test_wrong_type_names_the_key(tmp_path, name):
    with pytest.raises(ArtifactError, match=rf"at `{name}`"):
        read(tmp_path, **{name: [{}]})


def test_boolean_is_no_number(tmp_path):
    with pytest.raises(ArtifactError, match="per_device_train_batch_size"):
        read(tmp_path, per_device_train_batch_size=True)


def test_huge_integer_is_no_crash(tmp_path):
    assert read(tmp_path, anything=10**9000).values["anything"] == float("inf")
    with pytest.raises(ArtifactError, match="max_steps"):
        read(tmp_path, max_steps=10**9000)


def test_secrets_are_dropped(tmp_path):
    assert "hub_token" not in read(tmp_path, hub_token="hf_secret").values  # noqa: S106 - invented


def test_readable_values(tmp_path):
    values = read(
        tmp_path,
        ddp_timeout_delta=Call(Name("datetime", "timedelta"), (0, 1800, 0)),
        debug=Call(Name("builtins", "set"), (["a"],)),
        custom=Instance(Name("my.module", "Thing"), {}),
        unknown=Call(Name("my.module", "make"), (1, 2)),
        some_class=Name("torch", "float32"),
    ).values
    assert values["ddp_timeout_delta"] == 1800.0
    assert values["unknown"] == "<my.module.make>"
    assert values["some_class"] == "torch.float32"


@pytest.mark.parametrize(
    "value",
    [
        None,
        [1],
        {"learning_rate": 1e-4},
        Instance(CLASS, {}),
        Call(CLASS),
        enum("transformers.trainer_utils", "IntervalStrategy", "steps"),
    ],
)
def test_another_object_is_refused(tmp_path, value):
    path = tmp_path / "training_args.bin"
    write_archive(path, pickled(value))
    with pytest.raises(ArtifactError, match="the pickled arguments of a Trainer"):
        read_training_args(path, None)


def test_shared_values_stay_bounded(tmp_path):
    path = tmp_path / "training_args.bin"
    # Eight levels of eight references each: 16 million values if written out.
    levels = b"".join(b"](%beq%c0" % (b"h%c" % i * 8, i + 1) for i in range(8))
    bomb = b"]q\x000" + levels + b"h\x08"
    head = pickled(Instance(CLASS, {})).removesuffix(b"}(ub.")
    path.write_bytes(head + b"}(X\x01\x00\x00\x00a" + bomb + b"ub.")
    with pytest.raises(ArtifactError, match="at most"):
        read_training_args(path, None)


def test_nesting_is_bounded(tmp_path):
    nested = 1
    for _ in range(limits.PICKLE_DEPTH + 2):
        nested = [nested]
    with pytest.raises(ArtifactError, match="nested"):
        read(tmp_path, nested=nested)


def test_corpus_arguments_are_read(corpus):
    paths = sorted(corpus.rglob("*training_args*.bin"))
    assert paths
    for path in paths:
        arguments = read_training_args(path, None)
        assert arguments.learning_rate
        assert arguments.gradient_accumulation_steps
        assert arguments.lr_scheduler_type in {None, "linear", "cosine", "constant", "polynomial"}


def structure(path):
    """The opcodes that make objects, with the names that they load."""
    with zipfile.ZipFile(path) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith("data.pkl")]
        content = archive.read(name)
    wanted = {"PROTO", "GLOBAL", "NEWOBJ", "BUILD", "REDUCE", "STOP"}
    return name, {
        (opcode.name, argument)
        for opcode, argument, _ in pickletools.genops(content)
        if opcode.name in wanted
    }


def test_builder_writes_what_transformers_writes(tmp_path):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    write_training_args(tmp_path)
    ours = tmp_path / "training_args.bin"
    theirs = tmp_path / "real" / "training_args.bin"
    theirs.parent.mkdir()
    real = transformers.TrainingArguments("out", use_cpu=True, report_to=[])
    torch.save(real, theirs)
    assert structure(ours)[0] == structure(theirs)[0]
    assert structure(ours)[1] <= structure(theirs)[1] | {("NEWOBJ", None)}
    assert read_training_args(theirs, None).learning_rate == real.learning_rate


def test_builder_needs_no_real_classes(tmp_path):
    write_training_args(tmp_path)
    with zipfile.ZipFile(tmp_path / "training_args.bin") as archive:
        content = archive.read("training_args/data.pkl")
    assert pickletools.optimize(content)
    assert content[:2] == pickle.PROTO + b"\x02"
