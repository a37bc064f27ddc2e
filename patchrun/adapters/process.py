"""The only user of ``subprocess``: short commands with their output, long ones line by line."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from patchrun.core.errors import SetupError

Argv = Sequence[str | os.PathLike[str]]
Child = subprocess.Popen[bytes]
PIPE, DEVNULL = subprocess.PIPE, subprocess.DEVNULL


@dataclass(frozen=True)
class Completed:
    """A finished command: exit status (negative: ended by that signal) and its raw output."""

    argv: tuple[str, ...]
    returncode: int
    stdout: bytes
    stderr: bytes

    @property
    def ok(self) -> bool:
        return self.returncode == 0

    @property
    def errors(self) -> str:
        """Standard error as text, for messages."""
        return self.stderr.decode("utf-8", "replace").strip()


def run(
    argv: Argv,
    *,
    input: bytes | None = None,
    cwd: Path | str | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float | None = None,
    pass_fds: Sequence[int] = (),
) -> Completed:
    """Run ``argv`` to its end and return its output; ``timeout`` in seconds.

    Raises:
        SetupError: the program is not installed, or it outlived ``timeout``.
    """
    words = tuple(os.fspath(word) for word in argv)
    stdin = subprocess.DEVNULL if input is None else subprocess.PIPE
    child = spawn(words, cwd=cwd, env=env, stdin=stdin, pass_fds=pass_fds)
    try:
        stdout, stderr = child.communicate(input, timeout=timeout)
    except subprocess.TimeoutExpired:
        end_group(child)
        raise SetupError(
            f"{words[0]} did not finish in {timeout:g} s",
            "a busy machine or disk may be the reason: try again",
        ) from None
    except BaseException:
        end_group(child)
        raise
    return Completed(words, child.returncode, stdout, stderr)


def spawn(
    argv: Argv,
    *,
    cwd: Path | str | None = None,
    env: Mapping[str, str] | None = None,
    stdin: int = subprocess.DEVNULL,
    stdout: int = subprocess.PIPE,
    stderr: int = subprocess.PIPE,
    pass_fds: Sequence[int] = (),
) -> Child:
    """Start ``argv`` in a process group of its own, so that ``end_group`` reaches its children.

    Raises:
        SetupError: the program is not installed, or must not be run.
    """
    words = tuple(os.fspath(word) for word in argv)
    try:
        return subprocess.Popen(
            words, cwd=cwd, env=env, stdin=stdin, stdout=stdout, stderr=stderr,
            pass_fds=tuple(pass_fds), start_new_session=True,
        )  # fmt: skip
    except (FileNotFoundError, PermissionError) as error:
        raise SetupError(
            f"cannot start {words[0]}: {error.strerror} ({error.filename})", "install it, or put it on PATH"
        ) from None


def end_group(child: Child) -> None:
    """Kill ``child`` and its process group, and reap it."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    for stream in (child.stdin, child.stdout, child.stderr):
        if stream:
            stream.close()
