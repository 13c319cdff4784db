"""A process beside the server for what computes for seconds: paired tests of a whole board, bootstrapped comparisons.

The server stays small and quick while it works. It starts with the first such question and ends when none has come
for some minutes.
"""

from __future__ import annotations

import multiprocessing
import signal
import threading
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from typing import Any

from raybench.dashboard.folder import Folder, View
from raybench.errors import RaybenchError, StoreError

__all__ = ["Answer", "Worker"]

_IDLE_SECONDS = 300.0
Answer = Callable[[Folder, View, Mapping[str, str]], Any]


class Worker:
    """Answers one question after another about one folder in another process.

    Args:
        answers: name -> function of the folder, its view and the parameters; a module's own, so that it can be sent.
    """

    def __init__(self, root: str, answers: Mapping[str, Answer]) -> None:
        self._root, self._answers = root, dict(answers)
        self._lock = threading.Lock()
        self._process: multiprocessing.process.BaseProcess | None = None
        self._pipe: Connection | None = None

    def ask(self, name: str, asked: Mapping[str, str]) -> Any:
        """Return what `answers[name]` returns there.

        Raises:
            StoreError: whatever sentence it raised there, or that the process died.
        """
        with self._lock:
            pipe = self._started()
            try:
                pipe.send((name, dict(asked)))
                is_answer, value = pipe.recv()
            except (EOFError, OSError) as error:
                self._pipe = None
                raise StoreError("this took more memory than there is; ask for one task or slice") from error
        if not is_answer:
            raise StoreError(value)
        return value

    def close(self) -> None:
        """End the process."""
        with self._lock:
            if self._process is not None:
                self._process.terminate()
            self._process = self._pipe = None

    def _started(self) -> Connection:
        if self._pipe is None or self._process is None or not self._process.is_alive():
            context = multiprocessing.get_context("spawn")
            self._pipe, theirs = context.Pipe()
            self._process = context.Process(target=_work, args=(theirs, self._root, self._answers), daemon=True)
            self._process.start()
            theirs.close()
        return self._pipe


def _work(pipe: Connection, root: str, answers: Mapping[str, Answer]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the server's, which ends this process too
    folder = Folder(root)
    while pipe.poll(_IDLE_SECONDS):
        try:
            name, asked = pipe.recv()
        except EOFError:
            return
        try:
            pipe.send((True, answers[name](folder, folder.view(), asked)))
        except RaybenchError as error:
            pipe.send((False, str(error)))
