"""A way out of the sandbox for two questions: a unix socket in the workspace, answered by patchrun outside.

A question is one line, ``validate`` or ``try K``; the answer is text. Nothing else can be asked, and what the
question is about is read from the workspace, not from the caller.
"""

from __future__ import annotations

import os
import shutil
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from patchrun.services.agents.protocol import Tools

FOLDER = ".patchrun"
SCRIPT = Path(__file__).parents[2] / "launch" / "ask.py"
QUESTION_BYTES = 64
PATIENCE_SECONDS = 10.0


class Desk:
    """Answers questions one after another, from a thread of its own, until the ``with`` block ends.

    ``heard`` holds every question with its answer, as turns of a transcript.
    """

    def __init__(self, workspace: Path, tools: Tools) -> None:
        self.folder, self.tools = workspace / FOLDER, tools
        self.heard: list[dict[str, Any]] = []
        self.socket = socket.socket(socket.AF_UNIX)
        self.thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Desk:
        self.folder.mkdir(mode=0o755)
        shutil.copyfile(SCRIPT, self.folder / "patchrun")
        (self.folder / "patchrun").chmod(0o755)
        number = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            self.socket.bind(f"/proc/self/fd/{number}/desk")  # a socket's name has 108 bytes at most
        finally:
            os.close(number)
        (self.folder / "desk").chmod(0o666)
        self.socket.listen(4)
        self.thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()

    def _serve(self) -> None:
        while True:
            try:
                caller, _ = self.socket.accept()
            except OSError:
                return
            with caller, suppress(OSError):  # whoever asked is gone: the next one is answered
                caller.settimeout(PATIENCE_SECONDS)
                question = caller.makefile("rb").readline(QUESTION_BYTES).decode("utf-8", "replace").strip()
                answer = self._answer(question)
                self.heard.append({"role": "tool", "question": question, "answer": answer})
                caller.sendall(answer.encode("utf-8", "replace"))

    def _answer(self, question: str) -> str:
        self.tools.tell(f"asks: {question}")
        word, _, count = question.partition(" ")
        known: dict[str, Callable[[], str]] = {"validate": self.tools.validate}
        if count.isdecimal():
            known = {"try": lambda: self.tools.try_steps(int(count))}
        return known.get(word, lambda: "ask `validate` or `try K`")()
