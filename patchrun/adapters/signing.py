"""Who made a result: git's ssh signatures on commits, and the owner's list of the keys that count."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cached_property
from pathlib import Path

import msgspec

from patchrun.adapters import process
from patchrun.adapters.durable import replace_file, sync_disk
from patchrun.adapters.gitrepo import GitRepo
from patchrun.adapters.signed import own_name
from patchrun.adapters.vouches import VOUCHES, read_vouches
from patchrun.core.changelabel import BROKEN, UNBOUND, UNLISTED, UNSIGNED
from patchrun.core.errors import SetupError, UsageError
from patchrun.core.vouching import read_binding

KEY_VARIABLE = "PATCHRUN_SIGNING_KEY"
GOOD = "G"  # git's letter for a good signature of a key on the list
SIGNS = {"B": BROKEN, "N": UNSIGNED}
FEW = 16  # signatures that one process checks in half a second
Signed = tuple[str, str]  # the name of the key, and the ref that it signed for
UNKNOWN: Signed = ("", "")
PRINCIPAL = re.compile(r"[A-Za-z0-9._@+-]{1,100}")


def signing_key(environment: Mapping[str, str] = os.environ) -> Path | None:
    """The private ssh key that signs what this user makes; None when none is named.

    Raises:
        SetupError: the key that is named is not there.
    """
    named = environment.get(KEY_VARIABLE)
    if not named:
        return None
    path = Path(named).expanduser()
    if not path.is_file():
        raise SetupError(f"{KEY_VARIABLE}: no key at {path}", "name a private ssh key, or unset the variable")
    return path


def make_key(path: Path, name: str) -> str:
    """Make an ed25519 key pair at ``path``; the public key's line. SetupError in ssh-keygen's words."""
    if path.exists():
        raise UsageError(f"{path} exists", "name a new file")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise UsageError(
            f"cannot make {path}: {error.strerror}", "name a file in a folder of yours"
        ) from None
    words = ("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(path))
    done = process.run(words, timeout=60)
    if not done.ok:
        raise SetupError(f"ssh-keygen cannot make a key: {done.errors}", "name a file in a folder of yours")
    sync_disk(path)
    return path.with_name(path.name + ".pub").read_text().strip()


def signers_file(identity: str) -> Path:
    """Where the owner's list for the arena with this commitment lies: outside every arena."""
    from patchrun.adapters.homes import data_home

    return data_home() / "keys" / f"{identity}.signers"


def allow(identity: str, name: str, public_key: str) -> None:
    """Add a key to the owner's list; from then on only results that a listed key signed count.

    Raises:
        UsageError: not an ssh public key, or not a name.
    """
    words = public_key.split()
    if not PRINCIPAL.fullmatch(name):
        raise UsageError(f"not a name for a key: {name!r}", "use letters, digits and . _ @ + -")
    if len(words) < 2 or not process.run(("ssh-keygen", "-l", "-f", "-"), input=public_key.encode()).ok:
        raise UsageError("not an ssh public key", "give the .pub file that `ssh-keygen` made")
    line = f'{name} namespaces="git" {words[0]} {words[1]}'
    known = listed(identity)
    if line not in known:
        path = signers_file(identity)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        replace_file(path, "".join(f"{each}\n" for each in (*known, line)).encode())


def listed(identity: str) -> list[str]:
    """The lines of the owner's list, in git's allowed-signers form; empty when there is none."""
    path = signers_file(identity)
    return path.read_text().splitlines() if path.is_file() else []


