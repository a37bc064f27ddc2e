"""The site in a real browser: it opens from a file, sorts, filters, finds, and lets nothing out and nothing in."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from patchrun.adapters.store import Arena
from patchrun.core.selection import Span
from patchrun.faces.report import names
from patchrun.faces.report.gather import gather
from patchrun.faces.report.serve import Stage, open_server
from patchrun.faces.report.write import write_site
from patchrun.services import importer, tournament
from tests.browser import Browser, needs_chromium, open_browser
from tests.conftest import change
from tests.faces.report.sites import EVIL_DIFF, EVIL_LINE, EVIL_NAME, EVIL_PATH, add_stranger, make_crowd

CONTRAST = Path(__file__).with_name("contrast.js").read_text()
pytestmark = [needs_chromium, pytest.mark.slow]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("site")


@pytest.fixture(scope="module")
def arena(folder: Path) -> Arena:
    """A crowd of sixty, and a stranger."""
    from tests import conftest

    track = folder / "plain"
    (track / "base").mkdir(parents=True)
    (track / "patches").mkdir()
    (track / "track.toml").write_text(conftest.TRACK)
    (track / "records.toml").write_text(conftest.RECORDS)
    (track / "base" / "train.py").write_text(conftest.SCRIPT)
    (track / "patches" / "1.patch").write_bytes(change("RATE = 1", "RATE = 2", 1))
    second = change("STEPS = 100", "STEPS = 50", 2).replace(b" RATE = 1", b" RATE = 2")
    (track / "patches" / "2.patch").write_bytes(second)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(folder / "data"))
        importer.init(folder / "arena", str(track))
        found = Arena.open(folder / "arena")
        crowd = make_crowd(found)
    add_stranger(found, crowd[0])
    return found


@pytest.fixture(scope="module")
def site(arena: Arena, folder: Path) -> Path:
    write_site(gather(arena), folder / "site")
    return folder / "site"


@pytest.fixture(scope="module")
def browser(folder: Path) -> Iterator[Browser]:
    with open_browser(folder / "profile") as opened:
        yield opened


@pytest.fixture(autouse=True)
def nothing_said_nothing_left(browser: Browser, site: Path) -> Iterator[None]:
    """Each test ends with a silent console and no request but for the site's own files."""
    browser.console(), browser.asked_for()
    yield
    assert browser.console() == []
    asked = browser.asked_for()
    assert asked, "the page itself at least"
    assert [one for one in asked if not one.startswith((site.as_uri(), "http://127.0.0.1:"))] == []


def column(browser: Browser, number: int) -> list[str]:
    return browser.texts(f"table tbody tr > :nth-child({number})")


def test_the_leaderboard_sorts_by_keyboard_and_mouse(browser: Browser, site: Path) -> None:
    browser.open((site / "index.html").as_uri())
    agents = column(browser, 2)
    assert len(agents) == 8 and EVIL_NAME in agents, "six of the crowd, its model, the stranger"
    browser.click("th:nth-child(2) button")
    assert column(browser, 2) == sorted(agents)
    assert browser.run("return document.querySelector('th:nth-child(2)').ariaSort") == "ascending"
    browser.run("document.querySelector('th:nth-child(3) button').focus()")
    browser.type("th:nth-child(3) button", "\n")
    scores = [float(text) for text in column(browser, 3)]
    assert scores == sorted(scores, reverse=True) and len(set(scores)) > 3
    browser.type("th:nth-child(3) button", "\n")
    assert [float(text) for text in column(browser, 3)] == sorted(scores)


