"""A command in the sandbox: what it makes is measured, what it asks is answered, what it must not see is not there."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from patchrun.adapters.store import Arena
from patchrun.core.errors import SetupError, UsageError
from patchrun.core.selection import Span
from patchrun.services.agents.command import CommandAgent, make_command_agent
from patchrun.services.agents.protocol import Budget, Feedback, Proposal
from patchrun.services.agents.secrets import find_secrets, spell_out
from patchrun.services.agents.tools import Bench
from patchrun.services.agents.workspace import open_workspace, read_diff
from patchrun.services.study import prepare_data
from tests.boxes import all_gone, needs_bwrap

ONE = Span(1, 1)
KEY = "sk-test-3141592653589793"
EDIT = "sed -i 's/LEARNING_RATE = 5e-4/LEARNING_RATE = 2e-3/' train_gpt.py"
pytestmark = needs_bwrap


def propose(arena: Arena, command: str, wall: float = 60, **facts) -> tuple[Proposal, bytes]:
    """What a command makes of record 1's workspace: its proposal and the diff."""
    data = prepare_data(arena) if arena.track.name == "tiny" else None
    agent = CommandAgent(command, data=data.train_dir if data else None, **facts)
    budget = Budget(wall_seconds=wall)
    with open_workspace(arena, ONE, (), budget, Feedback()) as workspace:
        bench = Bench(arena, workspace, data=data, wall_seconds=wall)
        proposal = agent.propose(workspace, budget, Feedback(), bench.tools())
        bench.close()
        diff, _ = read_diff(arena, ONE, workspace.folder, ())
    return proposal, diff


def output_of(proposal: Proposal) -> str:
    return next(turn["text"] for turn in proposal.transcript if turn["role"] == "output")


def test_edits_are_the_patch(plain: Arena) -> None:
    proposal, diff = propose(plain, "sed -i 's/RATE = 1/RATE = 3/' train.py; echo done; git status --short")
    assert (proposal.outcome, proposal.usage, proposal.usd) == ("proposed", None, None)
    assert b"-RATE = 1\n+RATE = 3\n" in diff
    assert output_of(proposal) == "done\n M train.py\n"
    assert [turn["role"] for turn in proposal.transcript] == ["command", "output", "end"]


def test_validate_and_try_from_inside(tiny: Arena) -> None:
    command = f"patchrun validate; {EDIT}; patchrun validate; patchrun try 20; patchrun dance; patchrun try 0"
    proposal, diff = propose(tiny, command)
    said = output_of(proposal)
    assert "nothing differs from the baseline yet" in said
    assert "accepted: 1 files, 1 lines added, 1 removed" in said
    assert "ok: 20 steps on seed 1\nstep:10/600" in said and "step:20/600" in said and "step:30" not in said
    assert "patchrun try K" in said and "try 1 to 10000 steps, not 0" in said
    asked = [turn["question"] for turn in proposal.transcript if turn["role"] == "tool"]
    assert asked == ["validate", "validate", "try 20", "try 0"]
    assert b"+LEARNING_RATE = 2e-3" in diff and b".patchrun" not in diff


def test_the_script_runs_by_hand(tiny: Arena) -> None:
    proposal, diff = propose(tiny, "PATCHRUN_STEPS=10 python train_gpt.py; ls $PATCHRUN_OUT $PATCHRUN_DATA")
    said = output_of(proposal)
    assert "step:10/600 train_loss:" in said and "model.safetensors" in said and "train.bin" in said
    assert "val" not in said.split("model.safetensors")[1] and diff == b""


def test_what_fails_there_is_said_there(tiny: Arena) -> None:
    broken = (
        "sed -i '1i 1 / 0' train_gpt.py; echo 'x = (' >> sitecustomize.py; patchrun try 5; patchrun validate"
    )
    said = output_of(propose(tiny, broken)[0])
    assert "failed: " in said and "ZeroDivisionError" in said
    assert "REJECTED" in said and "error PR2" in said


