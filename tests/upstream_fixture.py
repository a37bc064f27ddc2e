"""A tiny upstream repository, own-written, in the shape of the real one: every log era, the tree era, odd records.

Record 1 has no code; 2 and 3 lie in the tree with hyperparameters in run.sh; 4 in a framed log; 5 in a plain log with
data-loader lines and the old clock; 6 changes only its environment; 7 lies in the tree again with a second module.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from patchrun.adapters.gitrepo import PATCHRUN, GitRepo

RULE = "=" * 100
LOGS = "records/short"
H100 = "NVIDIA H100 80GB HBM3"


def script(number: int, steps: int = 3) -> str:
    """A script of our own with the parts that a real one has: a timer, step lines, file patterns."""
    return f"""import sys
import time

with open(sys.argv[0]) as file:
    code = file.read()

VERSION = {number}
train_files = "data/fineweb10B/fineweb_train_*.bin"
val_files = "data/fineweb10B/fineweb_val_*.bin"
val_tokens = 1024


def print0(text):
    print(text)


training_time_ms = 0
t0 = time.perf_counter()
for step in range({steps} + 1):
    if step == {steps}:
        training_time_ms += 1000 * (time.perf_counter() - t0)
        print0(f"step:{{step}}/{steps} val_loss:3.2700 train_time:{{training_time_ms:.0f}}ms step_avg:1.00ms")
"""


KERNELS = "def double(x):\n    return 2 * x\n"
MODULES = {"triton_kernels.py": KERNELS}


def step_lines(
    steps: int,
    loss: float,
    ms: int,
    *,
    old_clock: bool = False,
    train_losses: bool = False,
    last: bool = True,
) -> list[str]:
    """Step and validation lines of a run; ``old_clock`` restarts the time after step 1."""
    lines = [f"step:0/{steps} val_loss:10.8258 train_time:0ms step_avg:{'nan' if old_clock else '0.04'}ms"]
    for step in range(1, steps + 1):
        clock = 900000 + step if old_clock and step == 1 else ms * step // steps
        average = "nan" if old_clock and step == 1 else f"{clock / step:.2f}"
        loss_text = f"train_loss:{loss + 0.5:.4f} " if train_losses else ""
        lines.append(f"step:{step}/{steps} {loss_text}train_time:{clock}ms step_avg:{average}ms")
    if last:
        lines.append(
            f"step:{steps}/{steps} val_loss:{loss:.4f} train_time:{ms}ms step_avg:{ms / steps:.2f}ms"
        )
        lines.append("peak memory allocated: 31361 MiB reserved: 46472 MiB")
    return lines


def environment(gpus: int = 8, model: str = H100, torch: str = "2.6.0+cu126") -> list[str]:
    """What a script prints of its machine."""
    rows = [
        f"|   {index}  {model:<30}  On  |   00000000:0{index}:00.0 Off |                    0 |"
        for index in range(gpus)
    ]
    return [
        "Running Python 3.12.7 (main, Jan  4 2025, 08:08:20) [GCC 13.2.0]",
        f"Running PyTorch {torch} compiled for CUDA 12.6",
        "Running Triton version 3.4.0",
        "Sat Jan  4 08:29:45 2025       ",
        "+-----------------------------------------------------------------------------------------+",
        "| NVIDIA-SMI 550.90.07              Driver Version: 550.90.07      CUDA Version: 12.4     |",
        *rows,
        "+-----------------------------------------------------------------------------------------+",
        "                                                                                         ",
        "",
    ]


def plain_log(
    code: str,
    run: Sequence[str],
    *,
    modules: Mapping[str, str] | None = None,
    machine: Sequence[str] | None = None,
    loaders: Sequence[str] = (),
) -> bytes:
    """The later form: the source from line 1, further files under headlines, one newline that print added."""
    dashes = "-" * 40
    extra = "".join(f"\n\n{dashes}\n# {name}\n{dashes}\n\n{text}" for name, text in (modules or {}).items())
    between = [*loaders, RULE] if loaders else []
    tail = [RULE, *(environment() if machine is None else machine), RULE, *between, *run]
    return (code + extra + "\n" + "\n".join(tail) + "\n").encode()


def own_log(number: int = 7, loss: float = 3.27, ms: int = 4000) -> bytes:
    """A log of a user's own: four steps of script ``number`` with the second module."""
    return plain_log(script(number), step_lines(4, loss, ms), modules=MODULES)


