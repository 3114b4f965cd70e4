"""Names that pickles of training runs refer to, and names that an attack needs."""

# ruff: noqa: SIM905 - lists of names read best as words

import re
from typing import Final

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
    r"|colintern|torch\.nn|torch\.optim)(\.\w+)*\.[A-Z]\w*"
)
"""Classes of the training libraries: harmless where an instance only gets its state."""
