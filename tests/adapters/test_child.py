from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from patchrun.adapters.child import Child, Stopped


def start(folder: Path, text: str, stop=lambda: False) -> Child:
    return Child([sys.executable, "-u", "-c", text], {"PATH": "/usr/bin:/bin"}, folder, stop)


def collect(child: Child, seconds: float = 20, also: int | None = None) -> dict[int, bytes]:
    said: dict[int, bytes] = {}
    for source, data in child.watch(time.monotonic() + seconds, also):
        said[source] = said.get(source, b"") + data
    return said


def test_output_errors_and_status(tmp_path: Path):
    with start(tmp_path, "import sys; print('out'); print('err', file=sys.stderr); sys.exit(5)") as child:
        assert collect(child) == {child.output: b"out\nerr\n"}
        assert child.status == 5


def test_a_megabyte_right_before_the_end_is_not_lost(tmp_path: Path):
    with start(tmp_path, "import os\nfor _ in range(16): os.write(1, b'x' * 65536)") as child:
        assert len(collect(child)[child.output]) == 1 << 20


def test_pieces_come_when_they_are_printed(tmp_path: Path):
    text = "import time\nprint('one'); time.sleep(0.5); print('two')"
    with start(tmp_path, text) as child:
        stamps = [time.monotonic() for _ in child.watch(time.monotonic() + 20)]
    assert 0.4 < stamps[-1] - stamps[0] < 2


def test_cpu_seconds_include_waited_children_and_no_sleep(tmp_path: Path):
    burn = "import time\nend = time.process_time() + 0.3\nwhile time.process_time() < end: pass\n"
    text = f"import subprocess, sys, time\nsubprocess.run([sys.executable, '-c', {burn!r}])\n{burn}time.sleep(0.5)"
    with start(tmp_path, text) as child:
        collect(child)
        assert child.cpu_seconds is not None
        assert 0.6 < child.cpu_seconds < 1.2


def test_at_the_deadline_it_lets_go_and_the_block_kills(tmp_path: Path):
    with start(tmp_path, "import time\nprint('up')\ntime.sleep(60)") as child:
        assert collect(child, 1) == {child.output: b"up\n"}
        assert child.status is None
    with pytest.raises(ProcessLookupError):
        os.kill(child.pid, 0)


def test_ignored_signals_and_grandchildren_do_not_help(tmp_path: Path):
    text = (
        "import os, signal, subprocess, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print(subprocess.Popen(['sleep', '60']).pid)\n"
    )
    with start(tmp_path, text) as child:
        grandchild = int(collect(child)[child.output])
        assert child.status == 0
    for _ in range(50):
        state = Path(f"/proc/{grandchild}/stat")
        if not state.exists() or state.read_text().rpartition(")")[2].split()[0] == "Z":
            return
        time.sleep(0.05)
    raise AssertionError("the grandchild lives on")


def test_a_wish_to_stop_is_heard_in_silence(tmp_path: Path):
    began = time.monotonic()
    text = "import time\ntime.sleep(60)"
    with pytest.raises(Stopped), start(tmp_path, text, lambda: time.monotonic() > began + 0.5) as child:
        collect(child)
    assert time.monotonic() - began < 5
    with pytest.raises(ProcessLookupError):
        os.kill(child.pid, 0)


def test_a_second_source_is_read_beside_the_output(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    pipe = os.open(tmp_path / "pipe", os.O_RDWR | os.O_NONBLOCK)
    with start(tmp_path, "import time\nprint('a')\nopen('pipe', 'w').write('b')\ntime.sleep(0.2)") as child:
        assert collect(child, also=pipe) == {child.output: b"a\n", pipe: b"b"}
    os.close(pipe)


def test_a_child_that_closes_its_output_is_still_followed(tmp_path: Path):
    text = "import os, time\nos.close(1); os.close(2)\ntime.sleep(0.5)\nos._exit(4)"
    used = time.process_time()
    with start(tmp_path, text) as child:
        assert collect(child) == {}
        assert child.status == 4
    assert time.process_time() - used < 0.2, "no busy waiting"


def test_no_descriptors_are_left_behind(tmp_path: Path):
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        with start(tmp_path, "print(1)") as child:
            collect(child)
        child.kill()
    assert len(list(Path("/proc/self/fd").iterdir())) == before
