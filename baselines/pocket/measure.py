"""Make the tables of the pocket track: steps by rule, times, the steps-only control, and the loss floors.

    python baselines/pocket/measure.py prepare             fetch and check the data, print where it lies
    python baselines/pocket/measure.py steps 20            loss over the 20 tuning seeds, at the steps of each script and a few fewer
    python baselines/pocket/measure.py times 5             CPU seconds over 5 fresh seeds, all scripts in mirrored blocks
    python baselines/pocket/measure.py floors 3            loss before training and after one step
    python baselines/pocket/measure.py tables              markdown tables of all that was measured so far

Every run is a process of its own with one thread. It warms torch up, trains one script and scores the saved weights;
losses are exact (same script, seed, machine: same bits), CPU seconds vary. Results are lines of JSON in --results, kept
under the digest of the script's syntax tree: what is there is not run again, so any command can be stopped and repeated.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import json
import os
import re
import resource
import runpy
import statistics
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from patchrun.adapters import corpus, process
from patchrun.core.errors import PatchrunError
from patchrun.core.track import load_ladder, load_track

HERE = Path(__file__).resolve().parent
TUNING_SEEDS = range(1000, 1020)
FRESH_SEEDS = range(2000, 2100)
STUDY_RUNS = 5  # runs in the mean that has to reach the target
RUN_TIMEOUT_S = 900.0


@dataclass(frozen=True)
class Run:
    """One training: which script (number 0 is the base), how many of its steps, which seed, and what came out."""

    number: int
    digest: str
    seed: int
    steps: int
    stop: int | None
    loss: float
    cpu_s: float
    parameters: int


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


def script_digest(text: str) -> str:
    """A digest that comments and layout do not change."""
    return hashlib.sha256(ast.dump(ast.parse(text)).encode()).hexdigest()[:16]


def steps_of(text: str) -> int:
    """The number of optimizer steps that a script sets."""
    return int(re.search(r"^STEPS = (\d+)", text, flags=re.M)[1])


def with_steps(text: str, steps: int) -> str:
    """The steps-only patch: the same script with another number of steps, its schedule scaled along."""
    return re.sub(r"^STEPS = \d+", f"STEPS = {steps}", text, count=1, flags=re.M)


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
    """Mean loss, nats per token, over blocks of `context` tokens, each position but the first predicted from its block."""
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
                print(f"record {run.number} {where} seed {run.seed}: {run.loss:.4f}, {run.cpu_s:.2f} s", file=sys.stderr)
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
            raise PatchrunError(f"script {job.number}: {done.stderr.decode()[-2000:]}", hint="run it by hand to see more")
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
    """Losses over the tuning seeds at each script's steps, a little fewer, and where the mean alone meets the target."""
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
    """Losses of the weights saved before the first step and after it."""
    jobs = [(number, text, seed) for number, text in enumerate(scripts) for seed in FRESH_SEEDS[:count]]
    bench.runs([Job(*job, stop=stop) for job in jobs for stop in (0, 1)])


# ---------------------------------------------------------------- tables


def rule_bound(losses: list[float]) -> float:
    """Mean + 2 sd / sqrt(5): what must be at or below the target (sd over the seeds, n - 1 in its denominator)."""
    return statistics.fmean(losses) + 2 * statistics.stdev(losses) / STUDY_RUNS**0.5


def steps_table(runs: list[Run], scripts: list[str]) -> str:
    """Every number of steps tried for each script with the tuning seeds."""
    rows = ["| record | steps | n | mean loss | sd | mean + 2 sd / sqrt 5 | |", "| --- | --- | --- | --- | --- | --- | --- |"]
    for number, text in enumerate(scripts):
        for steps, losses in sorted(_losses_by_steps(runs, text).items()):
            mark = "chosen" if steps == steps_of(text) else ""
            mean, sd = statistics.fmean(losses), statistics.stdev(losses)
            rows.append(f"| {number} | {steps} | {len(losses)} | {mean:.4f} | {sd:.4f} | {rule_bound(losses):.4f} | {mark} |")
    return "\n".join(rows)


def _losses_by_steps(runs: list[Run], text: str) -> dict[int, list[float]]:
    """Losses over the tuning seeds of a script and its steps-only changes, where there are at least two."""
    found: dict[int, list[float]] = {}
    digests = {script_digest(with_steps(text, steps)): steps for steps in {run.steps for run in runs}}
    for run in runs:
        if run.stop is None and run.seed in TUNING_SEEDS and run.digest in digests:
            found.setdefault(digests[run.digest], []).append(run.loss)
    return {steps: losses for steps, losses in found.items() if len(losses) > 1}


def _timed(runs: list[Run], text: str) -> dict[int, Run]:
    """The timed runs of a script, by seed."""
    digest = script_digest(text)
    return {run.seed: run for run in runs if run.digest == digest and run.stop is None and run.seed in FRESH_SEEDS}


