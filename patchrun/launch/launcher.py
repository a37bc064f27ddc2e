"""Run one training script in this process, on the parent's signal.

    python -s -P -B launcher.py job.json

The job is a JSON object: ``script`` and ``code`` (its folder), ``seed``, ``threads``, ``deterministic``, ``warmup``,
``memory_bytes``, ``file_bytes`` and ``tasks`` (limits), ``seccomp`` (a BPF program in base64, or ""), ``ready`` and
``start`` (named pipes, or "" to run at once). One line goes to ``ready`` when all is set up; a message from ``start``
begins: numbers of forwards, 0 for none, before which the model is copied (see ``snapshots``). It may also say
``arguments`` (words for the script), ``model`` and ``snapshots`` (the file that it saves, the folder for the copies),
and ``late_torch``: leave it to the script to import torch, since what it puts into the environment before that decides
how torch sets itself up; torch is seeded when imported.

The script shares this process, so nothing that is measured here is evidence: the clock is the parent's.
"""

import base64
import contextlib
import ctypes
import gc
import importlib.metadata
import importlib.util
import json
import os
import random
import resource
import runpy
import signal
import struct
import sys
import threading
import traceback
from pathlib import Path

PR_SET_PDEATHSIG = 1
PR_SET_SECCOMP = 22
PR_SET_NO_NEW_PRIVS = 38
SECCOMP_MODE_FILTER = 2
INSTRUCTION_BYTES = 8
START = struct.Struct("<16I")


class FilterProgram(ctypes.Structure):
    """The kernel's ``struct sock_fprog``."""

    _fields_ = [("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p)]


def call_prctl(*words):
    """prctl(2); OSError when the kernel refuses."""
    libc = ctypes.CDLL(None, use_errno=True)
    words = [ctypes.c_ulong(word) if isinstance(word, int) else word for word in words]
    if libc.prctl(*words, *[ctypes.c_ulong(0)] * (5 - len(words))) != 0:
        number = ctypes.get_errno()
        raise OSError(number, "prctl: " + os.strerror(number))


def set_limits(memory_bytes, file_bytes, tasks):
    """Cap private memory, file size, open files and, where ``tasks`` is not 0, processes and threads; no core dumps.

    RLIMIT_DATA, not RLIMIT_AS: torch maps far more than it uses, CUDA reserves terabytes. RLIMIT_NPROC counts this
    user's tasks in this user namespace: without one of our own it would count those of strangers.
    """
    if tasks:
        resource.setrlimit(resource.RLIMIT_NPROC, (tasks, tasks))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes))
    most = min(resource.getrlimit(resource.RLIMIT_NOFILE)[1], 4096)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def install_filter(program):
    """Hand a seccomp BPF program (bytes) to the kernel: it binds this process and its threads for good."""
    call_prctl(PR_SET_NO_NEW_PRIVS, 1)
    filled = FilterProgram(len(program) // INSTRUCTION_BYTES, program)
    call_prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(filled))


def confine(job):
    """End with the parent, keep the limits, install the filter: all before any foreign code is imported."""
    call_prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    set_limits(job["memory_bytes"], job["file_bytes"], job["tasks"])
    if job["seccomp"]:
        install_filter(base64.b64decode(job["seccomp"]))


def set_up_torch(threads, deterministic):
    """Import torch; set its threads and, where runs must be bit-exact, its deterministic algorithms."""
    import torch

    torch.set_num_threads(threads)
    torch.set_num_interop_threads(threads)
    if deterministic:
        torch.use_deterministic_algorithms(True, warn_only=True)
        torch.utils.deterministic.fill_uninitialized_memory = False  # it costs time and decides no value
    return torch


def warm_up(torch):
    """Pay torch's first-use costs: the optimizer's lazy imports, kernels, the autograd engine, model saving."""
    import safetensors.torch
    from torch import nn
    from torch.nn import functional

    class Warm(nn.Module):
        def __init__(self):
            super().__init__()
            self.table, self.norm = nn.Embedding(64, 32), nn.LayerNorm(32)
            self.widen, self.head = nn.Linear(32, 96), nn.Linear(32, 64)

        def forward(self, ids):
            q, k, v = (
                self.widen(self.norm(self.table(ids))).view(4, 16, 2, 48).transpose(1, 2).chunk(3, dim=-1)
            )
            mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
            weights = functional.softmax((q @ k.transpose(-2, -1)).tril(), dim=-1)
            out = (mixed + weights @ v).transpose(1, 2).reshape(4, 16, 32)
            return self.head(functional.rms_norm(functional.gelu(out) + functional.relu(out).square(), (32,)))

    model, ids = Warm(), torch.randint(64, (4, 16))
    for fused in (False, True):
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=fused)
        for _ in range(3):
            optimizer.zero_grad()
            functional.cross_entropy(model(ids).flatten(0, 1), ids.flatten()).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
    safetensors.torch.save(model.state_dict())


