"""Golden texts, and documents with the contract's keys."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from builders import (
    GOOD,
    SUBMISSION,
    make_attempt,
    make_entry,
    make_machine,
    make_plain,
    make_reference,
    make_run,
    make_runs,
    make_score,
    make_study,
    make_track,
)

from patchrun.core.findings import Finding
from patchrun.core.leaderboard import Leaderboard, rank
from patchrun.core.picks import Entry
from patchrun.core.results import Attempt, Run, Work
from patchrun.core.scoring import Score, score
from patchrun.core.versus import Versus, compare_agents
from patchrun.faces import tables
from patchrun.faces.plain_text import markdown_cell

GOLDEN = Path(__file__).parent / "golden"
WIDTH = 100


def make_entries() -> list[Entry]:
    return [
        make_entry("ada", "2", 0.93),
        make_entry("ada", "5", 0.71),
        make_entry("ada", "12", 1.08, ci=(0.84, 1.35)),
        make_entry("grace", "2", 0.55),
        make_entry("grace", "5", None),
        make_entry("grace", "12", -0.21),
        make_entry("grace", "30..62", None, state="running", verdict=None, scorable=None),
        make_entry("hopper", "2", None, verdict="rejected", scorable=None),
        make_entry("hopper", "9", None, verdict="unscorable", scorable=False),
    ]


def make_board() -> Leaderboard:
    return rank(make_entries())


def make_versus() -> Versus:
    return compare_agents(make_entries(), "ada", "grace")


def make_show() -> tuple[Attempt, Score, list[Run]]:
    runs = make_reference() + make_runs("submission", (8.4, 8.5, 8.2, 8.6, 8.7), GOOD)
    finding = Finding(code="PR501", severity="review", message="reads the clock", path="train.py", line=41)
    attempt = make_attempt(hint_tiers=(1, 3), findings=(finding,))
    return attempt, score(make_track(), make_study(), runs, SUBMISSION), runs


def make_failed() -> tuple[Attempt, Score, list[Run]]:
    runs = [
        *make_reference()[:2],
        make_run("submission", 0, None, None, exit="timed-out", reason="killed after 60 s"),
    ]
    return make_attempt(), score(make_track(), make_study(), runs, SUBMISSION), runs


STATUS: list[dict[str, Any]] = [
    {"id": "a" * 20, "record": 5, "agent": "ada", "attempt": 1, "state": "done", "verdict": "valid", "runs_done": 15,
     "runs_planned": 15, "reason": "mean loss 3.7200 <= 3.75 over 5 runs", "created": ""},
    {"id": "b" * 20, "record": "30..62", "agent": "grace", "attempt": 12, "state": "running", "verdict": None,
     "runs_done": 4, "runs_planned": 15, "reason": "", "created": ""},
]  # fmt: skip

TEXTS = {
    "leaderboard.txt": lambda: tables.render_leaderboard(make_board(), "text"),
    "leaderboard.md": lambda: tables.render_leaderboard(make_board(), "markdown"),
    "leaderboard.csv": lambda: tables.render_leaderboard(make_board(), "csv"),
    "versus.txt": lambda: tables.versus_text(make_versus()),
    "show.txt": lambda: tables.show_text(*make_show()),
    "show_failed.txt": lambda: tables.show_text(*make_failed()),
    "status.txt": lambda: tables.status_text(STATUS),
}


@pytest.mark.parametrize("name", TEXTS)
def test_golden(name: str) -> None:
    assert TEXTS[name]() + "\n" == (GOLDEN / name).read_text()


@pytest.mark.parametrize("name", [name for name in TEXTS if name.endswith(".txt")])
def test_texts_fit_a_hundred_columns_and_end_cleanly(name: str) -> None:
    lines = TEXTS[name]().splitlines()
    assert max(map(len, lines)) <= WIDTH, max(lines, key=len)


def test_many_agents_are_all_ranked_but_only_some_have_a_column() -> None:
    board = rank([make_entry(f"agent-{k}", n, 0.9 - k / 20) for k in range(9) for n in ("2", "3")])
    text = tables.render_leaderboard(board)
    assert "The first 4 of 9 agents by record" in text
    assert text.count("agent-8") == 1
    assert text.count("agent-0") == 2
    assert max(map(len, text.splitlines())) <= WIDTH


def make_long() -> list[Entry]:
    return [make_entry(f"{k}-" + "long-name-" * 6, n, 0.9 - k / 20) for k in range(3) for n in ("2", "3")]


def test_long_names_are_wrapped() -> None:
    board = rank(make_long())
    assert max(map(len, tables.render_leaderboard(board).splitlines())) <= WIDTH
    a, b = board.rows[0].agent, board.rows[1].agent
    table = tables.versus_text(compare_agents(make_long(), a, b)).splitlines()
    assert max(len(line) for line in table if line[:1] == " ") <= WIDTH


def test_runs_on_several_machines_say_which() -> None:
    runs = [
        make_run("baseline", 0, 10.0, 3.7),
        make_run("baseline", 1, 10.0, 3.7, machine=make_machine("cpu-b")),
    ]
    assert "cpu-b" in tables.runs_text(runs)
    assert "All on cpu-a" not in tables.runs_text(runs)
    assert tables.runs_text(runs[:1]).endswith("All on cpu-a, sandbox bubblewrap.")
    assert tables.runs_text([]) == "no runs yet"


def test_an_empty_board_and_status_say_so() -> None:
    assert tables.render_leaderboard(rank([])) == "no attempts yet"
    assert tables.status_text([]) == "no attempts yet"
    assert tables.leaderboard_document(rank([]), "pocket")["rows"] == []


def test_a_track_without_human_patches_shows_speedups() -> None:
    text = tables.render_leaderboard(rank([(make_attempt("ada", "1"), make_plain(1.5))]))
    assert "Mean speedup, at least 1, over 1 record;" in text
    assert "1.50 [1.00, 2.00]" in text


def test_the_mean_of_attempts_is_shown_as_one() -> None:
    board = rank(
        [make_entry("ada", "2", 0.4, 1), make_entry("ada", "2", None, 2), make_entry("ada", "2", 0.6, 3)],
        pick="mean",
    )
    assert "0.33 (mean of 3)" in tables.render_leaderboard(board)


def test_how_often_an_agent_tried_is_shown() -> None:
    entries = [make_entry("ada", "2", 0.4, k) for k in (1, 2, 3)]
    board = rank(
        [*entries, make_entry("bob", "2", 0.5), make_entry("bob", "3", 0.5), make_entry("ada", "3", 0.1)]
    )
    text = tables.render_leaderboard(board)
    assert "2/2 in 4" in text and text.count("2/2 in") == 1, "one attempt a record needs no words"
    rows = {row["agent"]: row for row in tables.leaderboard_document(board, "pocket")["rows"]}
    assert rows["ada"]["records"]["2"]["tried"] == 3 and rows["bob"]["records"]["2"]["tried"] == 1


def test_an_attempt_says_which_of_how_many_it_is() -> None:
    attempt, score, runs = make_show()
    assert f"attempt {attempt.sequence} of 7, hint tiers" in tables.show_text(attempt, score, runs, 7)
    document = tables.show_document(attempt, score, runs, 7)
    assert (document["attempt"], document["attempts"]) == (attempt.sequence, 7)


def test_the_leaderboard_document_has_the_contracts_keys() -> None:
    found = tables.leaderboard_document(make_board(), "pocket")
    assert {"track", "pick", "rows"} <= set(found)
    assert found["track"] == "pocket"
    row = found["rows"][0]
    assert list(row) == [
        "rank", "agent", "score", "ci", "log_speedup_fraction", "rating", "valid", "attempted",
        "machine_seconds", "label", "hint_tiers", "proposals", "tokens", "usd", "agent_seconds", "usd_per_percent",
        "model_cutoff", "may_know", "records",
    ]  # fmt: skip
    assert {"id", "verdict", "fsr", "ci"} <= set(row["records"]["12"])
    assert row["records"]["12"]["ci"] == [0.84, 1.35]
    grace = next(row for row in found["rows"] if row["agent"] == "grace")
    assert grace["records"]["5"]["fsr"] is None
    assert grace["records"]["5"]["verdict"] == "missed-target"
    assert grace["records"]["30..62"]["verdict"] is None
    assert json.loads(json.dumps(found)) == found


def test_the_versus_document_has_the_contracts_keys() -> None:
    found = tables.versus_document(make_versus())
    assert {"a", "b", "records", "wins", "p_a_better"} <= set(found)
    assert set(found["wins"]) == {"a", "b", "tie", "unknown"}
    assert {"a_fsr", "b_fsr", "difference", "ci", "winner"} <= set(found["records"]["2"])
    assert found["records"]["30..62"]["difference"] is None
    assert json.loads(json.dumps(found)) == found


def test_the_show_document_has_the_contracts_keys() -> None:
    found = tables.show_document(*make_show())
    contract = [
        "id", "track", "record", "agent", "hint_tiers", "state", "verdict", "reason", "fsr", "fsr_ci", "n_blocks",
        "clock", "seconds", "loss", "runs", "findings",
    ]  # fmt: skip
    assert [key for key in found if key in contract] == contract
    assert list(found["seconds"]) == ["baseline", "human", "submission"]
    assert list(found["loss"]) == ["mean", "target", "p_value"]
    assert found["loss"]["p_value"] is None
    run = found["runs"][0]
    assert {"arm", "block", "seed", "seconds", "wall_seconds", "loss", "exit", "sandbox", "machine"} <= set(
        run
    )
    assert found["findings"][0] == {
        "code": "PR501", "severity": "review", "message": "reads the clock", "path": "train.py", "line": 41, "hint": "",
    }  # fmt: skip
    assert (found["record"], found["hint_tiers"], found["fsr_ci"][0] < found["fsr"]) == (5, [1, 3], True)
    assert json.loads(json.dumps(found)) == found


def test_numbers_that_do_not_exist_are_null() -> None:
    found = tables.show_document(make_attempt(record="30..62"), Score(state="pending"), [])
    assert found["record"] == "30..62"
    assert [found[key] for key in ("verdict", "fsr", "fsr_ci", "speedup")] == [None] * 4
    assert found["seconds"] == {"baseline": None, "human": None, "submission": None}
    assert found["loss"] == {"mean": None, "target": None, "p_value": None}


def test_csv_has_one_line_an_agent_and_reads_back() -> None:
    lines = list(csv.DictReader(io.StringIO(tables.render_leaderboard(make_board(), "csv"))))
    assert [line["agent"] for line in lines] == ["ada", "grace", "hopper"]
    assert float(lines[0]["12_fsr"]) == 1.08
    assert (lines[1]["5_verdict"], lines[1]["5_fsr"]) == ("missed-target", "")
    assert (lines[2]["12_verdict"], lines[2]["9_verdict"]) == ("", "unscorable")


def test_names_that_need_quoting_survive_csv() -> None:
    board = rank([make_entry('x, "y"', "2", 0.5)])
    assert next(csv.DictReader(io.StringIO(tables.render_leaderboard(board, "csv"))))["agent"] == 'x, "y"'


@pytest.mark.parametrize("agent", ["007", "1e5", "nan"])
def test_an_agent_whose_name_looks_like_a_number_keeps_it(agent: str) -> None:
    assert agent in tables.render_leaderboard(rank([make_entry(agent, "2", 0.5)]))


def test_a_p_value_is_shown_where_there_is_one() -> None:
    from patchrun.core.scoring import Loss

    given = make_score(0.5, loss=Loss(mean=3.2777, target=3.28, p_value=0.00123))
    assert "mean 3.2777, target 3.28, p = 0.0012" in tables.show_text(make_attempt(), given, [])


def test_missing_slots_are_shortened() -> None:
    given = score(make_track(), make_study(), make_reference()[:1], SUBMISSION)
    text = tables.show_text(make_attempt(), given, [])
    assert "human block 1, submission block 1, baseline block 2 and 11 more" in text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a|b", r"a\|b"),
        ("a\nb", "a b"),
        ("<b>", r"\<b>"),
        ("[x](javascript:y)", r"[x]\(javascript:y)"),
        ("*x* `y`", r"\*x\* \`y\`"),
        ("back\\slash", r"back\\slash"),
        ("0.5 [0.4, 0.6]", "0.5 [0.4, 0.6]"),
        (3, 3),
    ],
)
def test_a_cell_of_markdown_is_one_cell_without_markup(text: object, shown: object) -> None:
    assert markdown_cell(text) == shown


def test_a_row_of_a_markdown_board_is_one_line() -> None:
    name = "an agent with a name longer than any column | and with a column of its own"
    board = rank([make_entry(name, "5", 0.5), make_entry("bob", "6", 0.25)])
    lines = tables.render_leaderboard(board, "markdown").splitlines()
    rows = [line.replace(r"\|", "") for line in lines if line.startswith("|")]
    assert [row.count("|") for row in rows] == [9] * 4 + [4] * 4


def make_timed() -> tuple[Attempt, Score, list[Run]]:
    """Whole scripts of which the submission trains in its warm-up."""
    from tests.core.test_outside import REFERENCES, run

    seconds = {"baseline": (80.0, 80.1, 80.2), "human": (70.0, 70.3, 70.1)}
    runs = [msgspec.structs.replace(one, seconds=seconds[one.kind][one.block]) for one in REFERENCES]
    runs += [
        run("submission", 0, joules=(632e3, 1032e3), cpu=None),
        run("submission", 1, joules=(330e3, 730e3)),
    ]
    track = make_track(clock={"source": "arrival"}, evidence={"kind": "log"})
    return make_attempt(), score(track, make_study(blocks=3), runs, SUBMISSION), runs


def test_work_is_shown_beside_the_seconds() -> None:
    text = tables.show_text(*make_timed())
    assert "work outside the clock: submission, block 1" in text
    assert "review" in text and "330,000 J, 1.10 times the reference arms'" in text
    [row] = [line for line in text.splitlines() if line.startswith("submission") and "2.10 / 1.00" in line]
    assert row.split()[:4] == ["submission", "1", "80.000", "300.000"]
    assert row.endswith("- / -"), "its CPU time is not known"
    assert "No counter here" not in text
    assert max(map(len, tables.runs_text(make_timed()[2]).splitlines())) <= WIDTH


def test_figures_without_a_counter_are_named_and_null() -> None:
    runs = [msgspec.structs.replace(run, work=Work(cpu=run.work.cpu)) for run in make_timed()[2] if run.work]
    assert "No counter here for: GPU energy, GPU busy." in tables.runs_text(runs)
    document = tables.run_document(runs[-1], runs[:6])["work"]
    assert (document["joules"], document["busy"]) == (None, None)
    assert document["cpu"]["lead"] == pytest.approx(900, rel=0.01)
    assert document["cpu"]["lead_ratio"] == pytest.approx(1, abs=0.01)
    nothing = tables.run_document(make_run("baseline", 0, 10.0, 3.7))["work"]
    assert nothing == {"joules": None, "busy": None, "cpu": None}
