"""The look while studies run: new states, headers, and nothing for whoever has no business here."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from patchrun.adapters.store import Arena
from patchrun.core.errors import ArenaError, UsageError
from patchrun.core.selection import Span
from patchrun.faces.report import serve
from patchrun.faces.report.serve import Stage, open_server
from patchrun.services import tournament
from tests.conftest import change

GOOD = change("STEPS = 100", "STEPS = 60", 2)


@pytest.fixture
def stage(plain: Arena, tmp_path: Path) -> Stage:
    (tmp_path / "stage").mkdir()
    found = Stage(plain.repo.path, tmp_path / "stage")
    found.build()
    return found


@pytest.fixture
def port(stage: Stage) -> Iterator[int]:
    server = open_server(stage, 0)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


def ask(port: int, path: str, host: str = "", verb: str = "GET") -> tuple[int, str, http.client.HTTPMessage]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request(verb, path, headers={"Host": host or f"127.0.0.1:{port}"})
    answer = connection.getresponse()
    text = answer.read().decode("utf-8", "replace")
    connection.close()
    return answer.status, text, answer.headers


def test_pages_and_their_headers(port: int) -> None:
    status, text, headers = ask(port, "/")
    assert status == 200 and "Leaderboard" in text and "assets/live.js" in text
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff" and headers["Cache-Control"] == "no-store"
    assert ask(port, "/assets/live.js")[0] == 200


def test_a_new_result_makes_a_new_state(plain: Arena, stage: Stage, port: int) -> None:
    before = ask(port, "/state")[1]
    assert before == stage.state and not stage.look()
    tournament.hand_in(plain, GOOD, Span(1, 1), "ada")
    assert stage.look() and not stage.look()
    assert ask(port, "/state")[1] == stage.state != before
    assert "ada" in ask(port, "/index.html")[1]


def test_old_states_go_and_the_last_two_stay(plain: Arena, stage: Stage, tmp_path: Path) -> None:
    for number in range(4):
        tournament.hand_in(plain, GOOD, Span(1, 1), f"agent {number}")
        stage.look()
    assert sorted(path.name for path in (tmp_path / "stage").iterdir()) == ["3", "4"]


@pytest.mark.parametrize(
    "path", ["/../../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/submission/", "/nothing.html"]
)
def test_nothing_outside_and_no_listing(port: int, path: str) -> None:
    assert ask(port, path)[0] == 404


@pytest.mark.parametrize("verb", ["GET", "HEAD"])
@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example"])
def test_a_page_elsewhere_reads_nothing_by_a_name_that_points_here(port: int, host: str, verb: str) -> None:
    for path in ("/", "/state"):
        status, text, _ = ask(port, path, host, verb)
        assert status == 421 and "Leaderboard" not in text


def test_the_server_listens_on_this_machine_only(stage: Stage) -> None:
    server = open_server(stage, 0)
    assert server.server_address[0] == "127.0.0.1"
    with pytest.raises(UsageError, match="cannot listen"):
        open_server(stage, server.server_port)
    server.server_close()


def test_a_state_that_cannot_be_read_is_told_and_left(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stop, said = threading.Event(), []

    def fail(self: Stage) -> bool:
        stop.set()
        raise ArenaError("half a run")

    monkeypatch.setattr(Stage, "look", fail)
    monkeypatch.setattr(serve, "LOOK_SECONDS", 0.01)
    serve.watch(stage, said.append, stop)
    assert said == ["half a run"]