def write_log(path: Path, number: int = 7, loss: float = 3.27, ms: int = 4000) -> Path:
    path.write_bytes(own_log(number, loss, ms))
    return path


def framed_log(code: str, run: Sequence[str], *, machine: Sequence[str] | None = None) -> bytes:
    """The earlier form: the source between two rules, no newline added."""
    tail = [RULE, *(environment(torch="2.4.1+cu121") if machine is None else machine), RULE, *run]
    return (f"{RULE}\n{code}" + "\n".join(tail) + "\n").encode()


def llmc_log(losses: Sequence[float]) -> bytes:
    """The oldest form: losses only."""
    lines = []
    for step, loss in enumerate(losses):
        lines += [f"s:{step} tel:{loss:.4f}", f"s:{step} trl:{loss + 0.1:.4f} lr:0.000001 norm:15.37"]
    return ("\n".join(lines[:-1]) + "\n").encode()


LOADERS = (
    "Training DataLoader: total number of tokens: 1100000000 across 11 files",
    "Validation DataLoader: total number of tokens: 100000000 across 1 files",
)
RUN_SH = "torchrun --standalone --nproc_per_node=8 {script}{arguments}\n"


def log_files() -> dict[str, bytes]:
    """Every log of the last commit, by path below ``LOGS``."""
    files = {
        "01_llmc/main.log": llmc_log([11.0, 4.0, 3.27]),
        "04_Framed/a.txt": framed_log(
            script(4), step_lines(3, 3.2785, 9000, old_clock=True, train_losses=True)
        ),
        "05_Loaders/b c.txt": plain_log(
            script(5),
            step_lines(3, 3.2770, 6000, old_clock=True),
            loaders=LOADERS,
            machine=environment(torch="2.6.0"),
        ),
        "06_Upgrade/u.txt": plain_log(script(5), step_lines(3, 3.2775, 5000)),
        "90_Elsewhere/x.txt": plain_log(script(90), step_lines(3, 3.3, 1000)),
        "91_Retimed/r.txt": plain_log(script(5), step_lines(3, 3.28, 5500)),
    }
    for index, (loss, ms) in enumerate([(3.2770, 4000), (3.2778, 4010), (3.2786, 3990), (3.2774, 4020)]):
        files[f"07_Kernels/this/{index}.txt"] = plain_log(script(7), step_lines(4, loss, ms), modules=MODULES)
    for index, (loss, ms) in enumerate([(3.2771, 4900), (3.2779, 4910), (3.2781, 4890)]):
        files[f"07_Kernels/baseline/{index}.txt"] = plain_log(script(5), step_lines(3, loss, ms))
    files["07_Kernels/this/one_gpu.txt"] = plain_log(
        script(7), step_lines(4, 3.2776, 30000), modules=MODULES, machine=environment(gpus=1)
    )
    files["07_Kernels/this/h200.txt"] = plain_log(
        script(7), step_lines(4, 3.2776, 3500), modules=MODULES, machine=environment(model="NVIDIA H200")
    )
    files["07_Kernels/this/cut.txt"] = plain_log(
        script(7), step_lines(4, 3.2776, 4000, last=False), modules=MODULES
    )
    files["07_Kernels/this/other.txt"] = plain_log(script(77), step_lines(4, 3.2776, 100), modules=MODULES)
    files["07_Kernels/this/copy.txt"] = files["07_Kernels/this/0.txt"]
    return {f"{LOGS}/{name}": data for name, data in files.items()}