def test_the_leaderboard_filters(browser: Browser, site: Path) -> None:
    browser.open((site / "index.html").as_uri())
    browser.type("input[name=agent]", "NT-003")
    assert column(browser, 2) == ["agent-003"] and browser.texts("output") == ["1 of 8 agents"]
    browser.open((site / "index.html").as_uri())
    browser.choose("select[name=verdict]", "rejected")
    assert EVIL_NAME in column(browser, 2) and "agent-002" not in column(browser, 2)
    browser.choose("select[name=record]", "2")
    assert EVIL_NAME not in column(browser, 2)
    assert [text for text in browser.texts("thead th") if "record" in text] == ["record 2"]
    browser.click("nav.tabs a:nth-child(2)")
    assert browser.texts("h1") == ["Leaderboard: no hints"]
    assert set(column(browser, 2)) == {"agent-000", "agent-003", "model", EVIL_NAME}


def test_submissions_are_found_sorted_and_paged(browser: Browser, site: Path) -> None:
    browser.open((site / "submissions.html").as_uri())
    assert browser.texts("output") == ["63 of 63 submissions"]
    browser.type("input[name=text]", "valid agent-002")
    browser.choose("select[name=record]", "2")
    rows = column(browser, 2)
    assert rows and set(rows) == {"agent-002"} and set(column(browser, 3)) == {"2"}
    browser.choose("select[name=tiers]", "none")
    assert column(browser, 2) == [] and browser.texts("output") == ["0 of 63 submissions"]
    browser.choose("select[name=tiers]", "1, 2, 3")
    browser.click("th:nth-child(6) button")
    fsr = [float(text) for text in column(browser, 6)]
    assert fsr == sorted(fsr, reverse=True) and len(fsr) >= 2
    browser.click("tbody tr:first-child a")
    assert browser.texts("h1")[0].startswith("Submission ")


def test_slash_goes_to_the_search_and_the_skip_link_to_the_content(browser: Browser, site: Path) -> None:
    browser.open((site / "submissions.html").as_uri())
    browser.type("body", "/")
    assert browser.run("return document.activeElement.name") == "text"
    browser.open((site / "submissions.html").as_uri())
    browser.type("body", "\ue004")  # Tab
    assert browser.run("return document.activeElement.className") == "skip"


def test_a_submission_shows_its_diff_and_curves(browser: Browser, site: Path, arena: Arena) -> None:
    one = next(e for e in gather(arena).entries if e.score.is_valid and e.attempt.record == "1")
    browser.open((site / names.submission_page(one.attempt.id)).as_uri())
    assert browser.texts(".diff .add td:nth-child(3)") == ["STEPS = 60"]
    sign = "return getComputedStyle(document.querySelector('.diff .add td:last-child'), '::before').content"
    assert browser.run(sign) == '"+ "'
    assert browser.texts(".diff .add td:nth-child(2)") == ["2"]
    drawn = browser.run("return ['baseline', 'human', 'submission'].map(arm => document.querySelector("
                        "`.chart svg > .line.${arm}:not(.faint)`).getBBox().width)")  # fmt: skip
    assert all(width > 100 for width in drawn)
    assert browser.run("return document.querySelectorAll('.chart .faint').length") == 15
    assert len(browser.texts("caption")) >= 2


def test_a_strangers_words_stay_text(browser: Browser, site: Path) -> None:
    for page in (names.submission_page("e" * 20), names.agent_page(EVIL_NAME), "record/1.html", "index.html"):
        browser.open((site / page).as_uri())
        assert browser.run("return document.title") != "pwned"
        text = str(browser.run("return document.body.innerText"))
        assert EVIL_NAME in text, page
        scripts = browser.run("return [...document.scripts].map(s => s.src.split('/').pop() + s.textContent)")
        assert scripts == ["report.js"]
        assert (
            browser.run("return document.querySelectorAll('img, iframe, object, embed, main style').length")
            == 0
        )
        script = "new URL(a.href.baseVal ?? a.href, location).protocol"
        links = browser.run(f"return [...document.querySelectorAll('a')].map(a => {script})")
        assert set(links) == {"file:"}
    browser.open((site / names.submission_page("e" * 20)).as_uri())
    text = str(browser.run("return document.body.innerText"))
    assert EVIL_LINE in text and EVIL_PATH in text and "{{ 7*7 }}" in text
    assert "⟨U+202E⟩back⟨U+0007⟩" in text and "\u202e" not in text
    browser.open((site / "submissions.html").as_uri())
    browser.type("input[name=agent]", "pwned")
    assert column(browser, 2) == [EVIL_NAME] and browser.run("return document.title") != "pwned"


