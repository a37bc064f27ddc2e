"""The site as a folder: built beside its place, then put there whole. A folder that is no report is left alone."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from patchrun.core.errors import UsageError
from patchrun.faces.report.gather import Site
from patchrun.faces.report.pages import render_site

MARKER = ".patchrun-report.json"
OURS = {
    MARKER, ".nojekyll", "index.html", "submissions.html", "ladder.html", "matrix.html", "methods.html", "agent",
    "record", "submission", "assets", "data",
}  # fmt: skip
ASSETS = ("report.css", "report.js", "icon.svg")


@dataclass(frozen=True)
class Written:
    """How many pages there are, and the bytes of the largest one and of all."""

    pages: int
    largest: int
    total: int


def check_target(target: Path) -> Path:
    """The folder to replace, links followed; UsageError where something else than a former report is there."""
    target = Path(os.path.realpath(target))
    if not target.exists():
        if not target.parent.is_dir():
            raise UsageError(f"{target.parent} is not a folder", "make it first")
        return target
    if not target.is_dir():
        raise UsageError(f"{target} is not a folder", "name a new folder for the report")
    held = {entry.name for entry in target.iterdir()}
    if held and MARKER not in held:
        raise UsageError(
            f"{target} is not a report: it has no {MARKER}", "name a new folder, or empty this one"
        )
    if strange := sorted(name for name in held - OURS if not re.fullmatch(r"tier-[0-3-]+\.html", name)):
        raise UsageError(
            f"{target} holds what is not of a report: {', '.join(strange[:5])}",
            "move it away, or name a new folder",
        )
    return target


def write_site(site: Site, target: Path, live: bool = False) -> Written:
    """Build the site and put it at ``target``, which holds the former one until the new one is whole.

    Raises:
        UsageError: ``target`` holds something else, or cannot be written.
    """
    target = check_target(target)
    try:
        building = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    except OSError as error:
        raise UsageError(
            f"cannot write beside {target}: {error}", "name a folder in a place of yours"
        ) from None
    try:
        written = write_pages(site, building / "new", live)
        _swap(building / "new", target, building / "old")
    except OSError as error:
        raise UsageError(
            f"cannot write {target}: {error}", "is there room, and may you write there?"
        ) from None
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return written


def write_pages(site: Site, folder: Path, live: bool = False) -> Written:
    """Write every file of the site into a new folder."""
    for name in ("", "agent", "record", "submission", "assets", "data"):
        (folder / name).mkdir()
    sizes = []
    for name, text in render_site(site, live):
        data = text.encode("utf-8", "replace")
        (folder / name).write_bytes(data)
        sizes.append(len(data))
    for name in (*ASSETS, *(("live.js",) if live else ())):
        data = files("patchrun.faces.report").joinpath("assets", name).read_bytes()
        (folder / "assets" / name).write_bytes(data)
    (folder / ".nojekyll").write_bytes(b"")  # GitHub Pages would leave out names that it does not like
    marker = {"made_by": f"patchrun {site.version}", "refs": site.refs, "built": site.built}
    (folder / MARKER).write_text(json.dumps(marker, indent=1) + "\n")
    return Written(len(sizes), max(sizes), sum(sizes))


def _swap(new: Path, target: Path, old: Path) -> None:
    """Put ``new`` at ``target``; what was there goes to ``old``, and comes back where the exchange fails."""
    there = target.exists()
    if there:
        target.rename(old)
    try:
        new.rename(target)
    except OSError:
        if there:
            old.rename(target)
        raise