@dataclass(frozen=True)
class Upstream:
    """The made repository and the ladder that fits it."""

    repo: GitRepo
    commits: tuple[str, ...]
    records_toml: str


def make_upstream(path: Path) -> Upstream:
    """Make the repository, bare, at ``path``."""
    repo = GitRepo.init(path)
    arguments = RUN_SH.format(script="train_old.py", arguments=" --steps 9")
    trees = [
        {"README.md": b"an upstream of our own\n"},
        {"train_old.py": script(2).encode(), "run.sh": arguments.encode()},
        {"train_old.py": script(3).encode(), "run.sh": arguments.replace("9", "7").encode()},
        {"train.py": script(6).encode(), "run.sh": RUN_SH.format(script="train.py", arguments="").encode(),
         "requirements.txt": b"torch\n"},
        {"train.py": script(7).encode(), "triton_kernels.py": KERNELS.encode(),
         "run.sh": RUN_SH.format(script="train.py", arguments="").encode(), "requirements.txt": b"torch==2.10\n",
         **log_files()},
    ]  # fmt: skip
    commits: list[str] = []
    for number, files in enumerate(trees):
        tree = repo.store_files(files, executable=["run.sh"])
        when = f"2026-01-{number + 1:02d}T00:00:00+00:00"
        commits.append(repo.commit(tree, commits[-1:], f"step {number}\n", PATCHRUN, when))
    repo.create_refs({"refs/heads/main": commits[-1]})
    return Upstream(repo, tuple(commits), ladder_text(commits, trees))


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _place(side: str, **facts: object) -> str:
    lines = [f"[record.{side}]"]
    tables = []
    for key, value in facts.items():
        if isinstance(value, dict):
            entries = "\n".join(f'"{name}" = "{text}"' for name, text in value.items())
            tables.append(f"[record.{side}.{key}]\n{entries}")
        else:
            lines.append(f"{key} = {value if isinstance(value, int) else f'{value!r}'}")
    return "\n".join([*lines, *tables]) + "\n"


