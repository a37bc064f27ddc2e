"""show, diff, log and ablate as commands: what they print, in which form, and that hostile content stays text."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import msgspec
import pytest

from patchrun.adapters.store import Arena
from patchrun.core import plan
from patchrun.core.results import CurvePoint
from patchrun.faces import ablation_commands, cli
from patchrun.services import executors, tournament
from tests.builders import make_transcript
from tests.conftest import SCRIPT, change
from tests.faces.conftest import GOOD
from tests.services.test_ablation import NEW, Runner
from tests.services.test_pieces import diff_to
from tests.services.test_recheck import put
from tests.services.test_tournament import fill, made_up_run
from tests.shell import Shell

EVIL = b"\x1b]0;owned\x07\x1b[2J\x9b31m \xc2\x9b over\rwritten \xe2\x80\xae \xff\n"
BAD = ("\x1b", "\x07", "\x9b", "\r", "\u202e")


def is_safe(text: str) -> bool:
    return not any(bad in text for bad in BAD)


@pytest.fixture
def scored(plain: Arena) -> str:
    return tournament.hand_in(plain, GOOD, tournament.Span(1, 1), "ada").attempt.id


@pytest.fixture
def trained(plain: Arena) -> str:
    """A submission of an older patchrun, whose agent, runs, curves and logs mean no good."""
    name = put(plain, GOOD, "eve\x9b2J").id
    [study] = tournament.plan_waiting(plain)
    plain.add_study(study)
    seconds = {"baseline": 10.0, "human": 7.0, "submission": 8.5}
    for block in range(study.blocks):
        for arm, slot in plan.slots(study, block):
            took = seconds[arm.kind] + 0.01 * ((block * 7 + slot.position * 3) % 5)
            points = tuple(CurvePoint(k, 6.0 - k, None, took * k / 3) for k in (1, 2, 3))
            run = made_up_run(plain, study, arm, slot, took, 2.9 + slot.seed * 1e-12, curve=points)
            plain.add_run(msgspec.structs.replace(run, reason="seen \x1b[2J"), EVIL)
    return name


def test_show_has_evidence_and_curves(shell: Shell, trained: str) -> None:
    text = shell("show", trained)
    for words in (
        "verdict",
        "Evidence",
        "  target   mean loss",
        "  gap  ",
        "  saved",
        "  FSR",
        "Loss against time",
    ):
        assert words in text
    assert [line.split()[0] for line in text.splitlines() if "█" in line] == [
        "baseline",
        "human",
        "submission",
    ]
    assert is_safe(text) and "\\x1b[2J" in text and "eve\\x9b2J" in text


def test_status_and_leaderboard_spell_names_too(shell: Shell, trained: str) -> None:
    for words in (
        ["status"],
        ["leaderboard"],
        ["leaderboard", "--format", "csv"],
        ["versus", "eve\x9b2J", "eve\x9b2J"],
    ):
        text = shell(*words)
        assert is_safe(text) and "eve\\x9b2J" in text
    shell("versus", "a\x1b[2J", "b", code=2)
    assert is_safe(shell.err)


def test_whatever_was_stored_is_spelled(
    plain: Arena, shell: Shell, trained: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for words in (["frontier"], ["frontier", "--format", "csv"]):
        text = shell(*words)
        assert is_safe(text) and "eve\\x9b2J" in text
    transcript = make_transcript(id="7a7a7a7a", agent="eve\x9b2J", reason="done \x1b[2J")
    plain.repo.create_refs(plain.stage_transcript(transcript, [{"role": "replay"}], b""))
    assert is_safe(listed := shell("agent", "list")) and "eve\\x9b2J" in listed
    assert is_safe(shown := shell("agent", "show", transcript.id)) and "done \\x1b[2J" in shown
    monkeypatch.setattr(executors, "read_logs", lambda arena, attempt: {"s 0": EVIL})
    assert is_safe(printed := shell("tasks", trained)) and "\\x1b]0;owned" in printed


def test_log_takes_one_slot_and_spells(plain: Arena, shell: Shell, trained: str) -> None:
    run = next(run for run in plain.runs() if run.kind == "human" and run.block == 1)
    text = shell("log", trained, "--slot", run.slot.name)
    assert text.count("==>") == 1 and f"slot {run.slot.name}" in text and "seen \\x1b[2J" in text
    assert is_safe(text) and "\\x1b]0;owned\\x07" in text and "\\xff" in text
    [document] = shell.json("log", trained, "--slot", run.slot.name)
    assert document["slot"] == run.slot.name and document["log"].startswith("\x1b]0;")
    shell("log", trained, "--slot", "b9p9s9", code=2)
    assert "no such run" in shell.err


def test_diff_is_the_one_handed_in_and_applies(shell: Shell, trained: str) -> None:
    assert shell("diff", trained).encode() == GOOD


class Terminal(io.StringIO):
    """A standard output that says it is a terminal."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def draw_diff(arena: Arena, monkeypatch: pytest.MonkeyPatch, name: str, width: int) -> str:
    """What a terminal of this width gets."""
    for variable, value in (("COLUMNS", str(width)), ("TERM", "xterm-256color")):
        monkeypatch.setenv(variable, value)
    monkeypatch.delenv("NO_COLOR", raising=False)
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", screen := Terminal())
        assert cli.run(["-C", str(arena.repo.path), "diff", name]) == 0
    return screen.getvalue()


