"""A look at the site while studies run: served on this machine only, built anew when the arena changes."""

from __future__ import annotations

import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from patchrun.adapters.store import Arena
from patchrun.core.errors import PatchrunError, UsageError
from patchrun.faces.report.gather import digest_refs, gather
from patchrun.faces.report.pages import POLICY
from patchrun.faces.report.write import write_pages

HOST = "127.0.0.1"
LOOK_SECONDS = 2.0
HEADERS = {
    "Content-Security-Policy": f"{POLICY}; connect-src 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class Stage:
    """The newest state of the site in a folder of its own; a page that is being read stays until the next but one."""

    def __init__(self, path: Path, home: Path) -> None:
        self.path, self.home = path, home
        self.folder, self.state, self.number = home, "", 0

    def build(self) -> None:
        """Build the site anew and show it."""
        site = gather(Arena.open(self.path))
        folder = self.home / str(self.number)
        write_pages(site, folder, live=True)
        self.folder, self.state, self.number = folder, site.refs, self.number + 1
        shutil.rmtree(self.home / str(self.number - 3), ignore_errors=True)

    def look(self) -> bool:
        """Build anew if the arena changed; whether it had."""
        if digest_refs(Arena.open(self.path)) == self.state:
            return False
        self.build()
        return True


class Handler(SimpleHTTPRequestHandler):
    """Serves the newest state; only to those who ask for this machine by its own name."""

    def __init__(self, *words: Any, stage: Stage) -> None:
        self.stage = stage
        super().__init__(*words, directory=str(stage.folder))

    def do_GET(self) -> None:
        """The state's name, or a file."""
        if not self._asked_here():
            self.send_error(421, "ask for localhost")
        elif self.path == "/state":
            self._say(self.stage.state.encode())
        else:
            super().do_GET()

    def do_HEAD(self) -> None:
        """A file's headers."""
        if self._asked_here():
            super().do_HEAD()
        else:
            self.send_error(421, "ask for localhost")

    def _asked_here(self) -> bool:
        """A page elsewhere whose name was made to point here is not served: its owner would read the arena."""
        return (self.headers.get("Host") or "").rsplit(":", 1)[0] in ("localhost", HOST)

    def _say(self, data: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def list_directory(self, path: Any) -> None:
        """No listings."""
        self.send_error(404)

    def end_headers(self) -> None:
        """Add what every answer says."""
        for name, value in HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, format: str, *words: Any) -> None:
        """Requests are not news."""


def serve(arena: Arena, port: int, tell: Callable[[str], None]) -> None:
    """Serve until interrupted; ``tell`` gets a line for each state that is shown.

    Raises:
        UsageError: the port is taken.
    """
    with tempfile.TemporaryDirectory(prefix="patchrun-report-") as name:
        stage = Stage(arena.repo.path, Path(name))
        server = open_server(stage, port)
        stage.build()
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        tell(f"http://{HOST}:{server.server_port}/ (Ctrl-C ends it)")
        try:
            watch(stage, tell, threading.Event())
        finally:
            server.shutdown()
            server.server_close()


def open_server(stage: Stage, port: int) -> ThreadingHTTPServer:
    """A server on the loopback address; port 0 takes any free one."""
    try:
        return ThreadingHTTPServer((HOST, port), partial(Handler, stage=stage))
    except OSError as error:
        raise UsageError(
            f"cannot listen on {HOST}:{port}: {error.strerror}", "choose another one: --port 0"
        ) from None


def watch(stage: Stage, tell: Callable[[str], None], stop: threading.Event) -> None:
    """Look at the arena every two seconds until told to stop; a state that cannot be read is told and left.

    After a long build it rests as long again, so that a large arena does not keep a core busy.
    """
    took = 0.0
    while not stop.wait(max(LOOK_SECONDS, took)):
        began = time.monotonic()
        try:
            if stage.look():
                tell(f"state {stage.state[:12]}")
        except (PatchrunError, OSError) as error:  # a full disk, say: the former state stays
            tell(str(error))
        took = time.monotonic() - began
