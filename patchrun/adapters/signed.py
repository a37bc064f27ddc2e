"""Whose results count in an arena: what is made here is signed for its place, what is read is held against the list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from patchrun.adapters.gitrepo import GitRepo, RefExists
from patchrun.adapters.vouches import add_vouch
from patchrun.core.errors import UsageError
from patchrun.core.versions import Version
from patchrun.core.vouching import Binding, Vouch, write_binding

if TYPE_CHECKING:
    from patchrun.adapters.signing import Signatures
    from patchrun.core.track import Track

T = TypeVar("T")
RESULTS = "refs/patchrun/"
ALSO = "refs/patchrun/also/"  # <kind>/<name>/<commit>: what another arena holds under a name taken here
ATTEMPTS, RUNS, EXTRA, STOPS, VERDICTS = (
    f"{RESULTS}{kind}/" for kind in ("attempts", "runs", "extra", "stops", "verdicts")
)
SIGNED = (RUNS, EXTRA, STOPS, VERDICTS)  # where keys are listed these count with the signature of one only


class SignedFiles:
    """The part of an arena that signs, and that knows whose signatures count."""

    repo: GitRepo
    folder: Path
    identity: str
    track: Track

    @cached_property
    def signing_key(self) -> Path | None:
        """The key that signs what is made here, if the user named one."""
        from patchrun.adapters.signing import signing_key

        return signing_key()

    @cached_property
    def signatures(self) -> Signatures | None:
        """Whose results count, by the owner's list of keys; None where there is no list and everything does."""
        from patchrun.adapters.signing import Signatures, signers_file

        path = signers_file(self.identity)
        return Signatures(self.repo, path, self.folder, self.identity) if path.is_file() else None

    def sign_refs(
        self, words: str, ref: str, track_digest: str = "", study: str = "", key: Path | None = None
    ) -> str:
        """The message of a commit for ``ref``; where it will be signed, with what the signature is for."""
        if not (key or self.signing_key):
            return words
        return words + write_binding(Binding(ref, self.identity, track_digest or self.track.digest, study))

    def keep_signed(self, refs: Mapping[str, str]) -> dict[str, str]:
        """Those of ``refs`` (name -> commit) that count; all of them where no keys are listed."""
        if not self.signatures:
            return dict(refs)
        kept = self.signatures.read(refs)
        return {name: commit for name, commit in refs.items() if name in kept}

    def prefer_signed(self, found: Sequence[Version[T]]) -> list[Version[T]]:
        """Of each name the versions that a listed key signed, where there is one; else all."""
        if not self.signatures or not found:
            return list(found)
        kept = self.signatures.read_pairs((one.name, one.commit) for one in found)
        signed = {name for name, _ in kept}
        return [one for one in found if one.name not in signed or (one.name, one.commit) in kept]

    def unsigned_attempts(self) -> set[str]:
        """The ids of attempts that no listed key signed; empty where no keys are listed."""
        if not self.signatures:
            return set()
        refs = self.repo.refs(ATTEMPTS, f"{ALSO}attempts/")
        kept = {own_name(name) for name in self.signatures.read(refs)}
        return {name.removeprefix(ATTEMPTS) for name in map(own_name, refs) if name not in kept}

    def left_out(self) -> int:
        """How many results do not count, since no key on the owner's list signed them for their place."""
        return len(self.list_unsigned(SIGNED))

    def list_unsigned(self, kinds: Sequence[str]) -> dict[str, str]:
        """The refs (name -> commit) of ``kinds`` that no listed key signed; none where no keys are listed."""
        also = (ALSO + kind.removeprefix(RESULTS) for kind in kinds)
        refs = self.repo.refs(*kinds, *also) if self.signatures else {}
        kept = self.keep_signed(refs)
        return {name: commit for name, commit in refs.items() if name not in kept}

    def vouch(self, refs: Mapping[str, str], by: str, created: str) -> str:
        """Sign for results that carry no signature of their own, with this user's key; the ref that says so.

        Raises:
            UsageError: no key is named, or nothing is to be vouched for.
        """
        if not self.signing_key:
            raise UsageError(
                "no key to sign with", "export PATCHRUN_SIGNING_KEY=PATH of a key that is listed"
            )
        if not refs:
            raise UsageError(
                "there is nothing to vouch for", "`patchrun keys list` counts what does not count"
            )
        named = {place_of(name): commit for name, commit in refs.items()}
        value = Vouch(refs=named, by=by, created=created)
        binding = Binding("", self.identity, self.track.digest)
        ref = add_vouch(self.repo, value, binding, self.signing_key)
        self.forget_list()
        self.promote_runs()
        return ref

    def forget_list(self) -> None:
        """Read again whose results count, when that is asked for: vouches were added."""
        self.__dict__.pop("signatures", None)

    def promote_runs(self) -> None:
        """Give runs that were kept aside their slots, where a listed key has signed for them since."""
        if not self.signatures:
            return
        aside = {(place_of(name), commit) for name, commit in self.repo.refs(EXTRA).items()}
        kept = {name: commit for name, commit in self.signatures.read_pairs(aside) if name.startswith(RUNS)}
        there = self.repo.refs(*kept) if kept else {}
        if fresh := {name: commit for name, commit in kept.items() if name not in there}:
            self.repo.create_refs(fresh)


def own_name(ref: str) -> str:
    """The name that a ref of ``also`` is another version of; any other ref as it is."""
    return RESULTS + ref.removeprefix(ALSO).rpartition("/")[0] if ref.startswith(ALSO) else ref


def place_of(ref: str) -> str:
    """The name that a result would have if nothing stood in its way: of a run kept aside, its slot."""
    name = own_name(ref)
    return RUNS + name.removeprefix(EXTRA).rpartition("-")[0] if name.startswith(EXTRA) else name


def add_beside(repo: GitRepo, refs: Mapping[str, str]) -> None:
    """Store versions of names that are taken by what does not count; those that are there already stay."""
    with suppress(RefExists):
        repo.create_refs({f"{ALSO}{ref.removeprefix(RESULTS)}/{oid[:12]}": oid for ref, oid in refs.items()})
