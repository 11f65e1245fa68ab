"""A power cut for SQLite: what a write-ahead log holds that was never synced is lost, however well the machine kept it.

kill -9 alone loses nothing that was written, synced or not. So the process notes which bytes of its log are written and
not synced yet, in a file that outlives it, and after the kill those bytes are wiped. The functions that SQLite's own file
layer gives for each open file are copied, and in the copy write and sync are ours.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import mmap
import struct
from pathlib import Path
from typing import Any

from tests.chaos.books import LOOKING

OPEN_WAL = 0x00080000
NOTHING = (2**62, 0)  # from, to
LAYOUT = struct.Struct("<qq")
METHODS = ["version", "close", "read", "write", "truncate", "sync", "size", *(f"more{n}" for n in range(12))]
WRITE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_int64)
SYNC = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int)
# The name stays a bare pointer: SQLite goes on using the very bytes that it gave.
OPEN = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)


class Methods(ctypes.Structure):
    """sqlite3_io_methods: a version number, then functions."""

    _fields_ = [(METHODS[0], ctypes.c_int), *((name, ctypes.c_void_p) for name in METHODS[1:])]


class File(ctypes.Structure):
    """The head of sqlite3_file."""

    _fields_ = [("methods", ctypes.POINTER(Methods))]


class Vfs(ctypes.Structure):
    """sqlite3_vfs as far as its third version."""

    _fields_ = [
        ("version", ctypes.c_int),
        ("file_size", ctypes.c_int),
        ("path_most", ctypes.c_int),
        ("next", ctypes.c_void_p),
        ("name", ctypes.c_char_p),
        ("data", ctypes.c_void_p),
        ("open", ctypes.c_void_p),
        *((f"more{n}", ctypes.c_void_p) for n in range(15)),
    ]


KEPT: list[Any] = []  # what C holds pointers to must live as long as the process


def watch(unsynced: Path) -> None:
    """From now on databases of this process note which bytes of their logs are written and not synced."""
    library = ctypes.CDLL("libsqlite3.so.0")
    library.sqlite3_vfs_find.restype = ctypes.POINTER(Vfs)
    original = library.sqlite3_vfs_find(None).contents
    unsynced.write_bytes(LAYOUT.pack(*NOTHING))
    with unsynced.open("r+b") as handle:
        note = mmap.mmap(handle.fileno(), LAYOUT.size)
    shim = Vfs.from_buffer_copy(original)
    shim.name, shim.next = b"power", None
    real_open = OPEN(original.open)
    made: dict[int, Methods] = {}

    def opened(vfs: int, name: int, file: int, flags: int, out: int) -> int:
        code = int(real_open(vfs, name, file, flags, out))
        if code == 0 and flags & OPEN_WAL:
            head = ctypes.cast(file, ctypes.POINTER(File)).contents
            address = ctypes.addressof(head.methods.contents)
            if address not in made:
                made[address] = _noting(head.methods.contents, note)
            head.methods = ctypes.pointer(made[address])
        return code

    callback = OPEN(opened)
    shim.open = ctypes.cast(callback, ctypes.c_void_p).value
    KEPT.extend([library, shim, callback, real_open, made, note])
    code = library.sqlite3_vfs_register(ctypes.byref(shim), 1)
    if code:
        raise OSError(f"SQLite does not take the file layer: {code}")


def _noting(methods: Methods, note: mmap.mmap) -> Methods:
    write, sync = WRITE(methods.write), SYNC(methods.sync)

    def wrote(file: int, data: int, size: int, at: int) -> int:
        first, last = LAYOUT.unpack(note[:])
        note[:] = LAYOUT.pack(min(first, at), max(last, at + size))
        return int(write(file, data, size, at))

    def synced(file: int, flags: int) -> int:
        code = int(sync(file, flags))
        if code == 0:
            note[:] = LAYOUT.pack(*NOTHING)
        return code

    ours = Methods.from_buffer_copy(methods)
    callbacks = (WRITE(wrote), SYNC(synced))
    ours.write, ours.sync = (ctypes.cast(each, ctypes.c_void_p).value for each in callbacks)
    KEPT.extend([write, sync, *callbacks])
    return ours


def cut(database: Path, unsynced: Path) -> int:
    """After the kill: wipe what was never synced of the log. Bytes lost."""
    first, last = LAYOUT.unpack(unsynced.read_bytes())
    log = database.with_name(f"{database.name}-wal")
    if last <= first or not log.exists():
        return 0
    with LOOKING:
        with log.open("r+b") as handle:
            handle.seek(first)
            handle.write(b"\0" * (last - first))
        # A reader elsewhere keeps the log's index alive, and whoever opens the database next would believe it.
        database.with_name(f"{database.name}-shm").unlink(missing_ok=True)
    return int(last - first)
