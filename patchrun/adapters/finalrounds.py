"""Final rounds in an arena: what the owner promised, and what was revealed when it was over."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from patchrun.adapters.gitrepo import PATCHRUN, GitRepo, RefExists
from patchrun.core import results, versions
from patchrun.core.results import FinalRound, Reveal
from patchrun.core.versions import Version

FINALS = "refs/patchrun/finals/"
REVEALS = "refs/patchrun/reveals/"


class FinalFiles:
    """The part of an arena that reads and writes final rounds."""

    repo: GitRepo
    signing_key: Path | None
    sign_refs: Callable[..., str]
    _read_all: Callable[..., list[Version]]

    def finals(self) -> list[FinalRound]:
        """The final rounds that were committed to, oldest first."""
        found = versions.settle(self._read_all(FINALS, "final.json", FinalRound))
        return sorted(found, key=lambda final: (final.created, final.id))

    def add_final(self, final: FinalRound) -> None:
        """Store the commitment to a final round."""
        tree = self.repo.store_files({"final.json": results.encode(final)})
        words = self.sign_refs(f"final round {final.id}\n", FINALS + final.id, final.track_digest)
        commit = self.repo.commit(tree, [], words, PATCHRUN, final.created, self.signing_key)
        self.repo.create_refs({FINALS + final.id: commit})

    def reveals(self) -> dict[str, Reveal]:
        """Final round -> its secrets, of those that are over."""
        found = versions.settle(self._read_all(REVEALS, "reveal.json", Reveal))
        return {reveal.final: reveal for reveal in found}

    def add_reveal(self, reveal: Reveal, tokens: bytes | None) -> bool:
        """Store a final round's secrets, ``tokens`` being its shard; False when they were revealed before."""
        files = {"reveal.json": results.encode(reveal)} | ({"held_out.bin": tokens} if tokens else {})
        words = self.sign_refs(f"secrets of final round {reveal.final}\n", REVEALS + reveal.final)
        tree = self.repo.store_files(files)
        commit = self.repo.commit(tree, [], words, PATCHRUN, reveal.created, self.signing_key)
        try:
            self.repo.create_refs({REVEALS + reveal.final: commit})
        except RefExists:
            return False
        return True
