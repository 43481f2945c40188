"""A proxy between a driver and its server, which loses what it is told to lose."""

import contextlib
import enum
import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import URL, make_url

_COMMIT = b"COMMIT"


class Loss(enum.Enum):
    """What becomes of a COMMIT. The client loses its connection in each case."""

    ANSWER = "it reaches the server, whose answer is lost"
    REQUEST = "it is lost, and the server loses the connection"
    DELAY = "it is kept, with the connection to the server, until `deliver` is called"


class Proxy:
    """Passes everything on, until `lose` says what becomes of the next COMMIT."""

    def __init__(self, server: URL, folder: Path) -> None:
        self._server = server
        self._loss: Loss | None = None
        self._delayed: list[tuple[socket.socket, bytes]] = []
        self.url, self._listening = _listen(server, folder)
        self._open = [self._listening]
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def lose(self, loss: Loss) -> None:
        """Say what becomes of the next COMMIT."""
        self._loss = loss

    def deliver(self) -> None:
        """Send a COMMIT that was kept to the server."""
        for server, request in self._delayed:
            server.sendall(request)

    def close(self) -> None:
        """End all connections."""
        for opened in self._open:
            _close(opened)
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            server = _connect(self._server)
            self._open += [client, server]
            for work in (self._requests, self._answers):
                self._threads.append(threading.Thread(target=work, args=(client, server)))
                self._threads[-1].start()

    def _requests(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while request := client.recv(65_536):
                if self._loss is not None and _COMMIT in request:
                    self._commit(client, server, request)
                    return
                server.sendall(request)
        _close(server)

    def _commit(self, client: socket.socket, server: socket.socket, request: bytes) -> None:
        loss, self._loss = self._loss, None
        _close(client)
        if loss is Loss.DELAY:
            self._delayed.append((server, request))
            return
        if loss is Loss.ANSWER:
            server.sendall(request)
            server.shutdown(socket.SHUT_WR)  # what was sent is read first
        else:
            _close(server)

    def _answers(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while answer := server.recv(65_536):
                with contextlib.suppress(OSError):
                    client.sendall(answer)
        _close(client)


@contextlib.contextmanager
def proxied(url: str) -> Iterator[Proxy]:
    """A proxy to the server of a URL; its own URL is that of the same database behind it."""
    with tempfile.TemporaryDirectory() as folder:
        made = Proxy(make_url(url), Path(folder))
        try:
            yield made
        finally:
            made.close()


def _listen(server: URL, folder: Path) -> tuple[URL, socket.socket]:
    if _socket_of(server) is None:
        listening = socket.create_server(("127.0.0.1", 0))
        url = server.set(host="127.0.0.1", port=listening.getsockname()[1])
        if server.get_backend_name() == "postgresql":
            url = url.update_query_dict({"sslmode": "disable"})
        return url, listening
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(folder / ".s.PGSQL.5432"))
    listening.listen()
    return server.set(host=None, port=5432).update_query_dict({"host": str(folder)}), listening


def _socket_of(url: URL) -> str | None:
    """The path of the socket on which PostgreSQL listens, None where it is elsewhere."""
    host = url.query.get("host") or url.host or ""
    return f"{host}/.s.PGSQL.{url.port or 5432}" if str(host).startswith("/") else None


def _connect(url: URL) -> socket.socket:
    if (path := _socket_of(url)) is None:
        ports = {"postgresql": 5432}
        return socket.create_connection(
            (url.host or "127.0.0.1", url.port or ports.get(url.get_backend_name(), 3306))
        )
    made = socket.socket(socket.AF_UNIX)
    made.connect(path)
    return made


def _close(opened: socket.socket) -> None:
    with contextlib.suppress(OSError):
        opened.shutdown(socket.SHUT_RDWR)
    opened.close()
