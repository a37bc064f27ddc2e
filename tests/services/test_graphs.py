"""Exports in the sandbox: honest trees once, hostile ones never, and the process that computes for all."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from tiny import base_script, tiny_track, write_code

from patchrun.adapters import sandbox
from patchrun.adapters.child import Stopped
from patchrun.adapters.interpreter import GraphFault
from patchrun.core.errors import SetupError
from patchrun.core.graph.values import BadGraph
from patchrun.services import graphs as service
from patchrun.services.graphs import Graphs


def best_sandbox() -> str:
    try:
        return sandbox.resolve("default")
    except SetupError:
        return "seccomp"


@pytest.fixture(scope="module")
def graphs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Graphs]:
    folder = tmp_path_factory.mktemp("graphs")
    folder.chmod(0o755)
    with Graphs(tiny_track(), best_sandbox(), folder / "place", cache=folder / "cache") as made:
        yield made


def test_a_tree_is_exported_once_and_bounds_what_others_may_cost(graphs: Graphs, tmp_path: Path):
    base = write_code(tmp_path / "base")
    graph = graphs.find_graph("base", base, {})
    assert graph.constant_bytes < 1024 and 1e7 < graph.costs.flops < 1e9
    assert graphs.find_graph("base", tmp_path / "gone", {}) is graph, "the second time nothing is read"
    wide = write_code(tmp_path / "wide", base_script().replace("WIDTH = 32", "WIDTH = 64"))
    with pytest.raises(BadGraph, match=r"floating-point operations, 1\.5 times the"):
        graphs.find_graph("wide", wide, {"base": base})
    assert graphs.find_graph("wide", wide, {}).costs.flops > graph.costs.flops


def test_an_export_is_kept_for_the_next_study(
    graphs: Graphs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Whoever damages the file that is kept makes a new export necessary, no other verdict."""
    graph = graphs.find_graph("base", write_code(tmp_path / "base"), {})
    assert graphs.cache
    kept = graphs._cached("base")
    assert kept and kept.is_file()
    text = kept.read_bytes()
    again = write_code(tmp_path / "again", f"open('out/graph.json', 'wb').write({text!r})")
    monkeypatch.setattr(service, "EXPORTER", Path("code", "train_gpt.py"))
    for damaged in (text, b"{}", b""):
        kept.write_bytes(damaged)
        with Graphs(tiny_track(), best_sandbox(), tmp_path / f"{len(damaged)}", cache=graphs.cache) as other:
            code = tmp_path / "gone" if damaged == text else again
            assert other.find_graph("base", code, {}).costs == graph.costs
        assert kept.read_bytes() == text


HEAD = "import json, os, sys\nout = 'out/graph.json'\n"
HOSTILE = {
    "a link to a file of the host": ("os.symlink('/etc/passwd', out)", "a link, not a plain file"),
    "a link to nothing": ("os.symlink('/nowhere', out)", "a link, not a plain file"),
    "a pipe": ("os.mkfifo(out)", "not a plain file"),
    "a folder": ("os.mkdir(out)", "not a plain file"),
    "a sparse file": ("open(out, 'wb').truncate(15 << 20)", r"15\.00 MiB, 8 are allowed"),
    "a pickle": ("import pickle; open(out, 'wb').write(pickle.dumps(os.getcwd))", "not of its form"),
    "brackets without end": ("open(out, 'w').write('[' * 4_000_000)", "not of its form"),
    "nothing, and words": ("print('tired')", "ended with status 0: tired"),
    "nothing at all": ("pass", "ended with status 0: it printed nothing"),
    "a crash": ("import ctypes; ctypes.string_at(0)", "ended with status -11"),
    "a graph that reads no tokens": (
        "json.dump({'version': 1, 'output': 0}, open(out, 'w'))", "token ids exactly once"),
    "something else each time": (
        "json.dump({'version': 1, 'output': int(os.environ['PYTHONHASHSEED'])}, open(out, 'w'))",
        "two exports of the model differ"),
    "words that steer a terminal": (
        "json.dump({'version': 1, 'error': chr(27) + '[2J' * 900}, open(out, 'w'))", r"\[2J"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_what_a_strangers_export_may_leave(
    graphs: Graphs, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
):
    """The code of a tree can do in the exporter's process whatever it likes: here it is all that runs."""
    monkeypatch.setattr(service, "EXPORTER", Path("code", "train_gpt.py"))
    text, words = HOSTILE[name]
    tree = name.replace(" ", "-")
    with pytest.raises(BadGraph, match=words) as caught:
        graphs.find_graph(tree, write_code(tmp_path, HEAD + text), {})
    assert "\x1b" not in str(caught.value) and len(str(caught.value)) < 3000
    with pytest.raises(BadGraph, match=words):
        graphs.find_graph(tree, tmp_path / "gone", {})


def test_an_export_that_hangs_or_is_not_wanted_any_more(
    graphs: Graphs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(service, "EXPORTER", Path("code", "train_gpt.py"))
    monkeypatch.setattr(service, "EXPORT_SECONDS", 3.0)
    code = write_code(tmp_path, "import time\nwhile True: time.sleep(9)\n")
    with pytest.raises(BadGraph, match="took more than 3 s"):
        graphs.find_graph("hang", code, {})
    with pytest.raises(Stopped):
        graphs.find_graph("stopped", code, {}, lambda: True)


def test_code_without_a_model_and_what_it_may_not_see(graphs: Graphs, tmp_path: Path):
    text = "import os\nassert not {'PATCHRUN_DATA', 'PATCHRUN_OUT', 'PATCHRUN_STEPS'} & set(os.environ)\n"
    with pytest.raises(BadGraph, match=r"build_model\(\) failed: .*SystemExit: here is none"):
        graphs.find_graph("none", write_code(tmp_path, text + "raise SystemExit('here is none')\n"), {})


def test_the_line_that_stops_an_export_is_named(graphs: Graphs, tmp_path: Path):
    head = "    def forward(self, ids):\n"
    text = base_script().replace(head, head + "        if ids[0, 0] > 3: ids = ids + 1\n")
    with pytest.raises(BadGraph, match=r"train_gpt.py:\d+: if ids\[0, 0\] > 3.*choose with torch.where"):
        graphs.find_graph("branch", write_code(tmp_path, text), {})


def test_a_process_that_died_is_replaced_and_one_that_works_is_kept(graphs: Graphs):
    with graphs.compute() as first:
        first.limit(first.cap)
    with graphs.compute() as second:
        assert second is first
    with pytest.raises(GraphFault, match="ended by signal 9"), graphs.compute() as broken:
        os.kill(broken.process.pid, signal.SIGKILL)
        broken.await_ready()
    with graphs.compute() as third:
        assert third is not first
