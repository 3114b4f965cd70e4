"""Where a study is kept: a journal file in the output folder, or a database of Optuna's."""

import os
import time
import warnings
from pathlib import Path
from typing import Any, Final

from optuna.exceptions import ExperimentalWarning, OptunaError
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import (
    JournalFileBackend,
    JournalFileOpenLock,
    JournalFileSymlinkLock,
)
from sqlalchemy import event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from colintern.artifacts.printable import printable

JOURNAL: Final = "study.journal"
"""Name of the journal file in the output folder."""

_ATTEMPTS: Final = 5
_PAUSE_SECONDS: Final = 1.0
"""Two workers that make the tables of a new database at once: one of them has to try again."""
_BUSY_SECONDS: Final = 120
"""How long a process waits for SQLite while others write."""


class StorageError(ValueError):
    """A storage that cannot be opened."""


def open_storage(url: str | None, folder: Path) -> BaseStorage:
    """Open the storage at `url`; without one, the journal file in `folder`.

    Raises:
        StorageError: no such database, or a journal that is none.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return _journal(folder / JOURNAL) if url is None else _database(url)


def shown_storage(url: str | None, folder: Path) -> str:
    """Return the name of a storage, without the password that its URL may have."""
    if url is None:
        return str(folder / JOURNAL)
    try:
        return printable(make_url(url).render_as_string(hide_password=True))
    except ArgumentError:
        return "a URL that cannot be read"


def _journal(path: Path) -> BaseStorage:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Windows makes symbolic links only for administrators.
    lock = (JournalFileOpenLock if os.name == "nt" else JournalFileSymlinkLock)(str(path))
    backend = JournalFileBackend(str(path), lock_obj=lock)
    _cut_torn_line(path, lock)
    try:
        return JournalStorage(backend)
    except (ValueError, KeyError, TypeError, AttributeError, AssertionError) as error:
        raise StorageError(
            f"{path} must be the journal of a study, but it cannot be read: {printable(error)}; "
            "restore it, or choose another --output-dir"
        ) from error


def _cut_torn_line(path: Path, lock: Any) -> None:
    """Cut off what a full disk left of a line: behind it no line could be read again."""
    if _ends_well(path):
        return
    lock.acquire()
    try:
        if not _ends_well(path):
            with path.open("rb+") as file:
                file.truncate(file.read().rfind(b"\n") + 1)
    finally:
        lock.release()


def _ends_well(path: Path) -> bool:
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(size - 1, 0))
        return file.read(1) in {b"", b"\n"}


def _database(url: str) -> BaseStorage:
    shown = shown_storage(url, Path())
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise StorageError(
            "--storage must be a URL such as sqlite:///study.db or "
            "postgresql://user@host/database, but it cannot be read as one"
        ) from error
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            return _connected(parsed)
        except (SQLAlchemyError, OptunaError, ImportError, RuntimeError) as error:
            if attempt == _ATTEMPTS or isinstance(error, ImportError | ArgumentError):
                raise StorageError(f"{shown} cannot be opened: {_reason(error)}") from error
        time.sleep(_PAUSE_SECONDS)
    raise AssertionError


def _connected(url: URL) -> BaseStorage:
    is_sqlite = url.get_backend_name() == "sqlite"
    engine_kwargs = {"connect_args": {"timeout": _BUSY_SECONDS}} if is_sqlite else {}
    storage = RDBStorage(url.render_as_string(hide_password=False), engine_kwargs=engine_kwargs)
    if is_sqlite:
        _serialise(storage.engine)
    return storage


def _serialise(engine: Any) -> None:
    """Let each transaction of SQLite lock the database when it begins.

    SQLite has no row locks. Python's driver begins a transaction at the first write, so two
    processes could both read that a trial is waiting, and both take it.
    """

    def manual(connection: Any, _: Any) -> None:
        connection.isolation_level = None

    def immediate(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    event.listen(engine, "connect", manual)
    event.listen(engine, "begin", immediate)
    engine.dispose()


def _reason(error: Exception) -> str:
    if isinstance(error, ImportError):
        return "the driver of this database is not installed; install it beside colintern"
    cause = getattr(error, "orig", None) or error
    return printable(str(cause).splitlines()[0] if str(cause) else type(cause).__name__)
