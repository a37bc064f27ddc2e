"""Which system calls a run may make, as seccomp programs.

A run without child processes gets a list of what is allowed, measured on python, torch, numpy, safetensors and
``torch.export`` (strace over every record of the pocket ladder), with the near relatives that other C libraries and
kernels use instead. A run with child processes (torchrun, CUDA, compilers, an agent's shell) makes too many calls for
such a list: it gets a list of what is refused.

A refused call answers EPERM. One that is newer than these lists does not exist (ENOSYS), so that a C library falls
back to an older one. The kernel reads only the low 32 bits of a flag or a command, so only these are compared.
"""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from patchrun.core.errors import SetupError

if TYPE_CHECKING:
    import pyseccomp

SECCOMP = Path("/proc/sys/kernel/seccomp")
CLONE_THREAD = 0x00010000
WORD = 0xFFFFFFFF
NEW = range(
    424, 640
)  # numbers that all architectures share, and x32's own, which old kernels take from anyone

ALLOWED = {
    "reading and writing": """
        read write readv writev pread64 pwrite64 preadv pwritev lseek sendfile copy_file_range
        open openat creat close close_range dup dup2 dup3 pipe pipe2 fsync fdatasync truncate ftruncate fallocate
        poll ppoll select pselect6 epoll_create epoll_create1 epoll_ctl epoll_wait epoll_pwait epoll_pwait2""",
    "files by name": """
        stat lstat fstat newfstatat statx statfs fstatfs access faccessat faccessat2 getdents getdents64
        getcwd chdir fchdir rename renameat renameat2 mkdir mkdirat rmdir unlink unlinkat link linkat symlink
        symlinkat readlink readlinkat chmod fchmod fchmodat fchmodat2 chown fchown lchown fchownat umask utime utimes
        futimesat utimensat getxattr lgetxattr fgetxattr listxattr llistxattr flistxattr""",
    "its own memory": "brk mmap munmap mremap mprotect msync get_mempolicy map_shadow_stack mseal",
    "threads": """
        futex futex_waitv futex_wake futex_wait futex_requeue set_robust_list get_robust_list set_tid_address rseq
        membarrier sched_yield arch_prctl exit exit_group restart_syscall""",
    "signals to itself": """
        rt_sigaction rt_sigprocmask rt_sigreturn rt_sigpending rt_sigsuspend rt_sigtimedwait sigaltstack pause kill
        tkill tgkill wait4 waitid""",
    "time": """
        clock_gettime clock_getres clock_nanosleep nanosleep gettimeofday time times alarm getitimer setitimer
        timer_create timer_settime timer_gettime timer_getoverrun timer_delete""",
    "facts about itself and the machine": """
        getpid gettid getppid getpgid getpgrp getsid getuid geteuid getgid getegid getresuid getresgid getgroups capget
        getrlimit setrlimit getrusage getpriority getrandom uname sysinfo getcpu sched_getaffinity sched_getparam
        sched_getattr sched_getscheduler sched_get_priority_max sched_get_priority_min""",
}
COMMANDS = {
    "fcntl": (
        1,
        (0, 1, 2, 3, 4, 1030, 1032),
    ),  # F_DUPFD and its CLOEXEC, flags, a pipe's size: no locks, no leases
    "ioctl": (
        1,
        (0x5401, 0x802C542A, 0x540F, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451),
    ),  # TCGETS, FIONREAD, FIOCLEX
    "madvise": (
        2,
        (0, 1, 2, 3, 4, 8, 9, 10, 11, 14, 15, 16, 17, 18, 19, 22, 23),
    ),  # not MERGEABLE, COLD, PAGEOUT
    "prctl": (
        0,
        (2, 3, 15, 16, 23, 39, 41, 42, 0x53564D41),
    ),  # names of threads and maps, huge pages, else questions
    "preadv2": (5, (0,)),  # RWF_NOWAIT tells which pages others have read
    "pwritev2": (5, (0,)),
    "mbind": (5, (0,)),  # by torch's allocator; the flags would move pages
}
"""Calls that are allowed with these values of one argument (counted from 0) only."""

