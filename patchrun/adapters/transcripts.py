"""Transcripts in an arena: the files of each, and how one is found."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from typing import Any

from patchrun.adapters.gitrepo import PATCHRUN, GitRepo
from patchrun.core import results
from patchrun.core.errors import UsageError
from patchrun.core.transcripts import TURNS_BYTES, Transcript, cut_turns
from patchrun.core.versions import Version

TRANSCRIPTS = "refs/patchrun/transcripts/"


class TranscriptFiles:
    """The part of an arena that reads and writes transcripts."""

    repo: GitRepo
    _read_all: Callable[..., list[Version[Transcript]]]

    def stage_transcript(self, transcript: Transcript, turns: list[Any], diff: bytes) -> dict[str, str]:
        """Write a transcript's objects; the ref that makes them last (name -> commit), for its transaction."""
        packed = gzip.compress(json.dumps(cut_turns(turns, TURNS_BYTES)).encode(), mtime=0)
        files = {"transcript.json": results.encode(transcript), "turns.json.gz": packed}
        tree = self.repo.store_files(files | ({"patch.diff": diff} if diff else {}))
        words = f"transcript {transcript.id}: {transcript.agent} on record {transcript.record}: {transcript.outcome}\n"
        return {TRANSCRIPTS + transcript.id: self.repo.commit(tree, [], words, PATCHRUN, transcript.created)}

    def transcripts(self) -> list[Transcript]:
        """Every transcript without its turns, oldest first."""
        versions = self._read_all(TRANSCRIPTS, "transcript.json", Transcript)
        found = {one.value.id: one.value for one in versions}
        return sorted(found.values(), key=lambda one: (one.created, one.id))

    def find_transcripts(self, short: str) -> list[Transcript]:
        """The transcript whose id begins with ``short``, or all those of the submission that does; UsageError."""
        found = [one for one in self.transcripts() if len(short) >= 4]
        own = [one for one in found if one.id.startswith(short)]
        own = own or [one for one in found if one.submission.startswith(short)]
        if len({one.submission or one.id for one in own}) != 1:
            problem = "is ambiguous" if own else "names no transcript here"
            raise UsageError(
                f"{short!r} {problem}", "`patchrun agent list` lists them; 4 characters at least"
            )
        return own

    def turns(self, transcript_id: str) -> list[dict[str, Any]]:
        """The turns of a transcript: what was said and done."""
        return json.loads(gzip.decompress(self.repo.read(f"{TRANSCRIPTS}{transcript_id}:turns.json.gz")))

    def transcript_diff(self, transcript_id: str) -> bytes:
        """What the workspace of a transcript held in the end, as a diff; empty where nothing differed."""
        return self.repo.read_many([f"{TRANSCRIPTS}{transcript_id}:patch.diff"])[0] or b""
