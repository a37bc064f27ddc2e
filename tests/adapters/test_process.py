"""What is said of a program that cannot be started, or does not end."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from patchrun.adapters import process
from patchrun.core.errors import SetupError


def test_what_is_not_there_and_what_must_not_run_is_named(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("#!/bin/sh\n")
    for name, why in (("nowhere", "No such file"), ("plain", "Permission denied")):
        with pytest.raises(SetupError, match=f"cannot start .*{name}: {why}") as caught:
            process.run([tmp_path / name])
        assert "PATH" in caught.value.hint


def test_what_does_not_end_is_ended_with_its_children(tmp_path: Path) -> None:
    words = ["sh", "-c", f"sleep 60 & echo $! > {tmp_path}/child; wait"]
    with pytest.raises(SetupError, match="sh did not finish in 1 s"):
        process.run(words, timeout=1)
    status = Path("/proc", (tmp_path / "child").read_text().strip(), "status")
    for _ in range(100):  # whoever inherits it may take its time to reap it
        if not status.exists() or "State:\tZ" in status.read_text():
            return
        time.sleep(0.05)
    pytest.fail("the child lives on")
