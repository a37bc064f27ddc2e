"""The command line as a contract: names, keys and exit codes."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from patchrun.adapters.store import Arena
from patchrun.faces import cli
from patchrun.services import tournament, verify
from tests.conftest import TINY, change
from tests.faces.conftest import GOOD
from tests.services.test_tournament import fill
from tests.shell import Shell

BROKEN = change("STEPS = 100", "STEPS = (", 2)
COMMANDS = (
    "init records checkout hint validate submit run rerun status withdraw leaderboard versus show diff log sync doctor "
    "verify gc disqualify calibrate tournament final ablate report export cancel tasks classify history "
    "frontier"
)


@pytest.fixture
def scored(plain: Arena, shell: Shell, diff: str) -> str:
    """The id of a submission whose study is complete (its runs made up)."""
    document = shell.json("submit", diff, "--record", "1", "--agent", "ada", "--no-run")
    fill(plain, tournament.plan_waiting(plain)[0], {"baseline": 10.0, "human": 7.0, "submission": 8.5})
    return document["id"]


def test_every_command_has_help_and_a_json_format(shell: Shell) -> None:
    page = shell("--help")
    for name in COMMANDS.split():
        assert f"\n  {name} " in page
        assert "json" in shell(name, "--help")


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["frobnicate"], "No such command"),
        (["submit"], "Missing argument"),
        (["submit", "x.diff"], "which record is it for?"),
        (["validate", "x.diff", "--record", "one"], "not a record or span"),
        (["validate", "nowhere.diff", "--record", "1"], "cannot read nowhere.diff"),
        (["validate", "nowhere.diff", "--record", "7"], "no record 7"),
        (["validate", "nowhere.diff", "--record", "2..1"], "empty span"),
        (["leaderboard", "--records", "x"], "not a set of records"),
        (["leaderboard", "--records", "9"], "no record 9"),
        (["leaderboard", "--pick", "luckiest"], "Invalid value"),
        (["hint", "1", "--hint-tier", "7"], "not hint tiers"),
        (["hint", "1", "--hint-tier", "1"], "no tier 1 hint"),
        (["show", "abcdef"], "names no submission here"),
        (["versus", "ada", "bob"], "no agent 'ada' here"),
        (["versus", "ada"], "which agents?"),
        (["versus", "ada", "bob", "--all"], "which agents?"),
        (["leaderboard", "--since", "yesterday"], "Invalid value"),
        (["leaderboard", "--cutoff", "9"], "not a cutoff"),
        (["leaderboard", "--hardware", "H100"], "no run with hardware class 'H100'"),
        (["tournament", "--budget", "0"], "Invalid value"),
        (["run"], "which submissions?"),
        (["disqualify", "abcdef"], "Missing option"),
    ],
)
def test_wrong_usage_is_exit_2_with_one_message(shell: Shell, words: list[str], problem: str) -> None:
    shell(*words, code=2)
    assert problem in shell.err and "Traceback" not in shell.err


def test_no_arena(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    outside = Shell(None, capsys)
    monkeypatch.chdir(tmp_path)
    outside("records", code=2)
    assert "no arena at" in outside.err and "patchrun init" in outside.err
    outside("-C", str(tmp_path), "records", code=2)
    assert "is not an arena" in outside.err


def test_the_arena_may_come_from_the_environment_or_the_folder(
    plain: Arena, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    outside = Shell(None, capsys)
    monkeypatch.setenv("PATCHRUN_ARENA", str(plain.repo.path.parent))
    assert outside.json("records")["track"] == "plain"
    monkeypatch.delenv("PATCHRUN_ARENA")
    monkeypatch.chdir(plain.repo.path.parent)
    assert outside.json("records")["track"] == "plain"


def test_a_bug_is_exit_3_and_names_its_log(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(Arena, "attempts", lambda self: 1 / 0)
    shell("status", code=3)
    path = Path(shell.err.strip().rsplit(" ", 1)[1])
    assert "ZeroDivisionError" in path.read_text()


def test_an_interrupt_is_exit_130(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(self: Arena) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Arena, "attempts", interrupt)
    shell("status", code=130)
    assert "finished runs are kept" in shell.err


def test_records(shell: Shell) -> None:
    document = shell.json("records")
    first = document["rows"][0]
    assert set(first) >= {"record", "date", "by", "ai_system", "summary", "seconds", "gain_seconds", "has_baseline",
                          "has_human", "hazards"}  # fmt: skip
    assert first["seconds"]["published"] == 7.0 and first["gain_seconds"] == 3.0
    assert document["rows"][1]["ai_system"] == "Deep Thought"
    assert "AI: Deep Thought" in shell("records")


def test_validate_stores_nothing(plain: Arena, shell: Shell, diff: str, tmp_path: Path) -> None:
    document = shell.json("validate", diff, "--record", "1")
    keys = {"track", "record", "accepted", "patch_id", "tree", "stats", "mended", "findings"}
    assert set(document) == keys
    assert document["accepted"] and document["stats"] == {"files": 1, "added": 1, "removed": 1}
    (tmp_path / "broken.diff").write_bytes(BROKEN)
    document = shell.json("validate", str(tmp_path / "broken.diff"), "--record", "1", code=1)
    assert not document["accepted"]
    assert set(document["findings"][0]) == {"code", "severity", "path", "line", "message", "hint"}
    sarif = json.loads(
        shell("validate", str(tmp_path / "broken.diff"), "--record", "1", "--format", "sarif", code=1)
    )
    assert sarif["version"] == "2.1.0"
    assert shell(
        "validate", str(tmp_path / "broken.diff"), "--record", "1", "--format", "github", code=1
    ).startswith("::")
    assert plain.attempts() == []


def test_what_is_no_diff_is_exit_1_and_stores_nothing(plain: Arena, shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "words.diff").write_text("I could not find anything.\n")
    shell("submit", str(tmp_path / "words.diff"), "--record", "1", code=1)
    assert plain.attempts() == []


def test_submit_without_run_is_pending_and_fine(shell: Shell, diff: str) -> None:
    document = shell.json("submit", diff, "--record", "1", "--agent", "ada", "--no-run")
    assert set(document) >= {
        "id", "track", "record", "agent", "hint_tiers", "state", "verdict", "reason", "fsr", "fsr_ci", "n_blocks",
        "clock", "seconds", "loss", "runs", "findings",
    }  # fmt: skip
    assert (document["state"], document["verdict"], document["record"]) == ("pending", None, 1)
    assert shell.json("submit", diff, "--record", "1", "--agent", "ada", "--no-run")["id"] == document["id"]


def test_a_rejected_submission_is_exit_1_and_kept(plain: Arena, shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "broken.diff").write_bytes(BROKEN)
    document = shell.json("submit", str(tmp_path / "broken.diff"), "--record", "1", "--agent", "ada", code=1)
    assert document["verdict"] == "rejected" and document["findings"]
    assert [attempt.accepted for attempt in plain.attempts()] == [False]


def test_a_dry_run_says_what_it_would_take(plain: Arena, shell: Shell, diff: str) -> None:
    document = shell.json("submit", diff, "--record", "1", "--dry-run")
    [study] = document["studies"]
    assert (study["runs"], study["training_seconds"]) == (15, 135.0)
    assert "nothing was stored" in shell("submit", diff, "--record", "1", "--dry-run")
    assert plain.attempts() == []


def test_predictions_are_handed_in_together(plain: Arena, shell: Shell, tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    lines = [{"record": 1, "agent": name, "patch": GOOD.decode()} for name in ("ada", "bob")]
    path.write_text("\n".join(json.dumps(line) for line in lines))
    documents = shell.json("submit", str(path), "--no-run")
    assert [document["agent"] for document in documents] == ["ada", "bob"]
    assert len(tournament.plan_waiting(plain)) == 1


def predictions(path: Path, *patches: str) -> str:
    lines = [{"record": 1, "agent": f"a{number}", "patch": patch} for number, patch in enumerate(patches)]
    path.write_text("\n".join(json.dumps(line) for line in lines))
    return str(path)


def test_predictions_of_which_one_is_no_diff_store_nothing(
    plain: Arena, shell: Shell, tmp_path: Path
) -> None:
    path = predictions(tmp_path / "p.jsonl", GOOD.decode(), "", "no diff at all")
    shell("submit", path, "--no-run", code=2)
    assert "line 2 (a1, record 1): the diff is empty" in shell.err
    assert "line 3 (a2, record 1): cannot be read as a diff" in shell.err
    assert plain.attempts() == []


def test_predictions_that_keep_going_keep_what_is_no_diff_as_rejected(
    plain: Arena, shell: Shell, tmp_path: Path
) -> None:
    path = predictions(tmp_path / "p.jsonl", GOOD.decode(), "", "no diff at all")
    shell("submit", path, "--no-run", "--keep-going", code=1)
    kept = {attempt.agent: attempt for attempt in plain.attempts()}
    assert {agent: attempt.accepted for agent, attempt in kept.items()} == {
        "a0": True,
        "a1": False,
        "a2": False,
    }
    assert [one.code for one in kept["a1"].findings] == ["PR100"]
    assert "the diff is empty" in kept["a1"].findings[0].message
    assert verify.verify(plain).problems == ()


@pytest.mark.parametrize("form", ["json", "sarif", "github"])
def test_what_is_no_diff_gets_a_document_in_every_format(
    plain: Arena, shell: Shell, tmp_path: Path, form: str
) -> None:
    (tmp_path / "x.diff").write_text("no diff at all\n")
    said = shell("validate", str(tmp_path / "x.diff"), "--record", "1", "--format", form, code=1)
    if form == "github":
        assert said.startswith("::error ")
        return
    document = json.loads(said)
    if form == "json":
        assert document["error"]["code"] == "unreadable-diff"
        assert document["error"]["hint"]
    else:
        (result,) = document["runs"][0]["results"]
        assert (result["ruleId"], result["locations"][0]["physicalLocation"]["region"]) == (
            "PR100",
            {"startLine": 1},
        )


@pytest.mark.parametrize(
    "words",
    [
        ("show", "nobody", "--format", "json"),
        ("leaderboard", "--format=json", "--pick", "x"),
        ("validate", "absent.diff", "--record", "1", "--format", "json"),
    ],
)
def test_an_error_is_a_document_where_json_was_asked_for(
    plain: Arena, shell: Shell, words: tuple[str, ...]
) -> None:
    error = json.loads(shell(*words, code=2))["error"]
    assert error["code"] == "usage"
    assert error["message"] and error["hint"]


def test_show_and_its_neighbours(plain: Arena, shell: Shell, scored: str, diff: str) -> None:
    document = shell.json("show", scored[:6])
    assert document["verdict"] == "valid" and document["fsr"] == pytest.approx(0.5, abs=0.02)
    assert document["fsr_ci"][0] < document["fsr"] < document["fsr_ci"][1]
    assert document["seconds"]["human"] == pytest.approx(7.0, abs=0.1) and document["loss"]["target"] == 3.0
    run = document["runs"][0]
    assert set(run) >= {
        "arm",
        "block",
        "seed",
        "seconds",
        "wall_seconds",
        "loss",
        "exit",
        "sandbox",
        "machine",
    }
    assert "valid" in shell("show", scored)
    assert shell.json("diff", scored)["diff"].encode() == GOOD
    logs = shell.json("log", scored, "--arm", "human", "--block", "2")
    assert [log["arm"] for log in logs] == ["h1"] and logs[0]["log"] == "log\n"
    shell("log", scored, "--arm", "nobody", code=2)
    rows = shell.json("status", scored)["rows"]
    assert (rows[0]["runs_done"], rows[0]["verdict"]) == (15, "valid")


def test_leaderboard_and_versus(plain: Arena, shell: Shell, scored: str, tmp_path: Path) -> None:
    (tmp_path / "b.diff").write_bytes(BROKEN)
    shell("submit", str(tmp_path / "b.diff"), "--record", "1", "--agent", "bob", code=1)
    board = shell.json("leaderboard")
    assert board["pick"] == "last" and [row["agent"] for row in board["rows"]] == ["ada", "bob"]
    assert set(board["rows"][0]) >= {
        "rank", "agent", "score", "ci", "log_speedup_fraction", "rating", "valid", "attempted", "records",
    }  # fmt: skip
    assert set(board["rows"][0]["records"]["1"]) >= {"id", "verdict", "fsr", "ci"}
    assert "rejected" in shell("leaderboard")
    for form in ("csv", "markdown"):
        assert "ada" in shell("leaderboard", "--format", form)
    for pick in ("first", "mean", "best"):
        assert shell.json("leaderboard", "--pick", pick)["pick"] == pick
    match = shell.json("versus", "ada", "bob")
    assert match["records"]["1"]["winner"] == "a" and match["wins"]["a"] == 1
    assert set(match) >= {"a", "b", "records", "wins", "p_a_better"}


def test_rulings(shell: Shell, scored: str) -> None:
    shell("disqualify", scored, "--reason", "it read the answers")
    document = shell.json("show", scored, code=1)
    assert document["verdict"] == "disqualified" and "it read the answers" in document["reason"]


def test_withdrawing_before_a_run(plain: Arena, shell: Shell, diff: str) -> None:
    name = shell.json("submit", diff, "--record", "1", "--agent", "ada", "--no-run")["id"]
    assert "withdrawn" in shell("withdraw", name)
    shell("run", "--pending")
    assert plain.studies() == []


def test_checkout_verify_doctor_gc_and_sync(plain: Arena, shell: Shell, tmp_path: Path, scored: str) -> None:
    assert shell.json("checkout", "2", str(tmp_path / "copy"))["record"] == 2
    assert (tmp_path / "copy" / "TASK.md").is_file()
    assert shell.json("verify")["problems"] == []
    assert {check["name"] for check in shell.json("doctor")["checks"]} >= {"git", "data", "sandbox"}
    assert "MB after" in shell("gc")
    plain.repo.git("clone", "--quiet", "--mirror", str(plain.repo.path), str(tmp_path / "other.git"))
    nothing = {"received": [], "sent": [], "conflicts": [], "notes": [], "waiting": 0}
    assert shell.json("sync", str(tmp_path / "other.git")) == nothing


def test_init_and_a_whole_submission_for_real(
    tmp_path: Path, corpora: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATCHRUN_CACHE", str(corpora))
    outside = Shell(None, capsys)
    made = outside.json("init", str(tmp_path / "arena"), "--track", str(TINY))
    assert (made["baselines"], made["humans"]) == (3, 3)
    outside("init", str(tmp_path / "arena"), "--track", str(TINY), code=2)
    patch = next((TINY / "patches").glob("0001*"))
    jobs = str(min(2, len(os.sched_getaffinity(0))))
    inside = ["-C", str(tmp_path / "arena")]
    code = cli.run(
        [*inside, "submit", str(patch), "--record", "1", "--agent", "ada", "--jobs", jobs, "--format", "json"]
    )
    captured = capsys.readouterr()
    document = json.loads(captured.out)
    assert document["verdict"] in ("valid", "unscorable") and code == (document["verdict"] != "valid")
    assert len(document["runs"]) == 6 and captured.err.count("record 1 block") == 6
    assert outside.json(*inside, "leaderboard")["rows"][0]["agent"] == "ada"
    assert outside.json(*inside, "verify")["problems"] == []
    trial = outside.json(*inside, "run", document["id"][:8], "--seeds", "1")
    assert trial["counted"] is False and len(trial["runs"]) == 3
    assert outside.json(*inside, "show", document["id"], code=code)["n_blocks"] == document["n_blocks"]
