"""A unix stream socket on which every client gets every line from when it came; none can hold up the service."""

from __future__ import annotations

import os
import select
import socket
import stat
from contextlib import suppress
from pathlib import Path

from vultus.errors import SinkError

__all__ = ["SocketOutput"]

MODE = 0o660
BACKLOG = 16
MOST_WAITING = 1 << 20
"""Bytes that wait for a client at most; a slower one is cut off, so that it notices."""


class SocketOutput:
    """Listens on a path. Raises SinkError when another program does, or when the path cannot be used."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.warning = ""
        self._clients: dict[socket.socket, bytearray] = {}
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            _remove_left_over(path)
            self._listener.bind(os.fspath(path))
            os.chmod(path, MODE)
            self._listener.listen(BACKLOG)
            self._listener.setblocking(False)
        except OSError as error:
            self._listener.close()
            raise SinkError(f"{path}: cannot be listened on: {error.strerror or error}") from error

    def write(self, line: bytes) -> None:
        """Give a line to every client."""
        self._accept()
        for waiting in self._clients.values():
            waiting += line
        self._send()

    def tick(self) -> None:
        """Take new clients, and go on with what the others have not taken yet."""
        self._accept()
        self._send()

    def close(self) -> None:
        """Leave all clients and remove the path."""
        for client in self._clients:
            client.close()
        self._clients.clear()
        self._listener.close()
        with suppress(OSError):
            self.path.unlink()

    def _accept(self) -> None:
        with suppress(OSError):  # BlockingIOError when nobody else waits
            while True:
                client, _ = self._listener.accept()
                client.setblocking(False)
                self._clients[client] = bytearray()

    def _send(self) -> None:
        for client, waiting in list(self._clients.items()):
            if not _sent(client, waiting) or len(waiting) > MOST_WAITING:
                del self._clients[client]
                client.close()


def _sent(client: socket.socket, waiting: bytearray) -> bool:
    """Send what a client takes now; return whether it is still there."""
    if _left(client):
        return False
    try:
        while waiting:
            del waiting[: client.send(waiting)]
    except BlockingIOError:
        pass
    except OSError:
        return False
    return True


def _left(client: socket.socket) -> bool:
    """Tell whether a client closed its end; one that will only not write has not."""
    poll = select.poll()
    poll.register(client, 0)
    return bool(poll.poll(0))


def _remove_left_over(path: Path) -> None:
    """Remove a socket on which nobody listens any more; raises SinkError for anything else in its place."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        if not path.parent.is_dir():
            raise SinkError(f"{path}: the folder {path.parent} does not exist; make it first") from None
        return
    if not stat.S_ISSOCK(mode):
        raise SinkError(f"{path}: is there already and is no socket; name another path, or remove it")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(os.fspath(path))
        except OSError:
            path.unlink()
            return
    raise SinkError(f"{path}: another program listens there; name another path, or end it")