@pytest.mark.parametrize("width", [80, 150])
def test_diff_on_a_terminal(plain: Arena, monkeypatch: pytest.MonkeyPatch, scored: str, width: int) -> None:
    text = draw_diff(plain, monkeypatch, scored, width)
    assert "\x1b[1;32m+" in text and "\x1b[1;31m-" in text and "train.py (changed)" in text
    assert text.count("load") == (2 if width > 120 else 1), "context stands on both sides where there are two"


def test_a_hostile_diff_on_a_terminal(plain: Arena, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is rejected for its hidden characters, and shown as handed in, spelled, with the findings above."""
    evil = diff_to(SCRIPT.replace("RATE = 1", 'RATE = 1\nWORD = "\x1b[2J\x9b"'))
    attempt = tournament.hand_in(plain, evil, tournament.Span(1, 1), "ada").attempt
    text = draw_diff(plain, monkeypatch, attempt.id, 100)
    assert not attempt.accepted and "PR1" in text.split("diff --git")[0]
    assert "\x1b[2J" not in text and "\x9b" not in text and "\\x1b[2J\\x9b" in text and "\x1b[" in text


def test_diff_of_hostile_bytes_is_spelled_unless_raw(plain: Arena, capfdbinary) -> None:
    evil = change("RATE = 1", 'RATE = "\x1b[2J\r"', 1)
    name = tournament.hand_in(plain, evil, tournament.Span(1, 1), "ada").attempt.id
    where = ["-C", str(plain.repo.path)]
    assert cli.run([*where, "diff", name]) == 0
    sys.stdout.flush()
    assert b"\\x1b[2J\\r" in (said := capfdbinary.readouterr().out) and b"\x1b" not in said
    assert cli.run([*where, "diff", name, "--raw"]) == 0
    sys.stdout.flush()
    assert capfdbinary.readouterr().out == evil


def test_validate_spells_paths_and_lines(plain: Arena, shell: Shell, tmp_path: Path) -> None:
    path = "extra/\u009b31m\u202e.py"
    evil = f"diff --git a/{path} b/{path}\nnew file mode 100644\n--- /dev/null\n+++ b/{path}\n@@ -0,0 +1 @@\n+x = 1\n"
    (tmp_path / "evil.diff").write_text(evil)
    for form in ("text", "github"):
        text = shell("validate", str(tmp_path / "evil.diff"), "--record", "1", "--format", form, code=1)
        assert is_safe(text) and "PR" in text


@pytest.fixture
def rival(plain: Arena) -> str:
    new = SCRIPT.replace("STEPS = 100", "STEPS = 50").replace("load())", "load() + 0)")
    return put(plain, diff_to(new), "bob\x9b").id


def test_diff_against_another(shell: Shell, scored: str, rival: str) -> None:
    text = shell("diff", scored, "--against", rival)
    assert "0 the same, 1 at one place, each its own way, 0 only in A, 1 only in B" in text
    assert "-STEPS = 100\n+STEPS = 60" in text and "+STEPS = 50" in text and is_safe(text)
    found = shell.json("diff", scored, "--against", rival)["against"]
    assert found["differ"][0]["a"][0]["added"] == ["STEPS = 60"]
    assert found["only_b"][0]["removed"] == ["    print(RATE, STEPS, load())"]
    assert shell("diff", scored, "--against", scored).startswith(scored[:12])
    assert len(shell.json("diff", scored, "--against", scored)["against"]["both"]) == 1


def test_diff_against_the_human(plain: Arena, shell: Shell, scored: str) -> None:
    text = shell("diff", scored, "--against", "human")
    assert "human patch 1" in text and "+RATE = 2" in text and "+STEPS = 60" in text


def test_what_cannot_be_compared(plain: Arena, shell: Shell, scored: str, tmp_path: Path) -> None:
    broken = tournament.hand_in(
        plain, change("STEPS = 100", "STEPS = (", 2), tournament.Span(1, 1), "eve"
    ).attempt.id
    second = SCRIPT.replace("RATE = 1", "RATE = 2")
    other = tournament.hand_in(plain, diff_to(second + "\n", second), tournament.Span(2, 2), "eve").attempt.id
    for words, problem in (
        (["diff", scored, "--against", broken], "was rejected"),
        (["diff", broken, "--against", scored], "was rejected"),
        (["diff", scored, "--against", other], "compare patches to the same baseline"),
        (["diff", scored, "--against", "nobody"], "names no submission here"),
        (["diff", scored, "--raw", "--against", "human"], "--raw is the diff alone"),
    ):
        shell(*words, code=2)
        assert problem in shell.err
    assert "STEPS = (" in shell("diff", broken), "a rejected one is shown as handed in"


@pytest.fixture
def patch(plain: Arena) -> str:
    return tournament.hand_in(plain, diff_to(NEW), tournament.Span(1, 1), "ada").attempt.id


def measure_made_up(arena: Arena, monkeypatch: pytest.MonkeyPatch, most: int = 10**6) -> None:
    """Training is what other tests are about: here runs are made up as in the tests of the service."""
    runner = Runner(arena, most)
    monkeypatch.setattr(
        "patchrun.faces.how.measure", lambda arena, studies, *rest: [runner(s) for s in studies]
    )


def test_ablate_says_its_cost_before_and_shows_what_it_found(
    plain: Arena,
    shell: Shell,
    patch: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dry = shell("ablate", patch[:8], "--dry-run")
    assert "3 pieces:" in dry and "40 runs in 5 blocks" in dry and plain.studies() == []
    assert shell.json("ablate", patch, "--dry-run", "--blocks", "2")["runs"] == {
        "first": 16,
        "most": 200,
        "stored": 0,
    }
    measure_made_up(plain, monkeypatch)
    text = shell("ablate", patch, "--blocks", "4")
    assert "32 runs in 4 blocks" in shell.err and "Fewest that keep 95%" in text
    for label in ("pays", "noise", "harms"):
        assert f"{label}: " in text
    document = shell.json("ablate", patch, "--blocks", "4")
    assert sorted(piece["label"] for piece in document["pieces"]) == ["harms", "noise", "pays"]
    assert document["record"] == 1 and document["runs"] == {"planned": 32, "stored": 32}
    shown = shell.json("show", patch)["ablation"]
    assert shown == {key: document[key] for key in shown}
    assert "Fewest that keep 95%" in shell("show", patch)


def test_ablate_goes_on_after_an_interrupt(
    plain: Arena,
    shell: Shell,
    patch: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    measure_made_up(plain, monkeypatch, 5)
    shell("ablate", patch, "--blocks", "2", code=130)
    assert f"`patchrun ablate {patch}` goes on" in shell.err
    assert "not measured" in shell("show", patch)
    measure_made_up(plain, monkeypatch)
    shell("ablate", patch, "--blocks", "2")
    assert "5 of the ablation's are there" in shell.err and len(plain.runs()) == 16


def test_ablate_asks_on_a_terminal_only(
    plain: Arena,
    shell: Shell,
    patch: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    measure_made_up(plain, monkeypatch)
    monkeypatch.setattr(ablation_commands, "is_attended", lambda: True)
    monkeypatch.setattr(sys, "stdin", io.StringIO("n\n"))
    shell("ablate", patch, "--blocks", "2", code=130)
    assert "Start?" in shell.err and plain.studies() == []
    shell("ablate", patch, "--blocks", "2", "--yes")
    assert len(plain.runs()) == 16
    shell("ablate", patch, "--blocks", "2")
    assert "Start?" not in shell.err, "nothing is left to run"


def test_ablate_of_what_cannot_be(plain: Arena, shell: Shell, patch: str) -> None:
    broken = tournament.hand_in(
        plain, change("STEPS = 100", "STEPS = (", 2), tournament.Span(1, 1), "eve"
    ).attempt.id
    for words, problem in (
        ([broken], "was rejected"),
        ([patch, "--budget-runs", "3"], "less than one piece takes"),
        ([patch, "--blocks", "1"], "Invalid value"),
        (["nobody"], "names no submission here"),
    ):
        shell("ablate", *words, code=2)
        assert problem in shell.err
    assert plain.studies() == []


def test_fill_is_not_disturbed_by_an_ablation(plain: Arena, shell: Shell, patch: str) -> None:
    [study] = tournament.plan_waiting(plain)
    fill(plain, study, {"baseline": 10.0, "human": 7.0, "submission": 7.0})
    assert shell.json("show", patch)["ablation"] is None