class Signatures:
    """The signatures in ``repo`` of the keys in the list ``signers``; remembered in ``folder``, since git is slow.

    A signature counts for the place that its commit names: one ref of the arena with the commitment ``identity``.
    """

    def __init__(self, repo: GitRepo, signers: Path, folder: Path, identity: str) -> None:
        self.repo, self.signers, self.identity = repo, signers, identity
        listed_now = hashlib.sha256(signers.read_bytes()).hexdigest()[:16]
        self.memory = folder / f"bound-{listed_now}.json"

    def read(self, refs: Mapping[str, str]) -> dict[str, str]:
        """Name of a ref -> name of its signer, of those (name -> commit) that a listed key signed for this place."""
        kept = self.read_pairs((own_name(name), commit) for name, commit in refs.items())
        places = ((name, (own_name(name), commit)) for name, commit in refs.items())
        return {name: kept[place] for name, place in places if place in kept}

    def read_pairs(self, places: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
        """(name, commit) -> name of its signer, of those that a listed key signed for this name in this arena."""
        wanted = set(places)
        known = self._recall()
        if fresh := {commit for _, commit in wanted} - set(known):
            known |= dict.fromkeys(fresh, UNKNOWN) | self._check(fresh)
            self._keep(known)
        signed = ((place, known[place[1]]) for place in wanted)
        kept = {place: signer for place, (signer, ref) in signed if signer and ref == place[0]}
        return kept | {place: self._vouched[place] for place in wanted if place in self._vouched}

    @cached_property
    def _vouched(self) -> dict[tuple[str, str], str]:
        """(name, commit) -> who vouches for it (see ``core.vouching.Vouch``), of what listed keys vouch for."""
        refs = self.repo.refs(VOUCHES)
        signers = {name: self._read_own(name, commit) for name, commit in refs.items()}
        vouches = read_vouches(self.repo, {name: refs[name] for name, signer in signers.items() if signer})
        return {place: signers[name] for name, vouch in vouches.items() for place in vouch.refs.items()}

    def _read_own(self, name: str, commit: str) -> str:
        """Who signed one commit for its place, by its own signature alone; empty where nobody listed did."""
        known = self._recall()
        if commit not in known:
            known |= {commit: UNKNOWN} | self._check([commit])
            self._keep(known)
        signer, ref = known[commit]
        return signer if ref == name else ""

    def _keep(self, known: Mapping[str, Signed]) -> None:
        beside = self.memory.with_name(f"{self.memory.name}.{os.getpid()}")
        with suppress(OSError):  # an arena that can only be read is checked anew each time
            beside.write_bytes(msgspec.json.encode(known))
            beside.rename(self.memory)

    def _recall(self) -> dict[str, Signed]:
        """What was found before; nothing when the file is absent or damaged."""
        try:
            return msgspec.json.decode(self.memory.read_bytes(), type=dict[str, Signed])
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            return {}

    def _check(self, commits: Iterable[str]) -> dict[str, Signed]:
        """What git says of each; on every CPU, since it starts ssh-keygen twice for each commit."""
        asked = sorted(commits)
        parts = min(len(os.sched_getaffinity(0)), 1 + len(asked) // FEW)
        with ThreadPoolExecutor(parts) as pool:
            told = pool.map(self._ask_git, (asked[at::parts] for at in range(parts)))
            signers = {commit: name for found in told for commit, name in found.items()}
        bound = read_places(self.repo, self.identity, signers)
        return {commit: (name, bound[commit]) for commit, name in signers.items()}

    def _ask_git(self, commits: Sequence[str]) -> dict[str, str]:
        told = _tell_signatures(self.repo, self.signers, commits)
        return {commit: name for commit, letter, name in told if letter == GOOD}


def _tell_signatures(repo: GitRepo, signers: Path | str, commits: Sequence[str]) -> list[tuple[str, ...]]:
    """What git says of each commit by the list ``signers``: the commit, its letter for the signature, the signer."""
    words = ("-c", f"gpg.ssh.allowedSignersFile={signers}", "log", "--no-walk=unsorted", "--stdin")
    done = repo.git(*words, "--format=%H%x09%G?%x09%GS", input="\n".join(commits).encode())
    rows = (tuple(line.split("\t")) for line in done.stdout.decode("utf-8", "replace").splitlines())
    return [row for row in rows if len(row) == 3]


def read_places(repo: GitRepo, identity: str, commits: Iterable[str]) -> dict[str, str]:
    """Commit -> the ref of this arena that its signature is for; empty where it names none, or another arena."""
    asked = list(commits)
    bindings = [read_binding(data or b"") for data in repo.read_many(asked)]
    return {
        commit: bound.ref if bound and bound.arena == identity else ""
        for commit, bound in zip(asked, bindings, strict=True)
    }


def read_signers(repo: GitRepo, identity: str, refs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Commit -> who signed it for its place (name, commit): a listed key's name, or a sign of ``core.changelabel``.

    A listed key's signature of no place, or of another one, is UNBOUND.
    """
    names = {commit: own_name(name) for name, commit in refs}
    if not names:
        return {}
    listing = signers_file(identity)
    told = _tell_signatures(repo, listing if listing.is_file() else os.devnull, sorted(names))
    bound = read_places(repo, identity, [commit for commit, letter, _ in told if letter == GOOD])
    return {
        commit: (name if bound[commit] == names[commit] else UNBOUND)
        if letter == GOOD else SIGNS.get(letter, UNLISTED)
        for commit, letter, name in told
    }  # fmt: skip
