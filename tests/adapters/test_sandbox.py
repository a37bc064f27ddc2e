from __future__ import annotations

import base64
from pathlib import Path

import pytest
from boxes import needs_bwrap

from patchrun.adapters import sandbox, syscalls
from patchrun.core.errors import SetupError, UsageError


def test_names():
    assert sandbox.resolve("seccomp") == "seccomp"
    assert sandbox.resolve("none") == "none"
    with pytest.raises(UsageError, match="no sandbox 'bubble'"):
        sandbox.resolve("bubble")


@needs_bwrap
def test_the_default_is_bubblewrap():
    assert sandbox.resolve("default") == sandbox.resolve("bwrap") == "bwrap"
    assert sandbox.describe().startswith("bwrap: uid ")


@pytest.mark.parametrize("name", ["seccomp", "none", pytest.param("bwrap", marks=needs_bwrap)])
def test_the_job_carries_what_the_launcher_has_to_install(name: str):
    alone, with_children = sandbox.confine(name, 0), sandbox.confine(name, 3)
    program = base64.b64encode(syscalls.seccomp_program(False)).decode()
    assert alone["seccomp"] == ("" if name == "none" else program)
    wide = base64.b64encode(syscalls.seccomp_program(True)).decode()
    assert with_children["seccomp"] == (wide if name == "seccomp" else "")
    assert (alone["tasks"], with_children["tasks"]) == ((64, 76) if name == "bwrap" else (0, 0))


@pytest.mark.parametrize("name", ["seccomp", "none"])
def test_the_weaker_ones_put_nothing_around_a_run(name: str, tmp_path: Path):
    wrapped = sandbox.wrap(["python", "-x"], name, sandbox.Room(tmp_path))
    assert wrapped.argv == ("python", "-x")
    assert (wrapped.read_status(137), wrapped.read_status(-9)) == (137, -9)
    assert not list(tmp_path.iterdir())


def test_bubblewrap_says_a_signal_as_a_status():
    wrapped = sandbox.Wrapped(("bwrap",), inside=True)
    assert [wrapped.read_status(status) for status in (0, 1, 128, 139, -9)] == [0, 1, 128, -11, -9]


def test_without_kernel_support_it_refuses_and_names_the_way_out(monkeypatch: pytest.MonkeyPatch):
    syscalls.seccomp_program.cache_clear()
    monkeypatch.setattr(syscalls, "SECCOMP", Path("/proc/sys/kernel/not-there"))
    with pytest.raises(SetupError, match="no sandbox on this machine") as caught:
        sandbox.resolve("default")
    assert "--sandbox none" in caught.value.hint
    assert sandbox.resolve("none") == "none"


def test_without_libseccomp_it_says_so(monkeypatch: pytest.MonkeyPatch):
    syscalls.seccomp_program.cache_clear()
    monkeypatch.setitem(__import__("sys").modules, "pyseccomp", None)
    with pytest.raises(SetupError, match="pyseccomp"):
        sandbox.describe()


def test_the_environment_is_a_list(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "secret")
    env = sandbox.listed_environment(tmp_path, 3, {"PATCHRUN_OUT": "/out"})
    assert set(env) == {
        "PATH", "HOME", "TMPDIR", "LANG", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS",
        "PYTHONHASHSEED", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE", "PATCHRUN_OUT",
    }  # fmt: skip
    assert env["HOME"] == env["TMPDIR"] == str(tmp_path)
    assert env["OMP_NUM_THREADS"] == "3"