REFUSED = {
    "other processes": "ptrace process_vm_readv process_vm_writev kcmp",
    "the page cache, which all runs of a machine share": """
        mincore fadvise64 readahead sync_file_range sync syncfs vmsplice tee migrate_pages move_pages""",
    "objects that outlive a process or pass by its namespaces": """
        add_key request_key keyctl shmget shmat shmdt shmctl msgget msgsnd msgrcv msgctl semget semop semtimedop semctl
        mq_open mq_unlink mq_timedsend mq_timedreceive mq_notify mq_getsetattr name_to_handle_at open_by_handle_at
        lookup_dcookie fanotify_init fanotify_mark""",
    "wide doors into the kernel": "bpf perf_event_open userfaultfd personality modify_ldt iopl ioperm",
    "mounts and namespaces": "unshare setns mount umount2 pivot_root chroot",
    "the machine": """
        init_module finit_module delete_module create_module kexec_load kexec_file_load reboot swapon swapoff
        settimeofday clock_settime adjtimex clock_adjtime sethostname setdomainname acct quotactl syslog vhangup""",
    "priorities": "sched_setscheduler sched_setparam sched_setattr ioprio_set",
}
WATCHES = (
    "inotify_init inotify_init1 inotify_add_watch inotify_rm_watch"  # they see who opens a shared library
)
REFUSED_COMMANDS = {
    "fcntl": (1, (10, 1024, 1025, 1026)),  # F_SETSIG, F_SETLEASE, F_GETLEASE, F_NOTIFY
    "ioctl": (1, (0x5412, 0x541C)),  # TIOCSTI, TIOCLINUX: typing on the caller's terminal
    "madvise": (2, (12, 20, 21)),  # MADV_MERGEABLE, COLD, PAGEOUT
}
NEW_WITH_CHILDREN = """
    pidfd_send_signal pidfd_open clone3 close_range faccessat2 epoll_pwait2 landlock_create_ruleset landlock_add_rule
    landlock_restrict_self futex_waitv futex_wake futex_wait futex_requeue fchmodat2 map_shadow_stack mseal"""
SHARED_FLAGS = ("preadv2", "pwritev2")  # with children too only without flags


@cache
def seccomp_program(children: bool, watches: bool = False) -> bytes:
    """The BPF program that binds a run; ``children`` allows child processes, sockets and file locks.

    ``watches``: with children, inotify too, as the editors and shells of an agent want it. Without children ``clone``
    works for threads only, and ``clone3``, whose flags a filter cannot read, does not exist (ENOSYS), so that the C
    library falls back to ``clone``. Foreign architectures are killed.

    Raises:
        SetupError: no kernel support, or no libseccomp.
    """
    if not SECCOMP.is_dir():
        raise unavailable("the kernel has no seccomp filters")
    try:
        import pyseccomp
    except (ImportError, OSError, RuntimeError) as error:
        raise unavailable(str(error)) from None
    made = _refuse_some(watches) if children else _allow_some()
    made.set_attr(
        pyseccomp.Attr.CTL_OPTIMIZE, 2
    )  # a tree of comparisons: a dozen instead of a hundred a call
    with tempfile.TemporaryFile() as file:
        made.export_bpf(file)
        file.seek(0)
        return file.read()


def unavailable(why: str) -> SetupError:
    """The error of a machine that cannot filter system calls."""
    hint = "install libseccomp (libseccomp2 on Debian), or say --sandbox none: every result then shows it"
    return SetupError(f"no sandbox on this machine: {why}", hint)


def _allow_some() -> pyseccomp.SyscallFilter:
    import pyseccomp

    made = pyseccomp.SyscallFilter(pyseccomp.ERRNO(errno.EPERM))
    known = _numbers(ALLOWED.values())
    for number in known:
        made.add_rule(pyseccomp.ALLOW, number)
    for name, (position, values) in COMMANDS.items():
        for value in values:
            made.add_rule(pyseccomp.ALLOW, name, _word(position, value))
    made.add_rule(pyseccomp.ALLOW, "clone", pyseccomp.Arg(0, pyseccomp.MASKED_EQ, CLONE_THREAD, CLONE_THREAD))
    made.add_rule(pyseccomp.ALLOW, "prlimit64", _word(0, 0))
    made.add_rule(pyseccomp.ALLOW, "prlimit64", pyseccomp.Arg(2, pyseccomp.EQ, 0))
    _hide_new(made, known)
    return made


def _refuse_some(watches: bool) -> pyseccomp.SyscallFilter:
    import pyseccomp

    made = pyseccomp.SyscallFilter(pyseccomp.ALLOW)
    refused = pyseccomp.ERRNO(errno.EPERM)
    for number in _numbers([*REFUSED.values(), "" if watches else WATCHES]):
        made.add_rule(refused, number)
    for name, (position, values) in REFUSED_COMMANDS.items():
        for value in values:
            made.add_rule(refused, name, _word(position, value))
    for name in SHARED_FLAGS:
        made.add_rule(refused, name, pyseccomp.Arg(5, pyseccomp.NE, 0))
    _hide_new(made, _numbers([NEW_WITH_CHILDREN]))
    return made


def _hide_new(made: pyseccomp.SyscallFilter, kept: set[int]) -> None:
    """No call of ``NEW`` exists but the ``kept``: io_uring, cachestat, process_madvise, what kernels add later."""
    import pyseccomp

    for number in set(NEW) - kept:
        made.add_rule(pyseccomp.ERRNO(errno.ENOSYS), number)


def _numbers(groups: Iterable[str]) -> set[int]:
    """The numbers of the calls that exist on this architecture and that libseccomp knows."""
    import pyseccomp

    found = (
        pyseccomp.resolve_syscall(pyseccomp.Arch.NATIVE, name) for group in groups for name in group.split()
    )
    return {number for number in found if number >= 0}


def _word(position: int, value: int) -> pyseccomp.Arg:
    """Argument ``position`` is ``value`` in its low 32 bits."""
    import pyseccomp

    return pyseccomp.Arg(position, pyseccomp.MASKED_EQ, WORD, value)
