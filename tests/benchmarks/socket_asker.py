"""A connection that is asked without waiting: what ``select`` says is readable is read."""

import socket


class Asker:
    """One kept-alive connection with at most one request under way.

    Args:
        port: of the server on this machine.
    """

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._got = b""
        self._needed: int | None = None
        self._status = 0

    def fileno(self) -> int:
        """For ``select``."""
        return self._socket.fileno()

    def send(self, request: bytes) -> None:
        """Send a request."""
        self._got, self._needed = b"", None
        try:
            self._socket.sendall(request)
        except OSError:
            self._status = 0

    def receive(self) -> int | None:
        """What came: None while the answer is not whole, its status, 0 for a lost connection."""
        try:
            part = self._socket.recv(262_144)
        except OSError:
            return 0
        if not part:
            return 0
        self._got += part
        if self._needed is None:
            end = self._got.find(b"\r\n\r\n")
            if end < 0:
                return None
            head = self._got[:end].lower()
            self._status = int(head.split(b" ", 2)[1])
            at = head.find(b"content-length:")
            size = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            self._needed = end + 4 + size
        return self._status if len(self._got) >= self._needed else None

    def close(self) -> None:
        """End it."""
        self._socket.close()
