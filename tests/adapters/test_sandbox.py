from __future__ import annotations

import base64
import os
from pathlib import Path

import pytest
from boxes import needs_bwrap

from patchrun.adapters import sandbox
from patchrun.core.errors import SetupError, UsageError

INSTRUCTION = 8
RETURN = 0x06  # BPF_RET | BPF_K
ALLOW, ERRNO, KILL = 0x7FFF0000, 0x00050000, 0x00000000


def run_filter(program: bytes, number: int, arch: int = 0xC000003E, first: int = 0) -> int:
    """What a BPF program answers for a system call: a small machine for loads, jumps, masks and returns."""
    data = (
        number.to_bytes(4, "little")
        + arch.to_bytes(4, "little")
        + bytes(8)
        + first.to_bytes(8, "little")
        + bytes(40)
    )
    at, value = 0, 0
    while True:
        raw = program[at * INSTRUCTION : (at + 1) * INSTRUCTION]
        code, yes, no, k = (
            int.from_bytes(raw[:2], "little"),
            raw[2],
            raw[3],
            int.from_bytes(raw[4:], "little"),
        )
        at += 1
        if code == 0x20:  # load a word of the call's description
            value = int.from_bytes(data[k : k + 4], "little")
        elif code == 0x54:  # and
            value &= k
        elif code == 0x05:  # always
            at += k
        elif code in (0x15, 0x25, 0x35):  # equal, greater, at least
            at += yes if {0x15: value == k, 0x25: value > k, 0x35: value >= k}[code] else no
        elif code == RETURN:
            return k
        else:
            raise AssertionError(f"instruction {code:#x}")


X86_64 = os.uname().machine == "x86_64"


@pytest.mark.skipif(not X86_64, reason="system call numbers of x86_64")
class TestProgram:
    def test_children_are_refused_and_threads_are_not(self):
        program = sandbox.seccomp_program(children=False)
        assert run_filter(program, 57) == run_filter(program, 58) == run_filter(program, 59) == ERRNO | 1
        assert run_filter(program, 56, first=17) == ERRNO | 1
        assert run_filter(program, 56, first=0x3D0F00) == ALLOW  # what pthread_create asks for
        assert run_filter(program, 435) == ERRNO | 38

    def test_with_children_allowed_only_the_rest_is_refused(self):
        program = sandbox.seccomp_program(children=True)
        assert {run_filter(program, number) for number in (41, 56, 57, 58, 59, 435)} == {ALLOW}
        assert run_filter(program, 101) == run_filter(program, 425) == run_filter(program, 165) == ERRNO | 1

    @pytest.mark.parametrize("children", [True, False])
    def test_ordinary_calls_pass(self, children: bool):
        program = sandbox.seccomp_program(children)
        ordinary = {"read": 0, "write": 1, "mmap": 9, "ioctl": 16, "exit": 60, "futex": 202, "getrandom": 318}
        assert {name: run_filter(program, number) for name, number in ordinary.items()} == dict.fromkeys(
            ordinary, ALLOW
        )

    def test_other_numberings_of_system_calls_are_no_way_round(self):
        program = sandbox.seccomp_program(children=False)
        assert run_filter(program, 2, arch=0x40000003) == KILL  # 32 bit: 2 is fork there
        assert run_filter(program, 0x40000000 + 57) != ALLOW  # x32


def test_every_name_in_the_lists_is_a_system_call_that_libseccomp_knows():
    import pyseccomp

    for name in sandbox.CHILDREN + sandbox.NETWORK + sandbox.OTHER_PROCESSES + sandbox.KERNEL:
        assert pyseccomp.resolve_syscall(pyseccomp.Arch.NATIVE, name) > 0, name


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
    program = base64.b64encode(sandbox.seccomp_program(False)).decode()
    assert alone["seccomp"] == ("" if name == "none" else program)
    wide = base64.b64encode(sandbox.seccomp_program(True)).decode()
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
    sandbox.seccomp_program.cache_clear()
    monkeypatch.setattr(sandbox, "SECCOMP", Path("/proc/sys/kernel/not-there"))
    with pytest.raises(SetupError, match="no sandbox on this machine") as caught:
        sandbox.resolve("default")
    assert "--sandbox none" in caught.value.hint
    assert sandbox.resolve("none") == "none"


def test_without_libseccomp_it_says_so(monkeypatch: pytest.MonkeyPatch):
    sandbox.seccomp_program.cache_clear()
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
