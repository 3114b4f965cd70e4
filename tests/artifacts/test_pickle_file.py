import collections
import datetime as dt
import io
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from builders.hostile import EXECUTED, PAYLOADS, key_bomb, memo_bomb, reduced
from builders.pickling import Call, Instance, Name, enum, pickled
from builders.training_args import write_archive, write_training_args
from hypothesis import given
from hypothesis import strategies as st

from colintern.artifacts import limits
from colintern.artifacts.errors import ArtifactError
from colintern.artifacts.folder.pickles import examine_pickles
from colintern.artifacts.pickle.file import examine_pickle_file, read_pickled_value
from colintern.artifacts.pickle.stand_ins import Budget, Pairs
from colintern.diagnostics.pickle_safety import assess_pickle


def examined(path):
    return examine_pickle_file(path, None, Budget())


def risk_of(tmp_path, content, name="training_args.bin"):
    path = tmp_path / name
    path.write_bytes(content)
    return assess_pickle(examined(path))


@pytest.mark.parametrize("archived", [False, True], ids=["plain", "archive"])
@pytest.mark.parametrize("name", PAYLOADS)
def test_payload_is_dangerous(tmp_path, monkeypatch, name, archived):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "training_args.bin"
    if archived:
        write_archive(path, PAYLOADS[name])
    else:
        path.write_bytes(PAYLOADS[name])
    assert assess_pickle(examined(path)).dangerous
    assert not (tmp_path / EXECUTED).exists()


HARMLESS = {
    "plain values": {"a": [1, 2.5, None, True, "text", b"bytes", (1, 2)], "b": {1, 2}},
    "big numbers": [2**40, -(2**70), 10**100],
    "dates": [dt.timedelta(seconds=3), dt.datetime(2026, 1, 1, tzinfo=dt.UTC)],
    "path": Path("results") / "run",
    "ordered": collections.OrderedDict(a=1),
    "defaultdict": collections.defaultdict(int, a=1),
    "array": np.arange(5),
    "scalar": np.float64(0.5),
    "generator": np.random.default_rng(0).bit_generator.state,
    "random state": np.random.RandomState(0).get_state(),
    "frozen": frozenset({"a"}),
    "shared": [[1]] * 2,
    "exception free": complex(1, 2),
}


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("name", HARMLESS)
def test_healthy_pickle_is_harmless(tmp_path, name, protocol):
    risk = risk_of(tmp_path, pickle.dumps(HARMLESS[name], protocol))
    assert (risk.dangerous, risk.unknown, risk.unexamined) == ((), (), None)


@pytest.mark.parametrize(
    ("value", "unknown"),
    [
        (Name("my_script", "MyArguments"), "my_script.MyArguments"),
        (
            Instance(Name("unsloth_compiled_cache.UnslothSFTTrainer", "UnslothSFTConfig"), {}),
            "unsloth_compiled_cache.UnslothSFTTrainer.UnslothSFTConfig",
        ),
        (Call(Name("transformers.trainer", "Trainer"), ()), "transformers.trainer.Trainer"),
        (Name("builtins", "print"), "builtins.print"),
        (Name("builtins", "getattr"), "builtins.getattr"),
        (Call(Call(Name("torch", "device"), ("cpu",)), ()), "a call of a computed object"),
    ],
)
def test_unknown_name_is_no_danger(tmp_path, value, unknown):
    risk = risk_of(tmp_path, pickled(value))
    assert (risk.dangerous, risk.unknown) == ((), (unknown,))


def test_changed_class_is_doubtful(tmp_path):
    content = b"\x80\x02ccollections\nOrderedDict\n}(X\x01\x00\x00\x00aK\x01ub."
    assert risk_of(tmp_path, content).unknown == ("collections.OrderedDict",)


OLD_ENUM = Call(
    Name("__builtin__", "getattr"), (Name("transformers.trainer_utils", "HubStrategy"), "END")
)


