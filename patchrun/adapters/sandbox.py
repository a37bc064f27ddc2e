"""What a child may do: the wrapping of its argv, its seccomp program, its listed environment.

Two sandboxes exist so far: ``seccomp`` (a system call filter that the launcher installs before anything else)
and ``none``, which the owner has to ask for. Every run says which one it had.
"""

from __future__ import annotations

import base64
import errno
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from patchrun.core.errors import SetupError, UsageError

CLONE_THREAD = 0x00010000
SECCOMP = Path("/proc/sys/kernel/seccomp")
PATH = "/usr/local/bin:/usr/bin:/bin"

CHILDREN = ("fork", "vfork", "execve", "execveat")
NETWORK = ("socket", "socketpair")
OTHER_PROCESSES = (
    "ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "pidfd_getfd", "kcmp",
)  # fmt: skip
KERNEL = (
    "io_uring_setup", "io_uring_enter", "io_uring_register", "bpf", "perf_event_open", "userfaultfd",
    "unshare", "setns", "mount", "umount2", "move_mount", "open_tree", "fsopen", "fsmount", "pivot_root", "chroot",
    "init_module", "finit_module", "delete_module", "kexec_load", "kexec_file_load", "reboot", "swapon", "swapoff",
    "settimeofday", "clock_settime", "adjtimex", "clock_adjtime", "sethostname", "setdomainname",
    "add_key", "request_key", "keyctl", "iopl", "ioperm", "acct", "quotactl", "syslog",
)  # fmt: skip


def resolve(name: str) -> str:
    """The sandbox that ``name`` asks for: "default" is the best one here.

    Raises:
        UsageError: no such sandbox.
        SetupError: this machine lacks it.
    """
    if name == "none":
        return "none"
    if name not in ("default", "seccomp"):
        raise UsageError(f"no sandbox {name!r}", "choose seccomp or none")
    seccomp_program(children=False)
    return "seccomp"


def describe() -> str:
    """One line on the sandbox that runs get by default here; SetupError where there is none."""
    name = resolve("default")
    return f"{name}: no child processes, network or tracing in a run; files are not hidden from it"


def wrap(argv: Sequence[str], sandbox: str) -> tuple[str, ...]:
    """The argv that starts ``argv`` inside ``sandbox``: the one place where a program goes around a run.

    ``seccomp`` needs no program around it: the launcher takes its filter from the job.
    """
    resolve(sandbox)
    return tuple(argv)


def job_filter(sandbox: str, children: bool) -> str:
    """The seccomp program for a job, in base64; empty without one."""
    return "" if sandbox == "none" else base64.b64encode(seccomp_program(children)).decode()


@cache
def seccomp_program(children: bool) -> bytes:
    """The BPF program that binds a run; ``children`` allows child processes and sockets.

    Without them ``clone`` works for threads only, and ``clone3``, whose flags a filter cannot read, does not
    exist (ENOSYS), so that the C library falls back to ``clone``. Foreign architectures are killed.

    Raises:
        SetupError: no kernel support, or no libseccomp.
    """
    if not SECCOMP.is_dir():
        raise _unavailable("the kernel has no seccomp filters")
    try:
        import pyseccomp
    except (ImportError, OSError, RuntimeError) as error:
        raise _unavailable(str(error)) from None
    program = pyseccomp.SyscallFilter(pyseccomp.ALLOW)
    refused = pyseccomp.ERRNO(errno.EPERM)
    for name in OTHER_PROCESSES + KERNEL + (() if children else CHILDREN + NETWORK):
        program.add_rule(refused, name)
    if not children:
        not_a_thread = pyseccomp.Arg(0, pyseccomp.MASKED_EQ, CLONE_THREAD, 0)
        program.add_rule(refused, "clone", not_a_thread)
        program.add_rule(pyseccomp.ERRNO(errno.ENOSYS), "clone3")
    with tempfile.TemporaryFile() as file:
        program.export_bpf(file)
        file.seek(0)
        return file.read()


def listed_environment(home: Path, threads: int, extra: Mapping[str, str]) -> dict[str, str]:
    """The whole environment of a child: nothing of ours but what stands here and ``extra``."""
    return {
        "PATH": PATH,
        "HOME": str(home),
        "TMPDIR": str(home),
        "LANG": "C.UTF-8",
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        "OPENBLAS_NUM_THREADS": str(threads),
        "PYTHONHASHSEED": "0",
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        **extra,
    }


def _unavailable(why: str) -> SetupError:
    hint = "install libseccomp (libseccomp2 on Debian), or say --sandbox none: every result then shows it"
    return SetupError(f"no sandbox on this machine: {why}", hint)
