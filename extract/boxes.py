"""Large values between processes: written once into anonymous memory, handed on as a descriptor.

A `Box` holds one pickled value, its arrays laid out beside the pickle, in a memfd: memory without
a name, which the kernel frees when the last process that has it lets go, however it ends. Whoever
passes a box on neither copies nor reads what is in it. A message may hold boxes anywhere, and its
own large arrays go the same way instead of through the pipe, which would copy them five times.
Arrays that are in a file already (`extract.spool`) are not copied at all.
"""

from __future__ import annotations

import mmap
import os
import pickle
import socket
import struct
from functools import partial
from io import BytesIO
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from extract.spool import Mapping, write_all

_COUNT = struct.Struct("<I")
_HEAD = struct.Struct("<IQ")  # descriptors that follow; bytes of the box of large arrays, 0: none
_LARGE = 1 << 20
"""Bytes from which on an array does not go through the pipe; it costs its receiver a descriptor."""
_AT_ONCE = 200  # descriptors in one control message; Linux allows 253 (SCM_MAX_FD)
_ALIGNMENT = 64  # bytes: arrays begin where vector loads like them


class Box:
    """A value in memory that processes share.

    Attributes:
        size: bytes that it takes.
    """

    def __init__(self, fd: int, size: int) -> None:
        self.fd = fd
        self.size = size

    @classmethod
    def of(cls, value: object) -> Box:
        """A box with a copy of the value."""
        buffers: list[pickle.PickleBuffer] = []
        head = pickle.dumps(value, protocol=5, buffer_callback=buffers.append)
        raws: list[memoryview] = [buffer.raw() for buffer in buffers]
        layout = pickle.dumps([len(head), *(raw.nbytes for raw in raws)])
        fd = os.memfd_create("avfd", os.MFD_CLOEXEC)
        box = cls(fd, 0)
        parts: list[bytes | memoryview] = [_COUNT.pack(len(layout)), layout, head, *raws]
        for part in parts:
            box.size = _write(fd, box.size, part)
        return box

    def open(self) -> Any:
        """The value; its arrays are read-only views that keep the memory alive by themselves."""
        memory = memoryview(mmap.mmap(self.fd, self.size, prot=mmap.PROT_READ))
        (length,) = _COUNT.unpack(memory[: _COUNT.size])
        at = _aligned(_COUNT.size)
        head, *sizes = pickle.loads(memory[at : at + length])
        at = _aligned(at + length)
        start = at
        at = _aligned(at + head)
        buffers = []
        for size in sizes:
            buffers.append(memory[at : at + size])
            at = _aligned(at + size)
        return pickle.loads(memory[start : start + head], buffers=buffers)

    def close(self) -> None:
        """Let go; the memory stays as long as someone else has it."""
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)

    def __del__(self) -> None:
        self.close()

    def __reduce__(self) -> Any:
        raise TypeError("a box travels by extract.boxes.send only")


def _write(fd: int, at: int, part: bytes | memoryview) -> int:
    """Write at an offset; where the next part begins."""
    view = memoryview(part)
    end = at + view.nbytes
    write_all(fd, at, view)
    os.ftruncate(fd, max(1, _aligned(end)))
    return _aligned(end)


def _aligned(size: int) -> int:
    """The next multiple of `_ALIGNMENT`.

    >>> _aligned(0), _aligned(1), _aligned(64)
    (0, 64, 64)
    """
    return -(-size // _ALIGNMENT) * _ALIGNMENT


class _Pickler(pickle.Pickler):
    """Leaves boxes and arrays that are in files out, and notes which they were."""

    def __init__(self, file: BytesIO) -> None:
        self.fds: list[int] = []
        self.large: list[pickle.PickleBuffer] = []
        super().__init__(file, protocol=5, buffer_callback=partial(_in_pipe, self.large))

    def persistent_id(self, obj: object) -> tuple[int, Any] | None:
        if isinstance(obj, Box):
            return self._left_out(obj.fd, obj.size)
        if type(obj) is np.ndarray and obj.flags.c_contiguous:
            mapping = Mapping.behind(obj)
            if mapping is not None:
                what = (mapping.offset(obj), obj.shape, obj.dtype.str)
                return self._left_out(mapping.fd, what)
        return None

    def _left_out(self, fd: int, what: object) -> tuple[int, Any]:
        self.fds.append(fd)
        return len(self.fds) - 1, what


def _in_pipe(large: list[pickle.PickleBuffer], buffer: pickle.PickleBuffer) -> bool:
    """Whether an array goes through the pipe; others are noted."""
    if buffer.raw().nbytes < _LARGE:
        return True
    large.append(buffer)
    return False


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: BytesIO, fds: list[int], large: list[Any]) -> None:
        super().__init__(file, buffers=large)
        self._fds = fds

    def persistent_load(self, pid: tuple[int, Any]) -> Box | NDArray[Any]:
        index, what = pid
        if isinstance(what, int):
            return Box(self._fds[index], what)
        return Mapping.of(self._fds[index]).array(*what)


def send(connection: Connection, message: object) -> None:
    """Send a message with whatever boxes are in it; the sender keeps its own hold on them.

    Large arrays arrive read-only.

    Args:
        connection: an end of a duplex `Pipe`, which is a socket.
    """
    data = BytesIO()
    data.write(_HEAD.pack(0, 0))
    pickler = _Pickler(data)
    pickler.dump(message)
    large = Box.of(pickler.large) if pickler.large else None
    fds = [*pickler.fds, large.fd] if large else pickler.fds
    data.seek(0)
    data.write(_HEAD.pack(len(fds), large.size if large else 0))
    connection.send_bytes(data.getbuffer())
    if fds:
        with socket.socket(fileno=os.dup(connection.fileno())) as line:
            for first in range(0, len(fds), _AT_ONCE):
                socket.send_fds(line, [b"\0"], fds[first : first + _AT_ONCE])


def receive(connection: Connection) -> Any:
    """The next message.

    Raises:
        EOFError: the other side is gone, perhaps in the midst of a message.
    """
    data = BytesIO(connection.recv_bytes())
    count, size = _HEAD.unpack(data.read(_HEAD.size))
    fds: list[int] = []
    if count:
        with socket.socket(fileno=os.dup(connection.fileno())) as line:
            while len(fds) < count:
                said, more, _, _ = socket.recv_fds(line, 1, min(_AT_ONCE, count - len(fds)))
                fds += more
                if not said or not more:
                    _close_all(fds)
                    raise EOFError
    large = Box(fds.pop(), size).open() if size else []
    return _Unpickler(data, fds, large).load()


def _close_all(fds: list[int]) -> None:
    for fd in fds:
        os.close(fd)
