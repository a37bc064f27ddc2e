"""Vouches in an arena: a listed key's word for results that carry no signature of their own."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from patchrun.adapters.gitrepo import PATCHRUN, GitRepo
from patchrun.core import results
from patchrun.core.errors import ArenaError
from patchrun.core.vouching import Binding, Vouch, write_binding

VOUCHES = "refs/patchrun/vouches/"
FILE = "vouch.json"


def vouch_name(data: bytes) -> str:
    """The name of a vouch: the hash of its content."""
    return hashlib.sha256(data).hexdigest()[:20]


def add_vouch(repo: GitRepo, vouch: Vouch, binding: Binding, key: Path) -> str:
    """Store a vouch, signed with ``key`` for ``binding`` but its ref; the ref."""
    data = results.encode(vouch)
    ref = VOUCHES + vouch_name(data)
    words = f"vouch for {len(vouch.refs)} results\n"
    words += write_binding(Binding(ref, binding.arena, binding.track))
    tree = repo.store_files({FILE: data})
    repo.create_refs({ref: repo.commit(tree, [], words, PATCHRUN, vouch.created, key)})
    return ref


def read_vouches(repo: GitRepo, refs: Mapping[str, str]) -> dict[str, Vouch]:
    """Ref -> vouch, of those that can be read."""
    blobs = repo.read_many(f"{commit}:{FILE}" for commit in refs.values())
    found = {}
    for name, data in zip(refs, blobs, strict=True):
        try:
            found[name] = results.decode(data or b"", Vouch, name)
        except ArenaError:  # `patchrun verify` names it
            continue
    return found