def test_the_policy_holds_even_where_markup_got_in(browser: Browser, site: Path) -> None:
    browser.open((site / "index.html").as_uri())
    script = """const s = document.createElement('script'); s.textContent = 'document.title = "pwned"';
    document.body.append(s);
    const i = new Image(); i.src = 'http://127.0.0.1:9/x.png'; document.body.append(i); return document.title"""
    assert browser.run(script) != "pwned"
    said: list[str] = []
    wait_for(lambda: said.extend(browser.console()) or len(said) >= 2)
    assert len(said) == 2 and all("Content Security Policy" in line for line in said)
    assert [one for one in browser.asked_for() if "x.png" in one] == [] and browser.refused == 1
    browser.open((site / "index.html").as_uri())


@pytest.mark.parametrize("dark", [False, True])
def test_a_phone_scrolls_only_up_and_down_and_everything_can_be_read(
    browser: Browser, site: Path, dark: bool
) -> None:
    pages = ["index.html", "submissions.html", "ladder.html", "matrix.html", "methods.html", "record/1.html",
             names.submission_page("e" * 20), names.agent_page("agent-001")]  # fmt: skip
    for page in pages:
        browser.open((site / page).as_uri(), width=390, height=844, dark=dark)
        assert browser.run("return document.documentElement.scrollWidth") == 390, page
        assert browser.run(CONTRAST) == [], page


def test_every_table_chart_and_field_has_a_name(browser: Browser, site: Path, arena: Arena) -> None:
    one = next(entry for entry in gather(arena).entries if entry.score.is_valid)
    for page in ("index.html", "submissions.html", "ladder.html", names.submission_page(one.attempt.id)):
        browser.open((site / page).as_uri())
        for selector, lacks in (
            ("table", "!e.caption"),
            ("input, select", "!e.labels.length"),
            (".chart > .scroll > svg", "!e.querySelector('title') || !e.querySelector('desc')"),
        ):
            script = f"return [...document.querySelectorAll('{selector}')].filter(e => {lacks}).length"
            assert browser.run(script) == 0, selector
        heads = browser.run("return [...document.querySelectorAll('h1, h2')].map(h => h.tagName)")
        assert heads[0] == "H1" and heads.count("H1") == 1


def test_a_served_page_loads_itself_anew_when_a_result_comes_in(
    browser: Browser, arena: Arena, site: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(folder / "data"))
    (folder / "stage").mkdir()
    stage = Stage(arena.repo.path, folder / "stage")
    stage.build()
    server = open_server(stage, 0)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        browser.open(f"http://127.0.0.1:{server.server_port}/index.html")
        assert "late-comer" not in browser.texts("tbody th")
        assert not stage.look()
        tournament.hand_in(arena, change("STEPS = 100", "STEPS = 61", 2), Span(1, 1), "late-comer")
        assert stage.look()
        wait_for(lambda: "late-comer" in browser.texts("tbody th"))
    finally:
        server.shutdown()
        server.server_close()


def wait_for(check, seconds: float = 20.0) -> None:
    import time

    end = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.3)


def test_the_evil_diff_is_one(browser: Browser, site: Path) -> None:
    """What the tests above rest on: the words are in the page's source, escaped, and nowhere unescaped."""
    browser.open((site / names.submission_page("e" * 20)).as_uri())
    source = (site / names.submission_page("e" * 20)).read_text()
    assert b"<script>" in EVIL_DIFF and "&lt;script&gt;" in source
    assert re.findall(r"<script(?! src=)", source) == [] and "javascript:alert" in source
