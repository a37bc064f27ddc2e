"""The graphs of a study's arms: exported once for each tree, in the sandbox, and the process that computes them.

Every tree is exported twice, by two processes with other hash and random seeds, which must agree: a graph is a fact of
the code. What the processes write is a stranger's, so it is read with limits and as data.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Any

import patchrun
from patchrun.adapters import sandbox
from patchrun.adapters.child import Stopped
from patchrun.adapters.confined import Ended, run_confined
from patchrun.adapters.interpreter import Interpreter
from patchrun.adapters.modelfile import BadModel, NoModel, read_capped
from patchrun.core.graph.document import MOST_BYTES, read_document
from patchrun.core.graph.model import ModelGraph, check_graph, judge_costs
from patchrun.core.graph.values import BadGraph
from patchrun.core.runlog import printable
from patchrun.core.track import Track
from patchrun.services.training import base_job

EXPORTER = Path(__file__).parents[1] / "launch" / "exporter.py"
GRAPH = "graph.json"
EXPORT_SECONDS = 300.0  # an export takes about five CPU seconds
SEEDS = (1, 2)  # of hashing and of torch: those of the two exports


@dataclass(frozen=True)
class Exported:
    """The graph of a tree, or why there is none."""

    graph: ModelGraph | None
    trouble: str = ""


class Graphs:
    """Exports and computes; a context manager that ends its process. Threads share it: one computes at a time.

    ``place``: a folder for its jobs. ``cache``: one in which exports outlast it.
    """

    def __init__(
        self,
        track: Track,
        sandbox_name: str,
        place: Path,
        python: str = sys.executable,
        cache: Path | None = None,
    ) -> None:
        self.track, self.sandbox, self.place = track, sandbox_name, place
        self.python, self.cache = python, cache
        self.exported: dict[str, Exported] = {}
        self.exporting, self.computing = threading.Lock(), threading.Lock()
        self.interpreter: Interpreter | None = None
        self.started = 0

    def find_graph(
        self,
        tree: str,
        code: Path,
        references: Mapping[str, Path],
        stop: Callable[[], bool] = lambda: False,
    ) -> ModelGraph:
        """The graph of ``tree``, whose code lies in ``code``; it may cost so much more than its ``references``.

        ``references``: code by tree, of the arms that bound the cost; one without a graph bounds nothing.

        Raises:
            BadGraph: the code has none that may be computed.
        """
        with self.exporting:
            own = self._export_once(tree, code, stop)
            others = [self._export_once(name, folder, stop) for name, folder in references.items()]
        if own.graph is None:
            raise BadGraph(own.trouble)
        judge_costs(own.graph.costs, tuple(each.graph.costs for each in others if each.graph))
        return own.graph

    @contextmanager
    def compute(self, stop: Callable[[], bool] = lambda: False) -> Iterator[Interpreter]:
        """The process that computes, to oneself; it is not used again after a fault."""
        with self.computing:
            try:
                yield self._start(stop)
            except BaseException:
                self._end()
                raise

    def __enter__(self) -> Graphs:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def _start(self, stop: Callable[[], bool]) -> Interpreter:
        if self.interpreter is None:
            self.started += 1
            job = base_job(self.track, self.place, self.sandbox)
            place = self.place / f"interpreter{self.started}"
            self.interpreter = Interpreter(place, job, wrapper=self.sandbox, python=self.python, stop=stop)
            self.interpreter.await_ready()
        self.interpreter.stop = stop
        return self.interpreter

    def _end(self) -> None:
        if self.interpreter is not None:
            self.interpreter.kill()
            self.interpreter = None

    def _export_once(self, tree: str, code: Path, stop: Callable[[], bool]) -> Exported:
        if tree not in self.exported:
            try:
                self.exported[tree] = Exported(self._export(tree, code, stop))
            except BadGraph as bad:
                self.exported[tree] = Exported(None, str(bad))
        return self.exported[tree]

    def _export(self, tree: str, code: Path, stop: Callable[[], bool]) -> ModelGraph:
        """The graph on which two exports agree, now or in an earlier study; it is checked each time."""
        kept = self._cached(tree)
        with suppress(BadGraph, BadModel, NoModel):
            if kept:
                return self._check(read_capped(kept, MOST_BYTES))
        text = self._export_twice(tree, code, stop)
        graph = self._check(text)
        if kept:
            kept.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=kept.parent, delete=False) as file:
                file.write(text)
            Path(file.name).replace(kept)
        return graph

    def _cached(self, tree: str) -> Path | None:
        """Where the export of a tree is kept; another track, torch, sandbox or patchrun makes another one."""
        if self.cache is None:
            return None
        versions = (patchrun.__version__, version("torch"), sys.version, self.python, self.sandbox)
        key = hashlib.sha256("\n".join((tree, self.track.digest, *versions)).encode()).hexdigest()
        return self.cache / f"{key}.json"

    def _export_twice(self, tree: str, code: Path, stop: Callable[[], bool]) -> bytes:
        """The file on which two exports agree."""
        with ThreadPoolExecutor(len(SEEDS)) as pool:
            places = [self.place / f"export-{tree}-{seed}" for seed in SEEDS]
            calls = [
                pool.submit(self._run_exporter, *one, code, stop) for one in zip(places, SEEDS, strict=True)
            ]
            texts = [call.result() for call in calls]
        documents = [read_document(text) for text in texts]
        for document in documents:
            if document.error:
                raise BadGraph(printable(document.error, 1000))
        if texts[0] != texts[1]:
            raise BadGraph(
                "two exports of the model differ: what build_model() and forward() compute must not depend on random "
                "numbers or on the order of sets, but for the values of parameters"
            )
        return texts[0]

    def _check(self, text: bytes) -> ModelGraph:
        evidence = self.track.evidence
        assert evidence.context and evidence.vocab_size
        shape = evidence.batch, evidence.context, evidence.vocab_size
        return check_graph(read_document(text), *shape, self.track.limits.constants_kb)

    def _run_exporter(self, place: Path, seed: int, code: Path, stop: Callable[[], bool]) -> bytes:
        """What one export wrote."""
        shutil.rmtree(place, ignore_errors=True)
        for name in ("out", "home"):
            (place / name).mkdir(parents=True)
        shutil.copytree(code, place / "code", symlinks=True)
        job = self._job(place, seed)
        (place / "job.json").write_text(json.dumps(job, indent=1))
        argv = [self.python, "-s", "-P", "-B", str(EXPORTER), str(place / "job.json")]
        environment = sandbox.listed_environment(
            place / "home", job["threads"], {"PYTHONHASHSEED": str(seed)}
        )
        room = sandbox.Room(
            place=place, python=self.python, memory_bytes=job["memory_bytes"], tasks=job["tasks"]
        )
        ended = run_confined(
            argv, self.sandbox, room, environment, wall_seconds=EXPORT_SECONDS, keep_bytes=1 << 16, stop=stop
        )
        return self._read(place, ended)

    def _job(self, place: Path, seed: int) -> dict[str, Any]:
        evidence = self.track.evidence
        return base_job(self.track, place / "code", self.sandbox) | {
            "seed": seed,
            "batch": evidence.batch,
            "context": evidence.context,
            "graph": str(place / "out" / GRAPH),
        }

    def _read(self, place: Path, ended: Ended) -> bytes:
        """The file that an exporter left; BadGraph where there is none to be read."""
        if ended.stopped:
            raise Stopped
        if ended.interrupted:
            raise KeyboardInterrupt
        if ended.status is None:
            raise BadGraph(f"the export of the model took more than {EXPORT_SECONDS:g} s")
        try:
            return read_capped(place / "out" / GRAPH, MOST_BYTES)
        except BadModel as bad:
            raise BadGraph(f"the exported graph: {bad}") from None
        except NoModel:
            words = (
                printable((ended.head + ended.tail).decode("utf-8", "replace")[-300:], 300)
                or "it printed nothing"
            )
            raise BadGraph(f"the export of the model ended with status {ended.status}: {words}") from None