def ladder_text(commits: Sequence[str], trees: Sequence[Mapping[str, bytes]]) -> str:
    """``records.toml`` for the made repository."""
    last = commits[-1]

    def tree(index: int, names: Sequence[str]) -> dict[str, object]:
        files = {name: sha(trees[index][name]) for name in names}
        return {"kind": "tree", "commit": commits[index], "files": files}

    def log(name: str, number: int, stored_as: str) -> dict[str, object]:
        files = {stored_as: sha(script(number).encode()), "run.sh": sha(trees[2]["run.sh"])}
        beside = {"run.sh": f"{commits[2]}:run.sh"}
        facts = {"commit": last, "log": f"{LOGS}/{name}", "script": stored_as}
        return {"kind": "log", **facts, "files": files, "beside": beside}

    def code(number: int, modules: Mapping[str, str] | None = None) -> str:
        from patchrun.core.trainlog import parse_log

        return parse_log(plain_log(script(number), step_lines(1, 1.0, 1), modules=modules)).code_digest

    def logs(folder: str, linked: str, number: int | None, extra: str = "") -> str:
        digests = f'code = ["{code(number)}"]\n' if number else ""
        return f'[record.logs]\nfolders = ["{LOGS}/{folder}"]\nlinked = "{LOGS}/{folder}/{linked}"\n{digests}{extra}'

    kernels = code(7, {"triton_kernels.py": KERNELS})
    same = {"kind": "record"}
    main = ["train.py", "run.sh", "requirements.txt"]
    records = [
        (1, "Ada", "A first run", 2700, "", _place("baseline", kind="none", reason="no code before it")
         + logs("01_llmc", "main.log", None)),
        (2, "Bob", "A trainer", 1800, 'hazards = ["no-log"]', _place("baseline", kind="none", reason="elsewhere")
         + _place("solution", **tree(1, ["train_old.py", "run.sh"]))),
        (3, "Cy", "Fewer steps", 1500, 'hazards = ["no-log"]', _place("baseline", **same, record=2)
         + _place("solution", **tree(2, ["train_old.py", "run.sh"]))),
        (4, "Cy, Dee", "Framed", 9, "", _place("baseline", **same, record=3)
         + _place("solution", **log("04_Framed/a.txt", 4, "train_old.py")) + logs("04_Framed", "a.txt", 4)),
        (5, "Eve", "Loaders", 6, "", _place("baseline", **same, record=4)
         + _place("solution", **log("05_Loaders/b c.txt", 5, "train_old.py")) + logs("05_Loaders", "b c.txt", 5)),
        (6, "nobody named", "Newer torch", 5, 'environment_only = true\nbaseline_seconds = 5.5',
         _place("baseline", **log("05_Loaders/b c.txt", 5, "train.py"))
         + _place("solution", **log("05_Loaders/b c.txt", 5, "train.py")) + logs("06_Upgrade", "u.txt", 5)),
        (7, "Flo", "Kernels", 4, 'ai_system = "Deep Thought"', _place("baseline", **tree(3, main))
         + _place("solution", **(tree(4, [*main, "triton_kernels.py"])))
         + f'[record.logs]\nfolders = ["{LOGS}/07_Kernels"]\nlinked = "{LOGS}/07_Kernels/this/0.txt"\n'
         f'code = ["{kernels}"]\nbaseline_code = ["{code(5)}"]\n'),
    ]  # fmt: skip
    head = (
        "version = 1\nnoise_seconds = 0.7\nmilestones = ['2026-01-05']\n\n"
        f'[upstream]\nname = "made-up/upstream"\nroot = "{commits[0]}"\ncommit = "{last}"\nlogs = "{LOGS}"\n'
        f'executable = ["run.sh"]\nretimed = ["{LOGS}/91_Retimed"]\n\n[hazard]\nno-log = "no log of it exists"\n\n'
        '[[era]]\nfirst = 2\nlast = 6\nprocesses = [8]\nattention = "plain"\npackages = ["torch==2.4.1"]\n\n'
        '[[era]]\nfirst = 7\nlast = 7\nprocesses = [1, 2, 4, 8]\nattention = "built by hand"\n'
        'packages = ["torch==2.10.0", "numpy==2.1.2"]\nmodules = ["attention_by_hand"]\n\n'
    )
    return head + "\n".join(
        f'[[record]]\nnumber = {number}\ndate = "2026-01-{number:02d}"\nby = "{by}"\nsummary = "{summary}"\n'
        f"published_seconds = {seconds}\n{more}\n{places}"
        for number, by, summary, seconds, more, places in records
    )


TRACK_TOML = """\
version = 1
name = "made-up"
title = "A track with an upstream repository of our own"

[target]
loss = 3.28

[rule]
kind = "t-test"
blocks = 3
alpha = 0.01
looks = [3]

[clock]
source = "arrival"

[seeds]
public = [1]
deterministic = false

[limits]
wall_seconds = 10
memory_mb = 1024
file_mb = 10
model_mb = 10

[hardware]
device = "cuda"
gpus = 8
gpu_model = "NVIDIA H100 80GB HBM3"

[edit]
paths = ["train_old.py", "train.py", "*_kernels.py", "run.sh", "requirements.txt"]
new_paths = ["*_kernels.py"]

[launch]
script = "train.py"
kind = "torchrun"

[launch.earlier]
"train_old.py" = 6

[evidence]
kind = "log"

[data]
source = "shards"
pattern = "data/fineweb10B/fineweb_*.bin"
val_tokens = 8
"""


def make_track(folder: Path, upstream: Upstream) -> Path:
    """A track folder for the made repository."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "track.toml").write_text(TRACK_TOML)
    (folder / "records.toml").write_text(upstream.records_toml)
    return folder