def test_it_sees_no_arena_no_solution_no_key(
    tiny: Arena, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_API_KEY", KEY)
    monkeypatch.setenv("OTHER_VALUE", "also-not-passed-on")
    keys = Path(os.environ["XDG_DATA_HOME"])
    wanted = (tiny.repo.path, tmp_path, keys, Path.home(), Path(__file__).parents[3] / "baselines")
    looks = "; ".join(f"ls -A {path}" for path in wanted)
    proposal, _ = propose(
        tiny, f"{looks}; env; cat /proc/*/environ; find / -name '*.patch' 2>&1; git log --all"
    )
    said = output_of(proposal)
    assert KEY not in said and "also-not-passed-on" not in said
    assert str(tiny.repo.path) not in said.replace(f"ls: cannot access '{tiny.repo.path}'", "")
    assert "0001-Raise" not in said and "records.toml" not in said and "val.bin" not in said
    assert said.count("baseline\n") == 1, "one commit"
    assert not [
        line for line in said.splitlines() if line.startswith("/") and "patchrun" in line and "human" in line
    ]


def test_no_network_unless_asked_for(plain: Arena) -> None:
    code = "import socket; print(len(socket.if_nameindex()))"
    alone, _ = propose(plain, f'python -c "{code}"')
    assert output_of(alone) == "1\n"
    shared, _ = propose(plain, f'python -c "{code}"; grep hosts /etc/nsswitch.conf', network=True)
    assert output_of(shared) == f"{len(list(Path('/sys/class/net').iterdir()))}\nhosts: files dns\n"
    assert shared.transcript[0]["network"] is True


def test_a_command_that_hangs_is_ended_with_all_it_started(plain: Arena) -> None:
    began = time.monotonic()
    proposal, diff = propose(
        plain, "sed -i 's/RATE = 1/RATE = 3/' train.py; (setsid sleep 987 &) ; sleep 988", wall=1.5
    )
    assert proposal.outcome == "budget-spent" and "still running after 2 s" in proposal.reason
    assert time.monotonic() - began < 8
    assert b"+RATE = 3" in diff, "what exists is kept"
    sleepers = [
        int(path.parent.name) for path in Path("/proc").glob("[0-9]*/cmdline")
        if b"sleep\x00987" in path.read_bytes() or b"sleep\x00988" in path.read_bytes()
    ]  # fmt: skip
    assert all_gone(sleepers)


def test_a_flood_is_cut_and_does_no_harm(plain: Arena) -> None:
    proposal, _ = propose(plain, f"echo first; yes {'x' * 100} | head -c 30000000; echo last")
    said = output_of(proposal)
    assert proposal.outcome == "proposed" and len(said) < 1.1e6
    assert said.startswith("first\n") and said.endswith("last\n") and "bytes left out here" in said
    assert proposal.transcript[-2]["left_out_bytes"] > 28_000_000


def test_files_without_end(plain: Arena) -> None:
    proposal, diff = propose(plain, "head -c 100000000 /dev/zero > big; ls -l big | cut -d' ' -f5")
    assert proposal.outcome == "proposed" and output_of(proposal).split()[-1] == str(64 << 20)
    assert diff == b"", "a workspace of that size is no patch"
    many = "import pathlib\nfor k in range(60000): pathlib.Path(f'f{k}').touch()\nimport time; time.sleep(9)"
    proposal, _ = propose(plain, f"python -c '{many.replace(chr(39), chr(34))}'", wall=30)
    reason = "it wrote more than 1024 MiB, 50000 files or 64 folders inside each other"
    assert (proposal.outcome, proposal.reason) == ("failed", reason)


def test_exit_status_and_signals(plain: Arena) -> None:
    assert propose(plain, "exit 3")[0].reason == "the command ended with exit status 3"
    missing, _ = propose(plain, "no-such-program-at-all")
    assert missing.outcome == "failed" and "not found" in output_of(missing)


def test_a_desk_that_is_abused(plain: Arena) -> None:
    code = (
        "import socket, os; os.chdir('.patchrun'); s = socket.socket(socket.AF_UNIX); s.connect('desk'); "
        "s.sendall(b'\\\\xff' * 100000); print(s.recv(100)); s.close()"
    )
    proposal, _ = propose(
        plain, f'python -c "{code}" 2>&1 | tail -1; rm -r .patchrun; mkdir .patchrun; echo on'
    )
    assert proposal.outcome == "proposed" and output_of(proposal).endswith("on\n")


def test_a_passed_key_is_not_in_the_transcript(plain: Arena) -> None:
    environment = {"MY_KEY": KEY}
    secrets = find_secrets(environment, ["MY_KEY"])
    agent = make_command_agent(
        "echo $MY_KEY; echo $MY_KEY | base64; yes $MY_KEY | head -c 3000000; echo", environment, ["MY_KEY"], (), (),
        secrets=secrets,
    )  # fmt: skip
    with open_workspace(plain, ONE, (), Budget(), Feedback()) as workspace:
        bench = Bench(plain, workspace)
        proposal = agent.propose(workspace, Budget(), Feedback(), bench.tools())
    said = output_of(proposal)
    assert said.startswith("[key removed]\n[key removed]"), said[:200]
    for size in range(6, len(KEY)):
        assert KEY[-size:] not in said and KEY[:size] not in said, "not even a part of it, where it was cut"


def test_spellings_of_a_secret() -> None:
    import base64
    import urllib.parse

    secret = 'p"ss/wörd+value'
    spelled = spell_out(secret)
    assert (
        secret in spelled
        and secret.encode().hex() in spelled
        and urllib.parse.quote(secret, safe="") in spelled
    )
    for before in ("", "a", "ab", "user:", "Bearer  "):
        text = base64.b64encode(f"{before}{secret} and more".encode()).decode()
        assert any(one in text for one in spelled), before
    assert find_secrets({"SHORT_KEY": "abc", "PATH": "/usr/bin:/bin"}) == ()
    assert "hunter2-hunter2" in find_secrets({"DB_PASSWORD": "hunter2-hunter2"})


def test_wrong_words(plain: Arena, tmp_path: Path) -> None:
    private = (plain.repo.path,)
    with pytest.raises(UsageError, match="which command"):
        make_command_agent("  ", {}, (), (), private)
    with pytest.raises(SetupError, match="--pass-env NOT_SET: it is not set"):
        make_command_agent("true", {}, ["NOT_SET"], (), private)
    with pytest.raises(UsageError, match="no such folder"):
        make_command_agent("true", {}, (), [tmp_path / "absent"], private)
    for folder in (plain.repo.path.parent, plain.repo.path / "objects"):
        with pytest.raises(UsageError, match="would show"):
            make_command_agent("true", {}, (), [folder], private)
    with pytest.raises(UsageError, match="under seccomp alone"):
        make_command_agent("true", {}, (), (), private, box="seccomp")


def test_a_readable_folder(plain: Arena, tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "tool").write_text("#!/bin/sh\necho from a folder of its own\n")
    (tools / "tool").chmod(0o755)
    agent = make_command_agent(f"{tools}/tool; echo > {tools}/x", {}, (), [tools], (plain.repo.path,))
    with open_workspace(plain, ONE, (), Budget(), Feedback()) as workspace:
        proposal = agent.propose(workspace, Budget(), Feedback(), Bench(plain, workspace).tools())
    assert output_of(proposal).startswith("from a folder of its own\n") and not (tools / "x").exists()
    assert sys.executable
