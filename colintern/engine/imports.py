"""How a process that audits once imports what it needs: without looking for garbage."""

import gc
import os
from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def modules_kept_for_good() -> Generator[None]:
    """Import without collecting garbage, and leave the modules out of later collections.

    A tenth of an audit goes into looking for garbage among modules otherwise. Once a process: what
    is garbage at that moment is never freed.
    """
    # The matrices are small: a linear algebra library spends more on waking its threads.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    if gc.get_freeze_count() or not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