def times_table(runs: list[Run], scripts: list[str]) -> str:
    """Seconds and losses of each script over the fresh seeds, and the gain over the one before, paired by seed."""
    rows = [
        "| record | steps | parameters | n | CPU s | sd | loss | sd | gain | gain over its sd, one pair | over its standard error |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    before: dict[int, Run] = {}
    for number, text in enumerate(scripts):
        now = _timed(runs, text)
        if len(now) < 2:
            continue
        seconds, losses = [run.cpu_s for run in now.values()], [run.loss for run in now.values()]
        row = [number, steps_of(text), next(iter(now.values())).parameters, len(now)]
        row += [f"{value:.{digits}f}" for values, digits in ((seconds, 2), (losses, 4)) for value in _mean_sd(values)]
        rows.append("| " + " | ".join(map(str, row + _gain(before, now))) + " |")
        before = now
    return "\n".join(rows)


def _mean_sd(values: list[float]) -> tuple[float, float]:
    return statistics.fmean(values), statistics.stdev(values)


def _gain(before: dict[int, Run], now: dict[int, Run]) -> list[str]:
    """Gain in percent, over the sd of the paired differences, and over their standard error."""
    pairs = [(before[seed].cpu_s, now[seed].cpu_s) for seed in now if seed in before]
    if len(pairs) < 2:
        return ["", "", ""]
    mean, sd = _mean_sd([old - new for old, new in pairs])
    share = mean / statistics.fmean(old for old, _ in pairs)
    return [f"{share:.0%}", f"{mean / sd:.1f}", f"{mean / sd * len(pairs) ** 0.5:.0f}"]


def control_table(runs: list[Run], scripts: list[str], target: float) -> str:
    """What the best steps-only patch to each baseline scores: the fewest steps at which the mean over the seeds still
    meets the target (between two counts that were run, on the straight line), at the baseline's seconds per step."""
    rows = ["| record | steps of its baseline | fewest steps, mean at the target | FSR of that |", "| --- | --- | --- | --- |"]
    for number in range(1, len(scripts)):
        baseline, human = _timed(runs, scripts[number - 1]), _timed(runs, scripts[number])
        fewest = fewest_steps(_losses_by_steps(runs, scripts[number - 1]), target)
        if not baseline or not human or fewest is None:
            continue
        steps = steps_of(scripts[number - 1])
        before, after = (statistics.fmean(run.cpu_s for run in arm.values()) for arm in (baseline, human))
        score = before * (1 - fewest / steps) / (before - after)
        rows.append(f"| {number} | {steps} | {fewest:.1f} | {score:.3f} |")
    return "\n".join(rows)


def fewest_steps(losses: dict[int, list[float]], target: float) -> float | None:
    """Where the line through the mean losses at the two counts nearest the target meets it; None without two counts."""
    means = sorted((abs(statistics.fmean(values) - target), steps, statistics.fmean(values)) for steps, values in losses.items())
    if len(means) < 2:
        return None
    (_, a, loss_a), (_, b, loss_b) = means[:2]
    return a + (target - loss_a) * (b - a) / (loss_b - loss_a)


def floors_table(runs: list[Run], scripts: list[str]) -> str:
    """The lowest loss seen before training and after one step."""
    rows = ["| record | n | lowest loss at step 0 | after step 1 |", "| --- | --- | --- | --- |"]
    for number, text in enumerate(scripts):
        digest = script_digest(text)
        lows = {stop: [run.loss for run in runs if run.digest == digest and run.stop == stop] for stop in (0, 1)}
        if all(lows.values()):
            rows.append(f"| {number} | {len(lows[0])} | {min(lows[0]):.3f} | {min(lows[1]):.3f} |")
    return "\n".join(rows)


# ---------------------------------------------------------------- command line


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["prepare", "steps", "times", "floors", "tables", "child"])
    parser.add_argument("argument", nargs="?", help="number of seeds")
    parser.add_argument("--track", type=Path, default=HERE)
    parser.add_argument("--cache", type=Path, default=Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "patchrun")
    parser.add_argument("--results", type=Path, default=Path("pocket-results.jsonl"))
    parser.add_argument("--workers", type=int, default=1, help="runs at a time; leave it at 1 for times")
    options = parser.parse_args()
    if options.command == "child":
        return run_child(Path(options.argument))
    bench = Bench(options.track, options.cache, options.results, options.workers)
    if options.command == "prepare":
        return print(f"PATCHRUN_DATA={bench.corpus.train_dir}")
    scripts = ladder_scripts(options.track)
    measures = {"steps": measure_steps, "times": measure_times, "floors": measure_floors}
    if options.command in measures:
        measures[options.command](bench, scripts, int(options.argument or STUDY_RUNS))
    runs = list(bench.known.values())
    target = bench.track.target.loss
    tables = [steps_table(runs, scripts), times_table(runs, scripts), control_table(runs, scripts, target), floors_table(runs, scripts)]
    print("\n\n".join(tables))


if __name__ == "__main__":
    try:
        main()
    except PatchrunError as error:
        sys.exit(str(error))
