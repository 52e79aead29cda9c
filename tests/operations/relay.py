"""A wire between a program and a server that a test can cut and mend: what a server that is away looks like."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from infra.embedded.kafka import HOST

_PIECE_BYTES = 1 << 16


class Relay:
    """Passes on what comes to its port, both ways, until it is cut; then connections break and new ones are refused."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._lose = 0
        self._listener = self._listen(0)
        self.port = int(self._listener.getsockname()[1])

    def cut(self) -> None:
        """Break every connection and take no more."""
        self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits in accept
        self._listener.close()
        with self._lock:
            for one in self._open:
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        """Take connections again, on the same port."""
        self._listener = self._listen(self.port)

    def lose_answers(self, count: int) -> None:
        """Break the connection in place of each of the next answers: what was asked is done, and nobody is told."""
        with self._lock:
            self._lose = count

    @property
    def answers_to_lose(self) -> int:
        """How many of them are still to come."""
        return self._lose

    def _loses(self) -> bool:
        with self._lock:
            self._lose -= (lost := self._lose > 0)
        return lost

    def _listen(self, port: int) -> socket.socket:
        listener = socket.create_server((HOST, port), reuse_port=False)
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()
        return listener

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):  # cut
            while True:
                here, _ = listener.accept()
                try:
                    there = socket.create_connection((HOST, self._to))
                except OSError:
                    here.close()
                    continue
                with self._lock:
                    self._open |= {here, there}
                for source, sink, answers in ((here, there, False), (there, here, True)):
                    threading.Thread(target=self._pump, args=(source, sink, answers), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, answers: bool) -> None:
        with suppress(OSError):
            while piece := source.recv(_PIECE_BYTES):
                if answers and self._loses():
                    source.shutdown(socket.SHUT_RDWR)
                    break
                sink.sendall(piece)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)
        with self._lock:
            ended = source not in self._open or sink not in self._open
            self._open.discard(source)
        if ended:  # the other direction has ended before
            source.close()
            sink.close()


@contextmanager
def relay(port: int) -> Iterator[Relay]:
    """A relay to a port of this machine."""
    running = Relay(port)
    try:
        yield running
    finally:
        running.cut()
