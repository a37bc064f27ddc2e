"""Make the tables of the pocket track: steps by rule, times, the steps-only control, and the loss floors.

    python baselines/pocket/measure.py prepare             fetch and check the data, print where it lies
    python baselines/pocket/measure.py steps 20            loss over 20 tuning seeds, at a script's steps and fewer
    python baselines/pocket/measure.py times 5             CPU seconds over 5 fresh seeds, in mirrored blocks
    python baselines/pocket/measure.py floors 3            loss after 0, 1, 2, ... updates
    python baselines/pocket/measure.py tables              markdown tables of all that was measured so far

Every run is a process of its own with one thread. It warms torch up, trains one script and scores the saved weights.
Losses are exact (same script, seed and machine: same bits), CPU seconds vary. Results are lines of JSON in --results,
found again by the digest of the script's syntax tree: what is there is not run twice, so a command can be stopped and
repeated, and a changed comment changes nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import runpy
import statistics
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import tables
from tables import FRESH_SEEDS, STUDY_RUNS, TUNING_SEEDS, Run, script_digest, steps_of, with_steps

from patchrun.adapters import corpus, process
from patchrun.adapters.homes import cache_home
from patchrun.core.errors import PatchrunError
from patchrun.core.track import load_ladder, load_track

HERE = Path(__file__).resolve().parent
RUN_TIMEOUT_S = 900.0


@dataclass(frozen=True)
class Job:
    """One training to do: a script's number and text, seed, and where to stop (None: at its own end)."""

    number: int
    text: str
    seed: int
    stop: int | None = None

    @property
    def key(self) -> tuple[str, int, int | None]:
        return script_digest(self.text), self.seed, self.stop


# ---------------------------------------------------------------- the ladder's scripts


def ladder_scripts(track: Path) -> list[str]:
    """The base script and the code of every record, in order, made by applying the patches one after another."""
    patches = [track / record.patch for record in load_ladder((track / "records.toml").read_text()).record]
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "train_gpt.py"
        script.write_bytes((track / "base" / "train_gpt.py").read_bytes())
        scripts = [script.read_text()]
        for patch in patches:
            done = process.run(["git", "apply", str(patch)], cwd=folder, timeout=60)
            if done.returncode != 0:
                raise PatchrunError(f"{patch}: {done.stderr.decode().strip()}", hint="the series is out of order")
            scripts.append(script.read_text())
    return scripts


# ---------------------------------------------------------------- one run, in a child process


def run_child(job_file: Path) -> None:
    """Train and score what the job file says and print the result as one line of JSON, the last."""
    import torch

    job = json.loads(job_file.read_text())
    torch.set_num_threads(1)
    warm_up()
    torch.manual_seed(job["seed"])
    began = cpu_seconds()
    runpy.run_path(job["script"], run_name="__main__")
    spent = cpu_seconds() - began
    model = load_model(Path(job["script"]), Path(job["out"]) / "model.safetensors")
    parameters = sum(parameter.numel() for parameter in model.parameters())
    loss = evaluate(model, Path(job["val"]), job["context"])
    print(json.dumps({"loss": loss, "cpu_s": spent, "parameters": parameters}), flush=True)


