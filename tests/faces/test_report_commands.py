"""`report` and `export`: what they print, where they write, and what they refuse."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from patchrun.adapters.store import Arena
from patchrun.core.runtable import COLUMNS
from patchrun.faces import cli
from patchrun.services import tournament
from tests.faces.report.sites import make_crowd
from tests.services.test_tournament import fill, hand_in

ROOT = Path(__file__).parents[2]


@pytest.fixture
def measured(plain: Arena) -> Arena:
    hand_in(plain, agent="=ada")
    fill(plain, tournament.plan_waiting(plain)[0], {"baseline": 10.0, "human": 7.0, "submission": 8.5})
    return plain


def run(arena: Arena, capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> tuple[str, str]:
    capsys.readouterr()
    assert cli.run(["-C", str(arena.repo.path.parent), *words]) == code
    said = capsys.readouterr()
    return said.out, said.err


def test_report_says_what_it_wrote(measured: Arena, tmp_path: Path, capsys) -> None:
    out, _ = run(measured, capsys, "report", str(tmp_path / "site"))
    assert out.startswith(f"{tmp_path / 'site'}/index.html: ") and "the largest" in out
    document = json.loads(run(measured, capsys, "report", str(tmp_path / "site"), "--format", "json")[0])
    assert set(document) == {"folder", "pages", "bytes", "largest_page", "refs"}
    assert document["largest_page"] < 500_000 and document["pages"] >= 9


def test_report_refuses_early_and_plainly(measured: Arena, tmp_path: Path, capsys) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x")
    for words, problem in (
        (("report", str(tmp_path / "mine")), "is not a report"),
        (("report",), "where to?"),
        (("report", "there", "--serve"), "where to?"),
        (("report", str(tmp_path / "no" / "where")), "is not a folder"),
        (("report", "--serve", "--port", "99999"), "Invalid value"),
        (("export", str(tmp_path / "no" / "runs.csv")), "cannot write"),
        (("export", str(tmp_path)), "cannot write"),
    ):
        assert problem in run(measured, capsys, *words, code=2)[1]
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


def test_export_writes_a_row_a_run(measured: Arena, tmp_path: Path, capsys) -> None:
    path = tmp_path / "runs.csv"
    _, err = run(measured, capsys, "export", str(path))
    rows = list(csv.DictReader(path.open(newline="")))
    assert err == f"{path}: 15 runs\n" and tuple(rows[0]) == COLUMNS
    assert {row["agent"] for row in rows} == {"", "'=ada"}, "no spreadsheet takes it for a formula"
    assert sum(row["kind"] == "submission" for row in rows) == 5 and list(tmp_path.glob(".*part")) == []
    out, _ = run(measured, capsys, "export", "-", "--format", "json")
    document = json.loads(out)["rows"]
    assert len(document) == 15 and {row["agent"] for row in document} == {None, "=ada"}


def test_serve_says_where_and_ends_at_ctrl_c(measured: Arena) -> None:
    argv = [sys.executable, "-u", "-m", "patchrun", "-C", str(measured.repo.path.parent), "report", "--serve"]
    server = subprocess.Popen([*argv, "--port", "0"], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout
        address = server.stdout.readline().split()[0]
        with urllib.request.urlopen(address, timeout=10) as answer:
            assert "Leaderboard" in answer.read().decode()
        server.send_signal(signal.SIGINT)
        assert server.wait(20) == 0
    finally:
        server.kill()
        server.wait()


def test_the_example_plots_the_export(plain: Arena, tmp_path: Path, capsys) -> None:
    make_crowd(plain, 20, 3)
    run(plain, capsys, "export", str(tmp_path / "runs.csv"))
    script = ROOT / "examples" / "plot_runs.py"
    drawn = tmp_path / "runs.svg"
    argv = [sys.executable, str(script), str(tmp_path / "runs.csv"), str(drawn)]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    from xml.etree import ElementTree

    picture = ElementTree.parse(drawn).getroot()
    rows = [row for row in csv.DictReader((tmp_path / "runs.csv").open(newline="")) if row["seconds"]]
    dots = picture.findall(".//{http://www.w3.org/2000/svg}circle")
    assert len(dots) == len(rows) > 50
    assert "record 1" in done.stdout and "baseline" in done.stdout
    assert len({dot.get("cy") for dot in dots}) > 4, "another arm, another line"