@pytest.mark.parametrize(
    ("value", "is_harmless"),
    [
        (OLD_ENUM, True),
        (enum("transformers.trainer_utils", "IntervalStrategy", "steps"), True),
        (Call(OLD_ENUM, ("x",)), False),
        (Call(Name("builtins", "getattr"), (Name("os", "path"), "join")), False),
        (Call(Name("builtins", "getattr"), (Name("torch", "device"), "__class__")), False),
        (Call(Name("builtins", "getattr"), (Call(Name("torch", "device"), ("cpu",)), "x")), False),
        (Call(Name("builtins", "getattr"), ()), False),
    ],
)
def test_getattr_of_a_known_class_only(tmp_path, value, is_harmless):
    risk = risk_of(tmp_path, pickled(value))
    assert (not risk.dangerous and not risk.unknown) == is_harmless


def test_called_attribute_is_dangerous(tmp_path):
    assert risk_of(tmp_path, pickled(OLD_ENUM)).dangerous == ()
    assert risk_of(tmp_path, pickled(Call(OLD_ENUM, ("x",)))).dangerous == (
        "getattr(transformers.trainer_utils.HubStrategy, 'END')",
    )


def test_values_are_those_of_pickle(tmp_path):
    value = {"a": [1, -2, 2**70, 1.5, None, True, "ä\ud800", b"\0", (), (1,), (1, 2), [[]]]}
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        path = tmp_path / "value.bin"
        path.write_bytes(pickle.dumps(value, protocol))
        made = read_pickled_value(path, None)
        assert isinstance(made, Pairs)
        ((key, items),) = made.pairs
        expected = value["a"] if protocol > 2 else [v for v in value["a"] if v != b"\0"]
        kept = items if protocol > 2 else [v for v in items if type(v).__name__ != "StandIn"]
        assert (key, kept) == ("a", expected)


@pytest.mark.parametrize("bomb", [memo_bomb, key_bomb])
def test_bomb_is_linear(tmp_path, bomb):
    path = tmp_path / "training_args.bin"
    path.write_bytes(bomb(200))
    budget = Budget()
    report = examine_pickle_file(path, None, budget)
    assert report.fault is None
    assert limits.PICKLE_OPCODES - budget.opcodes < 2_000


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "an empty file"),
        (b"\x80\x02", "a broken pickle"),
        (b"\x80\x09N.", "other bytes"),
        (b"\x80\x02}q\x00(X\xff\xff\xff\xffa", "a broken pickle"),
        (b"\x80\x02h\x05.", "a broken pickle"),
        (b"\x80\x02aaaa.", "a broken pickle"),
        (b"\x80\x02K\x01K\x02\x93.", "a broken pickle"),
        (b"\x80\x02]p99999999999999999999\n.", "a broken pickle"),
        (b"\x80\x02(lp0\n" + b"I" + b"9" * 5000 + b"\n.", "a broken pickle"),
        (b"PK\x03\x04 not an archive", "not a zip file"),
    ],
)
def test_broken_file_is_named(tmp_path, content, found):
    path = tmp_path / "training_args.bin"
    path.write_bytes(content)
    assert found in examined(path).fault.found
    with pytest.raises(ArtifactError, match=found):
        read_pickled_value(path, None)


def archive_of(members, **options):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", **options) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return bytearray(content.getvalue())


def test_archive_members_are_bounded(tmp_path):
    path = tmp_path / "training_args.bin"
    path.write_bytes(archive_of([(f"a/{n}.pkl", pickled(None)) for n in range(40)]))
    assert "40" in examined(path).fault.found
    path.write_bytes(archive_of([("a/version", "3")]))
    assert examined(path).fault.found == "none"


def test_archive_compression_is_that_of_torch(tmp_path):
    path = tmp_path / "training_args.bin"
    members = [("a/data.pkl", pickled({"a": 1}))]
    path.write_bytes(archive_of(members, compression=zipfile.ZIP_DEFLATED))
    assert examined(path).fault is None
    path.write_bytes(archive_of(members, compression=zipfile.ZIP_LZMA))
    assert "another method" in examined(path).fault.found


