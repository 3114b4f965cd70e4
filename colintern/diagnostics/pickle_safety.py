"""What loading a pickle would reach for: harmless classes, unknown code, or a way to run commands.

Every global counts, called or not: what is only referred to can be called by another library.
"""

# ruff: noqa: SIM905 - lists of names read best as words

import re
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from enum import IntEnum
from pathlib import Path
from typing import Final

from msgspec import Struct

from colintern.artifacts.pickle.file import PickledGlobal, PickleReport
from colintern.artifacts.printable import printable

DANGEROUS_MODULES: Final = frozenset(
    """
    _aix_support _io _osx_support _pickle _posixsubprocess _pyrepl _thread aiohttp asyncio bdb
    cProfile cffi cloudpickle code codeop commands concurrent ctypes dbm dill distutils doctest
    ensurepip fileinput ftplib gc glob http httplib idlelib imaplib imp importlib
    inspect io jsonpickle lib2to3 linecache marshal modulefinder multiprocessing nt
    ntpath numba operator os pdb pickle pip pkg_resources pkgutil platform popen2 poplib posix
    posixpath profile pty py_compile pydoc requests runpy setuptools shelve shutil signal site
    smtplib socket socketserver sqlite3 ssl subprocess sys sysconfig tarfile tempfile
    threading timeit tkinter torchvision.datasets trace types.FunctionType types.CodeType
    types.MethodType urllib urllib2 urllib3 uvicorn venv webbrowser wsgiref xmlrpc yaml zipfile
    zipimport _winapi winreg
    numpy.distutils numpy.f2py numpy.testing numpy.load numpy.lib.npyio numpy.ctypeslib
    torch.hub torch.jit torch.load torch.ops torch.package torch.save torch.serialization.load
    torch.distributed.rpc torch._dynamo torch._inductor torch._utils_internal torch.fx torch.classes
    torch.compile torch.library torch.multiprocessing torch.utils.bottleneck
    torch.utils.collect_env torch.utils.cpp_extension torch.utils.model_zoo
    pandas.eval pandas.io pandas.read_pickle pandas.core.computation joblib.load
    joblib.numpy_pickle.load joblib.parallel
    transformers.dynamic_module_utils transformers.utils.import_utils transformers.pipeline
    transformers.pipelines transformers.commands transformers.agents
    accelerate.commands accelerate.launchers accelerate.test_utils
    datasets.load datasets.load_dataset
    """.split()
)
"""Modules, or names in modules, that run commands, import, open files or load pickles."""

