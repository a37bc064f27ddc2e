"""What a process in the sandbox is, sees, reaches and leaves behind: each claim tried from inside."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from boxes import TASKS, all_gone, make_room, needs_bwrap, run_inside, start

from patchrun.adapters import bwrap, cgroups, cputime, process, sandbox
from patchrun.core.errors import SetupError

pytestmark = needs_bwrap
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root starts runs under another uid")
TRY = """
import json
def attempt(do, *words):
    try:
        return repr(do(*words))
    except OSError as error:
        return type(error).__name__
"""


def ask(folder: Path, text: str, **changes: object) -> object:
    """What the JSON that ``text`` prints says."""
    status, said = run_inside(folder, TRY + text, **changes)
    assert status == 0, said
    return json.loads(said)


class TestWho:
    def test_it_is_not_root_and_has_no_rights(self, tmp_path: Path):
        text = """
import os
facts = dict(line.split(":", 1) for line in open("/proc/self/status").read().splitlines())
print(json.dumps([os.getuid(), os.geteuid(), os.getpid(), os.getppid(), set(os.getgroups()) <= {1000, 65534},
                  os.uname().nodename,
                  {facts[name].strip() for name in ("CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16},
                  facts["NoNewPrivs"].strip()]))
"""
        assert ask(tmp_path, text) == [1000, 1000, 1, 0, True, "sandbox", True, "1"]

    @needs_root
    def test_outside_it_is_the_unprivileged_uid(self, tmp_path: Path):
        child, wrapped = start(make_room(tmp_path), "import time\nprint('up', flush=True)\ntime.sleep(60)")
        try:
            assert child.stdout.readline() == b"up\n"
            innermost = list(cputime.tree(child.pid))[-1]
            said = Path(f"/proc/{innermost}/status").read_text()
            assert f"Uid:\t{bwrap.UID}\t{bwrap.UID}\t{bwrap.UID}\t{bwrap.UID}" in said
        finally:
            process.end_group(child)
            wrapped.release()

    def test_the_kernels_settings_are_not_writable(self, tmp_path: Path):
        before = Path("/proc/sys/kernel/core_pattern").read_text()
        text = """
names = ["kernel/core_pattern", "kernel/hostname", "kernel/domainname", "vm/drop_caches", "../sysrq-trigger"]
paths = ["/proc/sys/" + name for name in names]
print(json.dumps([attempt(lambda path: open(path, "w").write("|/bin/false"), path) for path in paths]))
"""
        assert set(ask(tmp_path, text)) <= {"PermissionError", "OSError", "FileNotFoundError"}
        assert Path("/proc/sys/kernel/core_pattern").read_text() == before

    def test_no_further_namespaces_mounts_or_tracing(self, tmp_path: Path):
        text = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
def call(name, *words):
    return "done" if getattr(libc, name)(*words) == 0 else os.strerror(ctypes.get_errno())
print(json.dumps([call("unshare", 0x10000000), call("mount", b"x", b"/tmp", b"tmpfs", 0, None),
                  call("ptrace", 0, 0, 0, 0), call("setns", 0, 0), call("sethostname", b"x", 1)]))
"""
        assert ask(tmp_path, text) == ["Operation not permitted"] * 5

    @pytest.mark.skipif(os.uname().machine != "x86_64", reason="a system call by its number")
    def test_no_user_namespace_by_a_call_that_the_filter_lets_pass(self, tmp_path: Path):
        text = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
new_user, end_signal = 0x10000000, 17
made = libc.syscall(56, new_user | end_signal, 0, 0, 0, 0)
if made == 0:
    os._exit(0)
print(json.dumps([made, os.strerror(ctypes.get_errno())]))
"""
        assert ask(tmp_path, text) == [-1, "No space left on device"]  # the limit of namespaces is 0


class TestNetwork:
    def test_out_to_the_hosts_loopback_and_by_name(self, tmp_path: Path):
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            socket.create_connection(("127.0.0.1", port)).close()  # outside it answers
            text = f"""
import socket
reach = lambda *place: socket.create_connection(place, timeout=3)
print(json.dumps([attempt(reach, "127.0.0.1", {port}), attempt(reach, "192.0.2.1", 80), attempt(reach, "1.1.1.1", 53),
                  attempt(reach, "2001:db8::1", 80), attempt(socket.getaddrinfo, "example.org", 80)]))
"""
            assert ask(tmp_path, text) == [
                "ConnectionRefusedError",
                "OSError",
                "OSError",
                "OSError",
                "gaierror",
            ]

    def test_sockets_of_the_host_by_path_and_by_abstract_name(self, tmp_path: Path):
        name = f"\0patchrun-test-{os.getpid()}"
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(name)
            server.listen()
            text = (
                f"import socket\nprint(json.dumps(attempt(socket.socket(socket.AF_UNIX).connect, {name!r})))"
            )
            assert ask(tmp_path, text) == "ConnectionRefusedError"

    def test_its_own_loopback_and_names_work(self, tmp_path: Path):
        text = """
import socket
names = ["localhost", "sandbox", socket.gethostname()]
with socket.create_server(("127.0.0.1", 0)) as server:
    socket.create_connection(server.getsockname(), timeout=3).close()
print(json.dumps([socket.gethostbyname(name) for name in names]))
"""
        assert ask(tmp_path, text) == ["127.0.0.1"] * 3


class TestFiles:
    def test_only_its_own_and_the_systems_are_there(self, tmp_path: Path):
        (tmp_path / "secret.txt").write_text("secret")
        data = tmp_path / "data"
        data.mkdir()
        (data / "train.bin").write_text("tokens")
        text = f"""
import os
print(json.dumps([sorted(os.listdir("/")), sorted(os.listdir("/tmp")), sorted(os.listdir({str(tmp_path)!r})),
                  open({str(data / "train.bin")!r}).read(), open("code/own.txt").read(),
                  attempt(open, {str(tmp_path / "secret.txt")!r}), os.path.exists({__file__!r}),
                  [name for name in os.listdir("/proc") if name.isdigit()], sorted(os.listdir("/proc/self/fd"))]))
"""
        top, scratch, beside, tokens, own, secret, test, processes, files = ask(
            tmp_path, text, readable=(data,)
        )
        assert not {"home", "mnt", "media", "srv", "var", "boot", "run"} & set(top) - {tmp_path.parts[1]}
        shown = [tmp_path, Path(sys.prefix), Path(sys.base_prefix), Path(bwrap.__file__)]
        assert set(scratch) <= {path.parts[2] for path in shown if path.parts[1] == "tmp"}
        assert (beside, tokens, own) == (["data", "place"], "tokens", "its own\n")
        assert (secret, test) == ("FileNotFoundError", False)
        assert processes == ["1"]
        assert files == ["0", "1", "2", "3"]  # the last one is the listing itself

    def test_of_the_owners_home_only_the_way_to_the_interpreter(self, tmp_path: Path):
        home = Path.home()
        shown = {
            path.relative_to(home).parts[0]
            for path in bwrap.interpreter_folders(sys.executable)
            if path.is_relative_to(home)
        }
        with tempfile.NamedTemporaryFile(dir=home, prefix=".patchrun-test-") as secret:
            text = f"""
import os
seen = os.listdir({str(home)!r}) if os.path.exists({str(home)!r}) else []
print(json.dumps([seen, attempt(open, {secret.name!r})]))
"""
            seen, opened = ask(tmp_path, text)
        assert set(seen) <= shown
        assert opened == "FileNotFoundError"

    def test_only_out_keeps_what_is_written(self, tmp_path: Path):
        data = tmp_path / "data"
        data.mkdir()
        (data / "train.bin").touch()
        text = f"""
import sys
places = [".", "code", {str(data)!r}, "/", "/usr", "/etc", "/dev", "/dev/shm", "/tmp", "home", "out", "/sys",
          sys.prefix, sys.base_prefix]
names = [place + "/written" for place in places] + ["code/own.txt", {str(data / "train.bin")!r}, "/etc/hosts"]
print(json.dumps([name for name in names if not attempt(open, name, "a").endswith("Error")]))
"""
        written = ask(tmp_path, text, readable=(data,))
        assert written == ["/dev/shm/written", "/tmp/written", "home/written", "out/written"]
        place = tmp_path / "place"
        assert [path.name for path in place.rglob("written")] == ["written"]
        assert (place / "out" / "written").is_file()

    def test_memory_that_looks_like_a_disk_is_bounded(self, tmp_path: Path):
        text = """
import os
def fill(folder):
    with open(folder + "/big", "wb") as file:
        for _ in range(64):
            file.write(bytes(1 << 20))
print(json.dumps([attempt(fill, folder) for folder in ("/tmp", "/dev/shm", "home")]))
"""
        assert ask(tmp_path, text, memory_bytes=128 << 20) == ["OSError"] * 3

    def test_the_environment_is_the_listed_one(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setenv("ANTHROPIC_API_KEY", "secret")
        seen = ask(tmp_path, "import os\nprint(json.dumps(sorted(os.environ)))")
        own = {"PWD", "LC_CTYPE"}  # bubblewrap and python set these
        assert set(seen) - own == set(sandbox.listed_environment(tmp_path, 1, {}))


class TestEnd:
    def stubborn(self, then: str) -> str:
        """Children in sessions of their own that ignore SIGTERM and SIGHUP, then ``then``."""
        return f"""
import os, signal, time
for _ in range(3):
    if os.fork() == 0:
        os.setsid()
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        if os.fork() == 0:
            os.setsid()
        time.sleep(60)
time.sleep(0.2)
print("up", flush=True)
{then}
"""

    @pytest.mark.parametrize("ending", ["input()", "time.sleep(60)"])
    def test_no_process_outlives_it(self, tmp_path: Path, ending: str):
        text = self.stubborn("time.sleep(1)" if ending == "input()" else ending)
        child, wrapped = start(make_room(tmp_path), text)
        assert child.stdout.readline() == b"up\n"
        pids = list(cputime.tree(child.pid))
        assert len(pids) >= 8
        if ending == "input()":
            child.wait(20)
            wrapped.release()
            assert all_gone(pids[1:])
        process.end_group(child)
        wrapped.release()
        assert all_gone(pids)

    def test_it_ends_when_patchrun_is_killed(self, tmp_path: Path):
        text = f"""
import sys, time
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
from boxes import make_room, start
from patchrun.adapters import cputime
child, _ = start(make_room(Path({str(tmp_path)!r})), {self.stubborn("time.sleep(60)")!r})
child.stdout.readline()
print(*cputime.tree(child.pid), flush=True)
time.sleep(60)
"""
        with subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE) as parent:
            assert parent.stdout
            pids = [int(word) for word in parent.stdout.readline().split()]
            assert len(pids) >= 8
            parent.kill()
        assert all_gone(pids)

    def test_a_signals_number_comes_through(self, tmp_path: Path):
        status, _ = run_inside(tmp_path, "import ctypes\nctypes.string_at(0)")
        assert status == -11
        assert run_inside(tmp_path / "plain", "raise SystemExit(3)")[0] == 3


class TestLimits:
    def test_a_fork_bomb_stays_small_and_dies(self, tmp_path: Path):
        text = """
import os, time
made = 0
try:
    while True:
        if os.fork() == 0:
            time.sleep(60)
        made += 1
except OSError as error:
    print(made, type(error).__name__, flush=True)
"""
        if not (group := cgroups.make(1 << 30, 100)):
            pytest.skip("no control group can be made here: the launcher's RLIMIT_NPROC stands alone")
        group.end()
        status, said = run_inside(tmp_path, text)
        assert status == 0
        made, error = said.split()
        assert TASKS // 2 < int(made) <= TASKS + sandbox.WRAPPER_TASKS
        assert error == "BlockingIOError"

    def test_the_launchers_own_limit_counts_this_run_only(self, tmp_path: Path):
        text = """
import os, resource, time
resource.setrlimit(resource.RLIMIT_NPROC, (12, 12))
made = 0
try:
    while made < 100:
        if os.fork() == 0:
            time.sleep(60)
        made += 1
except BlockingIOError:
    print(made)
"""
        assert run_inside(tmp_path, text)[1] == "11\n"

    def test_processes_share_one_bound_on_memory(self, tmp_path: Path):
        text = """
import os, time
for _ in range(4):
    if os.fork() == 0:
        held = b"x" * (60 << 20)
        time.sleep(60)
        os._exit(0)
print(os.waitstatus_to_exitcode(os.wait()[1]))
"""
        if not (group := cgroups.make(1 << 30, 100)):
            pytest.skip("no control group can be made here: memory is bound per process, by the launcher")
        group.end()
        status, said = run_inside(tmp_path, text, memory_bytes=128 << 20)
        assert said.strip() == "-9" or status == -9

    def test_groups_are_removed(self, tmp_path: Path):
        if not (group := cgroups.make(1 << 30, 100)):
            pytest.skip("no control group can be made here")
        assert all(folder.is_dir() for folder in group.folders)
        group.end()
        group.end()
        assert not any(folder.exists() for folder in group.folders)


class TestRefusals:
    @needs_root
    def test_data_that_the_uid_cannot_read(self, tmp_path: Path):
        (tmp_path / "data").mkdir(mode=0o700)
        with pytest.raises(SetupError, match=f"uid {bwrap.UID}, cannot read .*data") as caught:
            run_inside(tmp_path, "pass", readable=(tmp_path / "data",))
        assert "chmod" in caught.value.hint
        (tmp_path / "data").chmod(0o755)
        (tmp_path / "data" / "train.bin").touch(mode=0o600)
        with pytest.raises(SetupError, match=r"cannot read .*train\.bin"):
            run_inside(tmp_path / "file", "pass", readable=(tmp_path / "data",))

    @needs_root
    def test_the_first_closed_folder_on_the_way(self, tmp_path: Path):
        (tmp_path / "open" / "closed" / "open").mkdir(parents=True)
        (tmp_path / "open" / "closed").chmod(0o700)
        for folder in (tmp_path, *tmp_path.parents):
            if bwrap.closed_folder(folder / "x") is None:
                break
        first = bwrap.closed_folder(tmp_path / "open" / "closed" / "open")
        assert first in (tmp_path / "open" / "closed", *tmp_path.parents, tmp_path)
        assert bwrap.closed_folder(Path("/usr/bin")) is None

    def test_an_environment_that_holds_more_than_an_interpreter(self, tmp_path: Path):
        venv = tmp_path / "venv"
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
        python = str(venv / "bin" / "python")
        assert run_inside(tmp_path, "pass", python=python)[0] == 0
        with pytest.raises(SetupError, match="a run would see it") as caught:
            run_inside(venv / "arena", "pass", python=python)
        assert "virtual environment" in caught.value.hint

    def test_a_python_that_does_not_run(self, tmp_path: Path):
        (tmp_path / "python").write_text("#!/bin/sh\necho broken >&2\nexit 3\n")
        (tmp_path / "python").chmod(0o755)
        with pytest.raises(SetupError, match="does not run: broken"):
            run_inside(tmp_path, "pass", python=str(tmp_path / "python"))

    def test_without_bubblewrap_it_refuses_and_says_what_to_do(self, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setenv("PATH", "/nowhere")
        bwrap.trouble.cache_clear()
        try:
            with pytest.raises(SetupError, match="there is no bwrap") as caught:
                sandbox.resolve("default")
            assert "--sandbox seccomp" in caught.value.hint
            assert sandbox.resolve("seccomp") == "seccomp"
        finally:
            bwrap.trouble.cache_clear()


def test_the_nodes_of_gpus_are_listed(tmp_path: Path):
    for name in ("nvidia0", "nvidia11", "nvidiactl", "nvidia-uvm", "nvidia-caps", "nvidia-other", "null"):
        (tmp_path / name).touch()
    found = [path.name for path in bwrap.gpu_nodes(tmp_path)]
    assert found == ["nvidia0", "nvidia11", "nvidiactl", "nvidia-uvm", "nvidia-caps"]
