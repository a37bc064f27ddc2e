"""How much of what another arena offers is taken at once: enough to go on, never so much that it fills a machine.

Results rest on one another: runs on studies, studies on submissions. A portion is closed: what it rests on is in it, or
was there before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby

PREFIX, ALSO = "refs/patchrun/", "refs/patchrun/also/"
FIRST = ("attempts", "submissions")
BULK = ("runs", "extra")
LAST = ("stops",)  # judged by the runs of their study


@dataclass(frozen=True)
class Portion:
    """Refs (name -> commit) to take now, and how many are left for the next time."""

    refs: Mapping[str, str]
    waiting: int


def choose_portion(offered: Mapping[str, str], attempts: int, others: int) -> Portion:
    """At most so many ``attempts`` (each is validated), and about so many ``others``.

    Where attempts have to wait, nothing that may rest on them is taken. The runs of a study are never torn apart: they
    are judged by one another.
    """
    kinds: dict[str, list[str]] = {}
    for name in sorted(offered):
        kinds.setdefault(kind_of(name), []).append(name)
    ids = sorted({name_of(name) for name in kinds.get("attempts", ())})
    if len(ids) > attempts:
        chosen = set(ids[:attempts])
        names = [name for kind in FIRST for name in kinds.get(kind, ()) if name_of(name) in chosen]
        return _cut(offered, names)
    small = [name for kind, own in kinds.items() if kind not in BULK + LAST for name in own]
    bulk = sorted((name for kind in BULK for name in kinds.get(kind, ())), key=_study_of)
    names = _take_groups(small, bulk, others)
    if len(names) == len(small) + len(bulk):
        names += [name for kind in LAST for name in kinds.get(kind, ())]
    return _cut(offered, names)


def add_bases(
    portion: Portion, offered: Mapping[str, str], read_base: Callable[[Iterable[str]], Iterable[str]]
) -> Portion:
    """The portion with the attempts and submissions that its attempts build on, and those below them.

    ``read_base``: ids of attempts -> ids of what they build on.
    """
    refs, fresh = dict(portion.refs), {name_of(name) for name in portion.refs if kind_of(name) == "attempts"}
    while fresh:
        wanted = {f"{PREFIX}{kind}/{base}" for base in read_base(fresh) for kind in FIRST}
        lacking = {name: offered[name] for name in wanted if name in offered and name not in refs}
        fresh = {name_of(name) for name in lacking if kind_of(name) == "attempts"}
        refs |= lacking
    return Portion(refs, len(offered) - len(refs))


def kind_of(name: str) -> str:
    """``runs`` of ``refs/patchrun/runs/...`` and of a version of one below ``also``."""
    return name.removeprefix(ALSO).removeprefix(PREFIX).partition("/")[0]


def name_of(name: str) -> str:
    """The id that stands behind the kind."""
    return name.removeprefix(ALSO).removeprefix(PREFIX).split("/")[1]


def _study_of(name: str) -> tuple[str, str]:
    slot = name.removeprefix(ALSO).removeprefix(PREFIX).split("/")[2:3]
    return (slot[0].partition("-")[0] if slot else ""), name


def _take_groups(small: list[str], bulk: list[str], most: int) -> list[str]:
    taken = list(small)
    for _, group in groupby(bulk, key=lambda name: _study_of(name)[0]):
        if len(taken) >= most:
            break
        taken += group
    return taken


def _cut(offered: Mapping[str, str], names: Iterable[str]) -> Portion:
    refs = {name: offered[name] for name in names}
    return Portion(refs, len(offered) - len(refs))
