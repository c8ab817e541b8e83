"""Asking a server from this process, and what the system says of the server's process."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

from tests.serving.server import free_port

_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """Processor time a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def resident_mb(pid: int) -> float:
    """Resident memory without pages that only map files."""
    text = Path(f"/proc/{pid}/status").read_text()
    return (
        sum(int(line.split()[1]) for line in text.splitlines() if line.startswith(("RssAnon", "RssShmem")))
        / 1024
    )


def children_of(pid: int) -> list[int]:
    """Processes that a process started and that still run, the oldest first."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return sorted(map(int, found))


def workers_of(pid: int) -> list[int]:
    """Workers of a service, or the service itself where it is its only worker."""
    found = []
    for child in children_of(pid):
        command = Path(f"/proc/{child}/cmdline").read_bytes()
        if b"spawn_main" in command:
            found.append(child)
    return found or [pid]


class Connection:
    """One kept-alive connection that sends the same kind of request again and again."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._rest = b""

    def ask(self, request: bytes) -> bytes:
        """Send, read the whole answer; its body."""
        self._socket.sendall(request)
        while b"\r\n\r\n" not in self._rest:
            self._rest += self._received()
        head, _, body = self._rest.partition(b"\r\n\r\n")
        assert head.split(b" ", 2)[1] in (b"200", b"201", b"202", b"204"), head
        lines = head.lower().split(b"\r\n")
        size = next((int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length")), 0)
        while len(body) < size:
            body += self._received()
        self._rest = body[size:]
        return body[:size]

    def _received(self) -> bytes:
        part = self._socket.recv(65536)
        if not part:
            raise ConnectionResetError("the server closed the connection")
        return part

    def close(self) -> None:
        self._socket.close()


def get(path: str) -> bytes:
    """A GET request as bytes."""
    return f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()


def with_body(method: str, path: str, body: bytes, key: str = "") -> bytes:
    """A request with a JSON body as bytes."""
    about = f"Content-Type: application/json\r\nContent-Length: {len(body)}"
    about += f"\r\nX-API-Key: {key}" if key else ""
    return f"{method} {path} HTTP/1.1\r\nHost: x\r\n{about}\r\n\r\n".encode() + body


class Reference:
    """The reference app in a process of its own."""

    def __init__(self, size: int) -> None:
        self.port = free_port()
        command = [sys.executable, "-m", "tests.benchmarks.reference", str(self.port), str(size)]
        self.process = subprocess.Popen(command)
        for _ in range(200):
            try:
                Connection(self.port).close()
                return
            except OSError:
                time.sleep(0.05)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()