DANGEROUS_BUILTINS: Final = frozenset(
    """
    __build_class__ __import__ apply breakpoint compile delattr eval exec execfile exit file
    globals help input intern locals open quit reload setattr vars
    """.split()
)
HARMLESS_BUILTINS: Final = frozenset(
    """
    bool bytearray bytes complex dict float frozenset int list long object range set slice str
    tuple unicode xrange
    """.split()
)
HARMLESS: Final = frozenset(
    """
    _codecs.encode argparse.Namespace collections.Counter collections.OrderedDict
    collections.defaultdict collections.deque copyreg._reconstructor datetime.date
    datetime.datetime datetime.time datetime.timedelta datetime.timezone decimal.Decimal
    fractions.Fraction pathlib.Path pathlib.PosixPath pathlib.PurePath pathlib.PurePosixPath
    pathlib.PureWindowsPath pathlib.WindowsPath pathlib._local.PosixPath
    pathlib._local.WindowsPath pickle.PickleBuffer pickle.persistent_load types.SimpleNamespace
    _io.BytesIO io.BytesIO uuid.UUID
    numpy.dtype numpy.ndarray numpy.core.multiarray._reconstruct numpy.core.multiarray.scalar
    numpy._core.multiarray._reconstruct numpy._core.multiarray.scalar
    numpy.core.numeric._frombuffer numpy._core.numeric._frombuffer
    numpy.random._pickle.__randomstate_ctor numpy.random._pickle.__generator_ctor
    numpy.random._pickle.__bit_generator_ctor numpy.random._mt19937.MT19937
    numpy.random._pcg64.PCG64 numpy.random._philox.Philox numpy.random._sfc64.SFC64
    torch.Generator torch.Size torch.Tensor torch.device torch.nn.parameter.Parameter
    torch.serialization._get_layout torch.storage.TypedStorage torch.storage.UntypedStorage
    torch.storage._TypedStorage torch.storage._UntypedStorage torch._tensor._rebuild_from_type_v2
    torch._utils._rebuild_tensor torch._utils._rebuild_tensor_v2 torch._utils._rebuild_tensor_v3
    torch._utils._rebuild_parameter torch._utils._rebuild_parameter_with_state
    torch._utils._rebuild_qtensor torch._utils._rebuild_sparse_tensor
    torch._utils._rebuild_sparse_csr_tensor torch._utils._rebuild_nested_tensor
    torch._utils._rebuild_meta_tensor_no_storage torch._utils._rebuild_device_tensor_from_numpy
    torch._utils._rebuild_device_tensor_from_cpu_tensor torch._utils._rebuild_wrapper_subclass
    """.split()
)
HARMLESS_PATTERNS: Final = (
    re.compile(r"torch\.(cuda\.)?[A-Z][A-Za-z0-9]*Storage"),
    re.compile(
        r"torch\.(b?float|complex|u?int|q?u?int|bits)\d[\w]*|torch\.(bool|half|double|long)"
    ),
    re.compile(r"numpy\.(bool_?|[iu]nt\d*|float\d*|complex\d*|str_|bytes_|longlong|ulonglong)"),
    re.compile(r"numpy\.dtypes\.[A-Z]\w*DType"),
)
ENUMS: Final = re.compile(
    r"(transformers|trl|accelerate|peft|sentence_transformers|colpali_engine|colintern)(\.\w+)*"
    r"\.[A-Z]\w*(Strategy|Type|Names|Options?|Mode|Samplers|Backend)"
)
"""Enums of the training libraries: made by calling the class with a value."""
RECORDS: Final = re.compile(
    r"(transformers|trl|accelerate|peft|deepspeed|sentence_transformers|pylate|colpali_engine"
    r"|colintern|llamafactory|llmtuner|torch\.nn|torch\.optim"
    r"|torch\.distributed\.(checkpoint|tensor|_shard))(\.\w+)*\.[A-Z]\w*"
    # A script's own subclass of transformers' arguments, as its examples declare one.
    r"|__main__\.TrainingArguments"
)
"""Classes of the training libraries: harmless where an instance only gets its state."""


_PLAIN_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


class Risk(IntEnum):
    """What a global can do when a pickle loads it."""

    HARMLESS = 0
    UNKNOWN = 1
    DANGEROUS = 2


class PickleRisk(Struct, frozen=True):
    """One file, judged by the worst thing that it reaches for."""

    path: Path
    dangerous: tuple[str, ...]
    """What leads to running commands or opening files, as `os.system`."""
    unknown: tuple[str, ...]
    """What is neither known to be harmless nor known to be dangerous."""
    unexamined: str | None
    """The limit that left part of the file unexamined, or None."""


def assess_pickle(report: PickleReport) -> PickleRisk:
    """Sort everything that a pickle reaches for by what it can do."""
    risks = {_named(found): _risk(found) for found in report.globals}
    called = report.computed_calls
    for target, attribute in report.attribute_reads:
        shown = f"getattr({target or 'a computed object'}, '{attribute}')"
        risks[shown] = _attribute_risk(target, attribute, called=called)
    if called:
        risks.setdefault("a call of a computed object", Risk.UNKNOWN)
    return PickleRisk(
        path=report.path,
        dangerous=tuple(name for name, risk in risks.items() if risk is Risk.DANGEROUS),
        unknown=tuple(name for name, risk in risks.items() if risk is Risk.UNKNOWN),
        unexamined=str(report.fault) if report.is_over_limit else None,
    )