def test_encrypted_archive_is_refused(tmp_path):
    path = tmp_path / "training_args.bin"
    content = archive_of([("a/data.pkl", pickled({"a": 1}))])
    content[content.rindex(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    assert "encryption" in examined(path).fault.found


def test_member_larger_than_it_says(tmp_path):
    path = tmp_path / "training_args.bin"
    content = archive_of([("a/data.pkl", pickled({"a": 1}))])
    directory = content.rindex(b"PK\x01\x02")
    content[directory + 24 : directory + 28] = struct.pack("<I", 3)
    path.write_bytes(content)
    assert examined(path).fault is not None


def test_both_members_of_one_name_count(tmp_path):
    path = tmp_path / "training_args.bin"
    with pytest.warns(UserWarning, match="Duplicate name"):
        content = archive_of([("a/data.pkl", reduced("os", "system", "x")), ("a/data.pkl", b"N.")])
    path.write_bytes(content)
    assert assess_pickle(examined(path)).dangerous == ("os.system",)


def test_oldest_torch_format_is_read(tmp_path):
    path = tmp_path / "optimizer.pt"
    path.write_bytes(
        b"".join(pickled(value) for value in (0x1950A86A20F9469CFC6C, 1001, {}, {"a": 1}, ["0"]))
        + b"\x08\0\0\0\0\0\0\0"
        + bytes(range(256))
    )
    assert examined(path).fault is None
    assert assess_pickle(examined(path)).unknown == ()


def test_work_has_a_budget(tmp_path):
    path = tmp_path / "optimizer.pt"
    path.write_bytes(b"\x80\x02(" + b"N0" * 1000 + b"N.")
    report = examine_pickle_file(path, None, Budget(500))
    assert report.is_over_limit
    assert examine_pickle_file(path, None, Budget(5000)).fault is None


def test_every_pickle_of_a_folder_is_found(tmp_path):
    write_training_args(tmp_path)
    (tmp_path / "hidden").write_bytes(pickle.dumps(dt.timedelta(1)))
    (tmp_path / "weights.bin").write_bytes(b"GGUF is no pickle")
    (tmp_path / "notes.txt").write_text("\x80\x04 a note")
    (tmp_path / "model.zip.part").write_bytes(bytes(archive_of([("a.txt", "text")])))
    found = examine_pickles(sorted(tmp_path.iterdir()), None)
    assert [report.path.name for report in found.reports] == ["hidden", "training_args.bin"]


GOOD = pickle.dumps(HARMLESS, 2)


@given(st.data())
def test_mutation_raises_nothing_else(tmp_path_factory, data):
    content = bytearray(data.draw(st.sampled_from([GOOD, *PAYLOADS.values()])))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "mutated.bin"
    path.write_bytes(content)
    report = examined(path)
    if report is not None:
        assess_pickle(report)


@given(st.binary(max_size=60))
def test_noise_raises_nothing_else(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "training_args.bin"
    path.write_bytes(b"\x80\x02" + content)
    assess_pickle(examined(path))


def test_corpus_pickles_are_harmless(corpus):
    paths = sorted(
        path for path in corpus.rglob("*") if path.name.endswith((".bin", ".pt", ".pth"))
    )
    found = examine_pickles(paths, None)
    assert len(found.reports) + len(found.faults) == len(paths) > 0
    for report in found.reports:
        risk = assess_pickle(report)
        assert not risk.dangerous
        assert not risk.unexamined
        assert all("unsloth_compiled_cache" in name for name in risk.unknown)


def test_states_of_a_real_trainer_are_harmless(tmp_path):
    torch = pytest.importorskip("torch")
    layer = torch.nn.Linear(3, 3)
    optimizer = torch.optim.AdamW(layer.parameters())
    layer(torch.ones(3)).sum().backward()
    optimizer.step()
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda _: 1.0)
    random_states = {
        "python": __import__("random").getstate(),
        "numpy": np.random.get_state(),  # noqa: NPY002 - what Trainer saves
        "cpu": torch.random.get_rng_state(),
    }
    for new_format in (True, False):
        for name, value in {
            "optimizer.pt": optimizer.state_dict(),
            "scheduler.pt": scheduler.state_dict(),
            "rng_state.pth": random_states,
            "pytorch_model.bin": layer.state_dict(),
        }.items():
            path = tmp_path / name
            torch.save(value, path, _use_new_zipfile_serialization=new_format)
            risk = assess_pickle(examined(path))
            assert (risk.dangerous, risk.unknown, risk.unexamined) == ((), (), None), name
