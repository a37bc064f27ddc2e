"""System call filters: what the programs answer, and what really happens under them, in a sandbox and without."""

from __future__ import annotations

import os
from pathlib import Path

import pyseccomp
import pytest
from boxes import needs_bwrap
from tiny import tiny_corpus, tiny_track, write_code

from patchrun.adapters import syscalls
from patchrun.services.training import Plan, Trained, Training

INSTRUCTION = 8
RETURN = 0x06  # BPF_RET | BPF_K
ALLOW, ERRNO, KILL = 0x7FFF0000, 0x00050000, 0x00000000


def run_filter(program: bytes, number: int, arch: int = 0xC000003E, **words: int) -> int:
    """What a BPF program answers for a system call: a small machine for loads, jumps, masks and returns.

    ``words``: arguments by place, ``arg0`` to ``arg5``; 0 where none is given.
    """
    data = (
        number.to_bytes(4, "little")
        + arch.to_bytes(4, "little")
        + bytes(8)
        + b"".join(words.get(f"arg{place}", 0).to_bytes(8, "little") for place in range(6))
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
EPERM, ENOSYS = ERRNO | 1, ERRNO | 38


def answer(name: str, children: bool = False, **words: int) -> int:
    number = pyseccomp.resolve_syscall(pyseccomp.Arch.NATIVE, name)
    return run_filter(syscalls.seccomp_program(children), number, **words)


def names(group: str) -> list[str]:
    return [name for name in group.split() if pyseccomp.resolve_syscall(pyseccomp.Arch.NATIVE, name) >= 0]


@pytest.mark.skipif(not X86_64, reason="system call numbers of x86_64")
class TestPrograms:
    def test_children_are_refused_and_threads_are_not(self):
        for name in ("fork", "vfork", "execve", "execveat", "socket", "socketpair"):
            assert answer(name) == EPERM
            assert answer(name, children=True) == ALLOW
        assert answer("clone", arg0=17) == EPERM
        assert answer("clone", arg0=0x3D0F00) == ALLOW  # what pthread_create asks for
        assert (answer("clone3"), answer("clone3", children=True)) == (ENOSYS, ALLOW)

    @pytest.mark.parametrize("group", syscalls.ALLOWED.values(), ids=syscalls.ALLOWED)
    def test_what_a_training_needs_passes(self, group: str):
        assert {name: answer(name) for name in names(group)} == dict.fromkeys(names(group), ALLOW)

    @pytest.mark.parametrize("group", syscalls.REFUSED.values(), ids=syscalls.REFUSED)
    @pytest.mark.parametrize("children", [True, False])
    def test_what_nobody_needs_is_refused(self, group: str, children: bool):
        assert {name: answer(name, children) for name in names(group)} == dict.fromkeys(names(group), EPERM)

    @pytest.mark.parametrize("children", [True, False])
    def test_calls_newer_than_the_lists_do_not_exist(self, children: bool):
        program = syscalls.seccomp_program(children)
        for number in (425, 426, 427, 437, 440, 447, 448, 451, 463, 500, 520, 600):
            assert run_filter(program, number) == ENOSYS, number
        assert {run_filter(program, number) for number in (436, 439, 441, 449)} == {ALLOW}

    def test_commands_of_one_call(self):
        """F_GETLK, F_SETLK, F_OFD_SETLK, F_SETLEASE, F_NOTIFY; TIOCSTI; MADV_MERGEABLE; PR_SET_DUMPABLE; RWF_NOWAIT."""
        for name, place, refused, allowed in (
            ("fcntl", "arg1", (5, 6, 7, 36, 37, 38, 8, 10, 1024, 1025, 1026, 1031), (0, 1, 2, 3, 4, 1030)),
            ("ioctl", "arg1", (0x5412, 0x541C, 0x40049409, 0x80086601), (0x5401, 0x5413, 0x541B, 0x5421)),
            ("madvise", "arg2", (12, 20, 21, 25, 100), (0, 4, 8, 14, 15)),
            ("prctl", "arg0", (1, 4, 22, 35, 0x59616D61), (15, 16, 0x53564D41)),
            ("preadv2", "arg5", (1, 8, 9, 16), (0,)),
            ("mbind", "arg5", (1, 2, 4), (0,)),
        ):
            assert {answer(name, **{place: value}) for value in refused} == {EPERM}, name
            assert {answer(name, **{place: value + (7 << 32)}) for value in refused} == {EPERM}, name
            assert {answer(name, **{place: value}) for value in allowed} == {ALLOW}, name

    def test_a_word_that_the_kernel_cuts_off_hides_no_command(self):
        assert answer("ioctl", True, arg1=0x5412) == answer("ioctl", True, arg1=0x5412 + (1 << 32)) == EPERM
        assert answer("fcntl", True, arg1=1024 + (1 << 63)) == EPERM
        assert answer("preadv2", True, arg5=8) == EPERM
        assert answer("fcntl", True, arg1=6) == answer("ioctl", True, arg1=0x5401) == ALLOW
        assert answer("flock", True) == ALLOW, "compilers lock their caches"

    def test_limits_are_its_own(self):
        assert answer("prlimit64", arg0=0, arg2=1) == answer("prlimit64", arg0=9, arg2=0) == ALLOW
        assert answer("prlimit64", arg0=9, arg2=1) == EPERM

    def test_only_an_agent_may_watch_files(self):
        number = pyseccomp.resolve_syscall(pyseccomp.Arch.NATIVE, "inotify_init1")
        assert run_filter(syscalls.seccomp_program(True), number) == EPERM
        assert run_filter(syscalls.seccomp_program(True, watches=True), number) == ALLOW

    def test_other_numberings_of_system_calls_are_no_way_round(self):
        program = syscalls.seccomp_program(children=False)
        assert run_filter(program, 2, arch=0x40000003) == KILL  # 32 bit: 2 is fork there
        assert run_filter(program, 0x40000000 + 57) != ALLOW  # x32


def test_every_name_that_is_refused_is_one_that_libseccomp_knows():
    """A misspelled name would refuse nothing; those that other architectures lack have a negative number."""
    for group in (*syscalls.REFUSED.values(), *syscalls.ALLOWED.values(), syscalls.WATCHES):
        for name in group.split():
            assert pyseccomp.resolve_syscall(pyseccomp.Arch.NATIVE, name) != -1 or name == "mseal", name


def train(folder: Path, text: str, sandbox: str, **tables: dict) -> Trained:
    limits = {"wall_seconds": 600} | tables.pop("limits", {})  # a busy machine takes its time
    track = tiny_track(**tables, limits=limits)
    plan = Plan(
        track, write_code(folder, text), tiny_corpus().train_dir, folder / "place", 1, sandbox, warmup=False
    )
    with Training(plan) as training:
        training.await_ready()
        return training.train()


# Each line: a name, a system call as its number on x86_64 and on aarch64, its arguments; file is torch's own library.
CHANNELS = """
import ctypes, errno, os, platform, struct, torch
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
file = os.open(torch._C.__file__, os.O_RDONLY)
memory = ctypes.create_string_buffer(8192)
page = ctypes.addressof(memory) + 4095 & ~4095
lock = ctypes.create_string_buffer(struct.pack("hhqqi4x", 0, 0, 7, 1, 0))
pipe = os.pipe()
CALLS = {
    "an OFD lock": (72, 25, file, 37, lock), "the owner of an OFD lock": (72, 25, file, 36, lock),
    "a POSIX lock": (72, 25, file, 6, lock), "the owner of a lock": (72, 25, file, 5, lock),
    "a lock behind a long word": (72, 25, file, 6 + (1 << 32), lock),
    "flock": (73, 32, file, 5), "a lease": (72, 25, file, 1024, 0), "a note of changes": (72, 25, file, 1026, 1),
    "mincore": (27, 232, page, 4096, page), "cachestat": (451, 451, file, page, page, 0),
    "fadvise DONTNEED": (221, 223, file, 0, 4096, 4), "readahead": (187, 213, file, 0, 4096),
    "preadv2 NOWAIT": (327, 286, file, page, 1, 0, 0, 8), "openat2 CACHED": (437, 437, -100, page, page, 24),
    "inotify": (294, 26, 0), "fanotify": (300, 262, 0, 0), "io_uring": (425, 425, 8, page),
    "keyctl": (250, 219, 0, -4, 1), "add_key": (248, 217, page, page, page, 0, -4),
    "shmget": (29, 194, 7, 4096, 0o1600), "semget": (64, 190, 7, 1, 0o1600), "msgget": (68, 186, 7, 0o1600),
    "mq_open": (240, 180, page, 66, 0o600, 0), "timerfd": (283, 85, 1, 0), "eventfd": (290, 19, 0, 0),
    "signalfd": (289, 74, -1, page, 8, 0), "memfd_secret": (447, 447, 0), "memfd": (319, 279, page, 0),
    "userfaultfd": (323, 282, 0), "perf": (298, 241, page, 0, -1, -1, 0), "bpf": (321, 280, 0, page, 8),
    "pidfd_open": (434, 434, os.getpid(), 0), "pidfd_getfd": (438, 438, 0, 0, 0), "kcmp": (312, 272, 1, 1, 0, 0, 0),
    "ptrace": (101, 117, 0, 0, 0, 0), "process_vm_readv": (310, 270, os.getpid(), page, 0, page, 0, 0),
    "process_madvise": (440, 440, 0, page, 1, 4, 0), "name_to_handle": (303, 264, file, page, page, page, 4096),
    "quotactl": (179, 60, 0, page, 0, page), "vmsplice": (278, 75, pipe[1], page, 0, 0),
    "tee": (276, 77, pipe[0], pipe[1], 1, 0), "merging of equal pages": (28, 233, page, 4096, 12),
    "paging out": (28, 233, page, 4096, 21), "unpinning": (203, 122, 0, 8, page),
    "batch priority": (144, 119, 0, 3, page),
    "its priority": (141, 140, 0, 0, 5), "IO priority": (251, 30, 1, 0, 8192), "personality": (135, 92, 0xFFFFFFFF),
    "a debugger for itself": (157, 167, 0x59616D61, -1), "no dump": (157, 167, 4, 0), "setsid": (112, 157),
    "another's limits": (302, 261, 99999, 7, page, 0), "a filter of its own": (317, 277, 0, 0, page),
    "typing on the terminal": (16, 29, 0, 0x5412, page), "sync": (162, 81), "a socket": (41, 198, 1, 1, 0),
    "a pair of sockets": (53, 199, 1, 1, 0, page), "a child": (56, 220, 17, 0),
    "a pipe by name": (133, 33, page, 0o10600),
    "landlock": (444, 444, 0, 0, 1), "a key of memory": (330, 289, 0, 0), "unshare": (272, 97, 0x10000000),
}
column = {"x86_64": 0, "aarch64": 1}[platform.machine()]
for name, numbers in CALLS.items():
    words = [ctypes.c_long(word) if isinstance(word, int) else word for word in numbers[2:]]
    ctypes.set_errno(0)
    done = libc.syscall(ctypes.c_long(numbers[column]), *words)
    refused = done == -1 and ctypes.get_errno() in (errno.EPERM, errno.ENOSYS)
    if not refused and name not in KEPT:
        print("GOT THROUGH", name, done, errno.errorcode.get(ctypes.get_errno()), flush=True)
print("tried", len(CALLS))
"""


def got_through(folder: Path, sandbox: str, kept: set[str], **tables: dict) -> list[str]:
    trained = train(folder, f"KEPT = {sorted(kept)!r}\n{CHANNELS}", sandbox, **tables)
    assert trained.exit == "ok", trained.reason
    lines = trained.log.decode().splitlines()
    assert lines[-1].startswith("tried ")
    return lines[:-1]


@pytest.mark.parametrize("sandbox", ["seccomp", pytest.param("bwrap", marks=needs_bwrap)])
def test_no_channel_of_the_kernel_is_open_to_a_training(tmp_path: Path, sandbox: str):
    assert got_through(tmp_path, sandbox, set()) == []


WITH_CHILDREN = {
    "an OFD lock", "the owner of an OFD lock", "a POSIX lock", "the owner of a lock", "a lock behind a long word",
    "flock", "timerfd", "eventfd", "signalfd", "memfd", "pidfd_open", "unpinning", "its priority", "no dump", "setsid",
    "a debugger for itself", "another's limits", "a filter of its own", "a socket", "a pair of sockets", "a child",
    "a pipe by name", "landlock", "a key of memory",
}  # fmt: skip


@needs_bwrap
def test_with_children_only_what_compilers_and_torchrun_need_is_open(tmp_path: Path):
    text = "import os\nparent = os.getpid()\n" + CHANNELS.replace(
        "    ctypes.set_errno(0)\n", "    os.getpid() == parent or os._exit(0)\n    ctypes.set_errno(0)\n"
    )
    assert got_through_with_children(tmp_path, text) == []


def got_through_with_children(folder: Path, text: str) -> list[str]:
    limits = {"processes": 8}
    trained = train(folder, f"KEPT = {sorted(WITH_CHILDREN)!r}\n{text}", "bwrap", limits=limits)
    assert trained.exit == "ok", trained.reason
    return [line for line in trained.log.decode().splitlines() if not line.startswith("tried ")]


# What honest training code does besides computing: all of it worked under a list of what is refused, and still does.
HONEST = """
import asyncio, concurrent.futures, faulthandler, gzip, json, logging, mmap, os, pathlib, pickle, platform, queue
import random, resource, select, selectors, shutil, signal, socket, subprocess, sys, tempfile, threading, time, uuid
import numpy as np, torch
from torch.utils.data import DataLoader, TensorDataset
done = []
def threads():
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda n: int(torch.ones(n).sum()), range(8))) == list(range(8))
    thread = threading.Thread(target=time.sleep, args=(0.01,), name="worker")
    thread.start(); thread.join()
    torch.set_num_threads(3); torch.mm(torch.ones(300, 300), torch.ones(300, 300)); torch.set_num_threads(1)
def files():
    with tempfile.TemporaryDirectory() as name:
        path = pathlib.Path(name, "a")
        path.write_text("x"); path.chmod(0o600); os.utime(path); shutil.copy2(path, path.with_name("b"))
        shutil.copytree(name, name + "2"); shutil.rmtree(name + "2"); os.replace(path, path.with_name("c"))
        path.symlink_to("b"); os.truncate(path, 0); shutil.disk_usage(name); path.unlink()
        with tempfile.NamedTemporaryFile() as file:
            file.write(bytes(9999)); file.flush(); os.fsync(file.fileno()); os.posix_fallocate(file.fileno(), 0, 20000)
def maps():
    with tempfile.TemporaryFile() as file:
        file.write(bytes(9999)); file.flush()
        with mmap.mmap(file.fileno(), 0) as view:
            view.madvise(mmap.MADV_SEQUENTIAL); view.madvise(mmap.MADV_WILLNEED); view[:3] = b"abc"; view.flush()
    memory = np.memmap("{out}/m", dtype="i4", mode="w+", shape=(100,)); memory[:] = 1; memory.flush()
    torch.from_file("{out}/t", shared=True, size=8).fill_(1)
def saving():
    torch.save({"a": torch.ones(3)}, "{out}/a.pt"); torch.load("{out}/a.pt", mmap=True)
    np.savez("{out}/a.npz", a=np.arange(3)); assert np.load("{out}/a.npz")["a"][2] == 2
    gzip.open("{out}/a.gz", "wb").write(b"1"); pickle.dumps([1]); json.dumps([1])
def signals():
    seen = []
    signal.signal(signal.SIGALRM, lambda *_: seen.append(1))
    signal.setitimer(signal.ITIMER_REAL, 0.02); time.sleep(0.05); assert seen
    signal.signal(signal.SIGUSR1, lambda *_: seen.append(2)); os.kill(os.getpid(), signal.SIGUSR1); assert 2 in seen
    signal.raise_signal(signal.SIGUSR1); signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})
    faulthandler.enable(); faulthandler.dump_traceback_later(60); faulthandler.cancel_dump_traceback_later()
def pipes():
    read, write = os.pipe(); os.write(write, b"1"); select.select([read], [], [], 1)
    with selectors.DefaultSelector() as selector: selector.register(read, selectors.EVENT_READ); selector.select(1)
    select.poll().register(read); os.set_blocking(read, False); os.set_inheritable(read, True); os.dup(read)
def facts():
    platform.platform(); socket.gethostname(); os.cpu_count(); os.getloadavg(); os.uname(); os.sched_getaffinity(0)
    resource.getrusage(resource.RUSAGE_SELF); resource.getrlimit(resource.RLIMIT_DATA)
    os.getpriority(os.PRIO_PROCESS, 0)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256)); shutil.get_terminal_size(); sys.stdout.isatty()
    uuid.uuid4(); os.urandom(4); random.SystemRandom().random()
def loading():
    for _ in DataLoader(TensorDataset(torch.ones(10, 2)), batch_size=2, shuffle=True): pass
    logging.warning("x"); os.pread(os.open("{out}/a.gz", os.O_RDONLY), 1, 0)
    descriptor = os.open("{out}/a.gz", os.O_RDONLY); assert os.preadv(descriptor, [bytearray(1)], 0) == 1
    assert os.sendfile(os.open("{out}/b.gz", os.O_WRONLY | os.O_CREAT), descriptor, 0, 9) > 0
def graphs():
    class Small(torch.nn.Module):
        def __init__(self): super().__init__(); self.layer = torch.nn.Linear(4, 4)
        def forward(self, x): return torch.relu(self.layer(x)).softmax(-1)
    exported = torch.export.export(Small().eval(), (torch.ones(2, 4),), strict=False).run_decompositions({{}})
    torch.export.save(exported, "{out}/graph.pt2"); torch.fx.symbolic_trace(Small())
    torch.jit.script(torch.nn.Linear(3, 3))
    torch.compile(lambda x: x * 2, backend="eager")(torch.ones(3))
def profiling():
    with torch.profiler.profile(): torch.ones(3).sum()
def clocks():
    for name in ("MONOTONIC", "REALTIME", "PROCESS_CPUTIME_ID", "THREAD_CPUTIME_ID", "BOOTTIME"):
        time.clock_gettime(getattr(time, f"CLOCK_{name}")); time.clock_getres(getattr(time, f"CLOCK_{name}"))
    time.perf_counter(); os.times(); time.sleep(0); threading.Event().wait(0.01); queue.Queue().put(1)
for each in (threads, files, maps, saving, signals, pipes, facts, loading, graphs, profiling, clocks):
    each(); done.append(each.__name__)
print("all", len(done))
"""


@pytest.mark.parametrize("sandbox", ["seccomp", pytest.param("bwrap", marks=needs_bwrap)])
def test_what_honest_training_code_does_passes(tmp_path: Path, sandbox: str):
    out = tmp_path / "place" / "out"
    trained = train(tmp_path, HONEST.replace("{out}", str(out)).replace("{{}}", "{}"), sandbox)
    assert trained.exit == "ok", trained.log.decode()[-2000:]
    assert trained.log.decode().splitlines()[-1] == "all 11"


COMPILED = """
import os, torch
os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", os.environ["PATCHRUN_OUT"] + "/inductor")
import torch.distributed as dist
dist.init_process_group("gloo")
torch._inductor.config.compile_threads = 1
double = torch.compile(lambda x: (x * 2).relu().sum())
total = double(torch.ones(64)).reshape(1)
dist.all_reduce(total)
print("total", int(total), flush=True)
dist.destroy_process_group()
"""


@needs_bwrap
@pytest.mark.slow
def test_torchrun_gloo_and_the_compiler_work_under_the_longest_list(tmp_path: Path):
    tables = {"launch": {"kind": "torchrun"}, "limits": {"processes": 64, "memory_mb": 4096, "file_mb": 512},
              "clock": {"source": "arrival"}}  # fmt: skip
    trained = train(tmp_path, COMPILED, "bwrap", **tables)
    assert trained.exit == "ok", trained.log.decode()[:4000]
    assert b"total 128" in trained.log