def seed_all(torch, seed):
    """Seed python, numpy and torch; after the warm-up, so that it leaves no trace in the weights."""
    import numpy

    random.seed(seed)
    numpy.random.seed(seed % 2**32)
    torch.manual_seed(seed)


class SeedOnImport:
    """Hands out torch's spec, found before the code's folder is on the path, and seeds torch once it is imported."""

    def __init__(self, seed):
        self.seed, self.spec = seed, importlib.util.find_spec("torch")
        if self.spec is None:
            raise ImportError("No module named 'torch'")

    def find_spec(self, name, path=None, target=None):
        if name != "torch":
            return None
        sys.meta_path.remove(self)
        load = self.spec.loader.exec_module

        def load_and_seed(module):
            load(module)
            module.manual_seed(self.seed)

        self.spec.loader.exec_module = load_and_seed
        return self.spec


def seed_late(seed):
    """Seed python and numpy now, torch when the script imports it; numpy may be absent."""
    sys.meta_path.insert(0, SeedOnImport(seed))
    random.seed(seed)
    with contextlib.suppress(ImportError):
        import numpy

        numpy.random.seed(seed % 2**32)
    return {"torch": importlib.metadata.version("torch"), "python": sys.version.split()[0]}


def settle_memory():
    """Take all that is loaded out of the garbage collector's rounds: one of them takes 80 ms, at any time."""
    gc.collect()
    gc.freeze()


def make_recorder(torch, job):
    """What copies the model on its way, where the job asks for copies; None where it does not.

    Its code comes from the file beside this one, under no name that the script could find or use itself.
    """
    if not job.get("snapshots"):
        return None
    place = Path(__file__).with_name("snapshots.py")
    spec = importlib.util.spec_from_file_location("patchrun-snapshots", place)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Recorder(torch, job["file_bytes"])


def prepare(job):
    """All that comes before the clock: what the parent wants to know of this environment, and the recorder."""
    if job.get("late_torch"):
        return seed_late(job["seed"]), None
    torch = set_up_torch(job["threads"], job["deterministic"])
    if job["warmup"]:
        warm_up(torch)
    recorder = make_recorder(torch, job)
    seed_all(torch, job["seed"])
    settle_memory()
    return {"torch": torch.__version__, "python": sys.version.split()[0]}, recorder


def report(path, facts):
    """One line of JSON into the pipe ``path``; OSError when no parent reads it any more."""
    if path:
        pipe = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
        os.write(pipe, json.dumps(facts).encode() + b"\n")
        os.close(pipe)


def await_start(path):
    """Block until the parent's message comes and return its numbers; end if the parent is gone."""
    if not path:
        return ()
    with Path(path).open("rb", buffering=0) as pipe:
        message = pipe.read(START.size)
    if len(message) < START.size:
        sys.exit("the parent went away before the start signal")
    return START.unpack(message)


def run_script(code, script, arguments=()):
    """Run ``code/script`` as ``__main__`` from its folder, first on the module path only now; its exit status."""
    os.chdir(code)
    sys.path.insert(0, code)
    sys.argv = [script, *arguments]
    try:
        runpy.run_path(script, run_name="__main__")
    except SystemExit as end:
        return exit_status(end.code)
    except BaseException as error:
        print_traceback(error, script)
        return 1
    return 0


def print_traceback(error, script):
    """The traceback as python prints it, from the script's own first frame on."""
    frames = error.__traceback__
    while frames and frames.tb_frame.f_code.co_filename != script:
        frames = frames.tb_next
    traceback.print_exception(error.with_traceback(frames))


def exit_status(code):
    """The process's exit status for what the script gave to ``sys.exit``."""
    if code is None or isinstance(code, int):
        return (code or 0) & 0xFF
    print(code, file=sys.stderr)
    return 1


def join_threads():
    """Wait for the threads that the script has started, as the interpreter does at its end."""
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join()


def leave(status):
    """End now: tearing the interpreter down takes most of a second of CPU, which is no part of the training."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(status)


def main():
    job = json.loads(Path(sys.argv[1]).read_text())
    try:
        confine(job)
        facts, recorder = prepare(job)
    except (ImportError, OSError, RuntimeError, ValueError) as error:
        report(job["ready"], {"error": f"{type(error).__name__}: {error}"})
        raise
    report(job["ready"], facts)
    wanted = await_start(job["start"])
    if recorder:
        recorder.wanted = frozenset(wanted)
    status = run_script(job["code"], job["script"], job.get("arguments", ()))
    join_threads()
    if recorder:
        recorder.write(job["snapshots"], job["model"])
    leave(status)


if __name__ == "__main__":
    main()