_WEIGHTS: Final = frozenset({"adapter_model.bin", "pytorch_model.bin", "model.bin"})
_RESUMPTION: Final = re.compile(r"(optimizer|scheduler|scaler|rng_state.*)\.(pt|pth|bin)")


def safe_way(risk: PickleRisk) -> str:
    """Say how to do without a file that must not be loaded as it is."""
    if not risk.dangerous:
        return (
            "look at the module that the name comes from; if you trust it, waive this rule with "
            "that reason. Else load the file with `torch.load(..., weights_only=True)` only."
        )
    name = risk.path.name
    if name in _WEIGHTS or name.startswith("pytorch_model-"):
        way = (
            "take the repository's safetensors copy. Without one there is no safe way to these "
            "weights: `torch.load(..., weights_only=True)` refuses the file, all else runs it."
        )
    elif name == "training_args.bin":
        way = "the weights do not need it, and the next training writes a new one."
    elif _RESUMPTION.fullmatch(name):
        way = "only a resumption needs it; resume from weights whose source you know."
    else:
        way = "ask its source for the data as safetensors or JSON."
    return f"do not load it: delete {printable(name, limit=60)} unopened; {way}"


def _named(found: PickledGlobal) -> str:
    return f"{found.module}.{found.name}"


def _current(module: str, name: str) -> tuple[str, str]:
    """Translate Python 2's module names, as the unpickler does."""
    module, name = NAME_MAPPING.get((module, name), (module, name))
    return IMPORT_MAPPING.get(module, module), name


def _risk(found: PickledGlobal) -> Risk:
    module, name = _current(found.module, found.name)
    risk = _global_risk(module, name, found.uses)
    # Setting attributes of the class itself changes it for everybody who uses it later.
    return max(risk, Risk.UNKNOWN) if "change" in found.uses else risk


def _global_risk(module: str, name: str, uses: frozenset[str]) -> Risk:
    qualified = f"{module}.{name}"
    if module == "builtins":
        return _builtin_risk(name, uses)
    if qualified in HARMLESS or any(p.fullmatch(qualified) for p in HARMLESS_PATTERNS):
        return Risk.HARMLESS
    if _leads_to_danger(qualified) or _hides_danger(name):
        return Risk.DANGEROUS
    is_enum = ENUMS.fullmatch(qualified) and "." not in name
    is_record = RECORDS.fullmatch(qualified) and "." not in name and "call" not in uses
    return Risk.HARMLESS if is_enum or is_record else Risk.UNKNOWN


def _builtin_risk(name: str, uses: frozenset[str]) -> Risk:
    # A call of getattr is judged by what it reads; handed on, it could read anything.
    if name in HARMLESS_BUILTINS or (name == "getattr" and "call" in uses):
        return Risk.HARMLESS
    dangerous = name in DANGEROUS_BUILTINS or _hides_danger(name)
    return Risk.DANGEROUS if dangerous else Risk.UNKNOWN


def _leads_to_danger(qualified: str) -> bool:
    parts = qualified.split(".")
    return any(".".join(parts[: end + 1]) in DANGEROUS_MODULES for end in range(len(parts)))


def _hides_danger(name: str) -> bool:
    """Whether a dotted name walks through a dangerous module, or to an inner attribute."""
    parts = name.split(".")
    return len(parts) > 1 and any(
        part.startswith("__") or part in DANGEROUS_MODULES or part in DANGEROUS_BUILTINS
        for part in parts
    )


def _attribute_risk(target: str, attribute: str, *, called: bool) -> Risk:
    """Judge a `getattr`: old enums were pickled so, but no healthy pickle calls what it got."""
    if not _PLAIN_NAME.fullmatch(attribute) or called:
        return Risk.DANGEROUS
    module, _, name = target.rpartition(".")
    if not module:
        return Risk.UNKNOWN
    risk = _global_risk(*_current(module, name), frozenset())
    return Risk.HARMLESS if risk is Risk.HARMLESS else Risk.DANGEROUS