def cpu_seconds() -> float:
    """User and system seconds of this process so far."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def warm_up() -> None:
    """Pay torch's first-use costs: a few steps of a toy model, through the kernels that the ladder uses."""
    import torch
    import torch.nn.functional as F
    from torch import nn

    toy = nn.Sequential(nn.Embedding(16, 64), nn.Linear(64, 64), nn.GELU(), nn.LayerNorm(64), nn.Linear(64, 16))
    for fused in (False, True):
        optimizer = torch.optim.AdamW(toy.parameters(), fused=fused)
        for _ in range(3):
            tokens = torch.randint(16, (4, 128))
            F.cross_entropy(toy(tokens).flatten(0, 1), tokens.flatten()).backward()
            nn.utils.clip_grad_norm_(toy.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
    heads = torch.randn(2, 2, 128, 32, requires_grad=True)
    F.scaled_dot_product_attention(heads, heads, heads, is_causal=True).sum().backward()
    (heads @ heads.mT).softmax(-1).sum().backward()
    F.rms_norm(heads, (32,)).relu().square().sum().backward()


def load_model(script: Path, weights: Path):
    """The model of a script with the weights that it saved."""
    from safetensors.torch import load_file

    model = runpy.run_path(str(script), run_name="build")["build_model"]()
    model.load_state_dict(load_file(weights))
    return model.eval()


def evaluate(model, shard: Path, context: int) -> float:
    """Mean loss, nats per token, over blocks of `context` tokens; the first token of a block is given."""
    import torch

    tokens = torch.from_numpy(corpus.read_shard(shard).astype("int64"))
    blocks = tokens[: len(tokens) // context * context].view(-1, context)
    total, count = 0.0, 0
    with torch.no_grad():
        for batch in blocks.split(32):
            logs = model(batch)[:, :-1].double().log_softmax(dim=-1)
            total -= logs.gather(-1, batch[:, 1:, None]).sum().item()
            count += batch[:, 1:].numel()
    return total / count


# ---------------------------------------------------------------- many runs, with a cache


class Bench:
    """Runs jobs in child processes, at most `workers` at a time, and keeps every result in one file."""

    def __init__(self, track: Path, cache: Path, results: Path, workers: int):
        self.track = load_track((track / "track.toml").read_text())
        self.corpus = corpus.prepare(self.track.data, cache, track)
        self.results, self.workers = results, workers
        self.known = {(run.digest, run.seed, run.stop): run for run in read_results(results)}

    def runs(self, jobs: list[Job]) -> list[Run]:
        """The results of `jobs`, in their order; those not known yet are run first, in the same order."""
        todo = [job for job in dict.fromkeys(jobs) if job.key not in self.known]
        with ThreadPoolExecutor(self.workers) as pool:
            for run in pool.map(self.run, todo):
                self.known[run.digest, run.seed, run.stop] = run
                with self.results.open("a") as file:
                    file.write(json.dumps(asdict(run)) + "\n")
                where = f"step {run.stop}" if run.stop is not None else f"{run.steps} steps"
                said = f"record {run.number}, {where}, seed {run.seed}: {run.loss:.4f}, {run.cpu_s:.2f} s"
                print(said, file=sys.stderr)
        return [self.known[job.key] for job in jobs]

    def run(self, job: Job) -> Run:
        """Do one job in a child process. Raises PatchrunError with the child's last words if it fails."""
        with tempfile.TemporaryDirectory() as folder:
            script, order = Path(folder) / "train_gpt.py", Path(folder) / "job.json"
            script.write_text(job.text)
            order.write_text(json.dumps(self._order(job, script)))
            env = {**os.environ, "PATCHRUN_DATA": str(self.corpus.train_dir), "PATCHRUN_OUT": folder}
            env.pop("PATCHRUN_STEPS", None)
            if job.stop is not None:
                env["PATCHRUN_STEPS"] = str(job.stop)
            done = process.run([sys.executable, __file__, "child", str(order)], env=env, timeout=RUN_TIMEOUT_S)
        if done.returncode != 0:
            raise PatchrunError(f"script {job.number}: {done.stderr.decode()[-2000:]}", hint="run it by hand")
        answer = json.loads(done.stdout.splitlines()[-1])
        return Run(job.number, script_digest(job.text), job.seed, steps_of(job.text), job.stop, **answer)

    def _order(self, job: Job, script: Path) -> dict:
        return {
            "script": str(script),
            "seed": job.seed,
            "out": str(script.parent),
            "val": str(self.corpus.val_file),
            "context": self.track.evidence.context,
        }


def read_results(path: Path) -> list[Run]:
    """All runs kept in a results file (none if it does not exist)."""
    lines = path.read_text().splitlines() if path.exists() else []
    return [Run(**json.loads(line)) for line in lines]


# ---------------------------------------------------------------- what to run


def measure_steps(bench: Bench, scripts: list[str], count: int) -> None:
    """Losses over the tuning seeds at each script's steps and at fewer, until the mean misses the target."""
    for number, text in enumerate(scripts):
        for fewer in (0.0, 0.005, 0.01, 0.02, 0.03):
            steps = steps_of(text) - round(fewer * steps_of(text))
            cut = with_steps(text, steps)
            runs = bench.runs([Job(number, cut, seed) for seed in TUNING_SEEDS[:count]])
            if fewer and statistics.fmean(run.loss for run in runs) > bench.track.target.loss:
                break


def measure_times(bench: Bench, scripts: list[str], count: int) -> None:
    """One block per fresh seed: all scripts close in time, their order mirrored from block to block."""
    order = list(enumerate(scripts))
    for block, seed in enumerate(FRESH_SEEDS[:count]):
        bench.runs([Job(number, text, seed) for number, text in (order if block % 2 == 0 else order[::-1])])


def measure_floors(bench: Bench, scripts: list[str], count: int) -> None:
    """Losses of the weights saved after as many updates as the track has floors for, from none on."""
    jobs = [(number, text, seed) for number, text in enumerate(scripts) for seed in FRESH_SEEDS[:count]]
    stops = range(len(bench.track.evidence.min_loss_steps))
    bench.runs([Job(*job, stop=stop) for job in jobs for stop in stops])


# ---------------------------------------------------------------- command line


MEASURES = {"steps": measure_steps, "times": measure_times, "floors": measure_floors}


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["prepare", *MEASURES, "tables", "child"])
    parser.add_argument("argument", nargs="?", help="number of seeds")
    parser.add_argument("--track", type=Path, default=HERE)
    parser.add_argument("--cache", type=Path, default=cache_home())
    parser.add_argument("--results", type=Path, default=Path("pocket-results.jsonl"))
    parser.add_argument("--workers", type=int, default=1, help="runs at a time; leave it at 1 for times")
    return parser.parse_args()


def main() -> None:
    options = parse_arguments()
    if options.command == "child":
        return run_child(Path(options.argument))
    bench = Bench(options.track, options.cache, options.results, options.workers)
    if options.command == "prepare":
        return print(f"PATCHRUN_DATA={bench.corpus.train_dir}")
    scripts = ladder_scripts(options.track)
    if options.command in MEASURES:
        MEASURES[options.command](bench, scripts, int(options.argument or STUDY_RUNS))
    return print(tables.all_tables(list(bench.known.values()), scripts, bench.track.target.loss))


if __name__ == "__main__":
    try:
        main()
    except PatchrunError as error:
        sys.exit(str(error))
