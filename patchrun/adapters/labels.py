"""Labels of changes in an arena, with who signed them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from patchrun.adapters.gitrepo import PATCHRUN, GitRepo, RefExists
from patchrun.core import results
from patchrun.core.changelabel import ChangeLabel, Signed
from patchrun.core.versions import Version

LABELS = "refs/patchrun/labels/"


class LabelFiles:
    """The part of an arena that reads and writes labels."""

    repo: GitRepo
    identity: str
    signing_key: Path | None
    sign_refs: Callable[..., str]
    _read_all: Callable[..., list[Version[ChangeLabel]]]

    def labels(self, subject: str = "") -> list[Signed]:
        """Labels of changes with who signed them, oldest first; of one ``subject`` only where it is named."""
        from patchrun.adapters.signing import read_signers

        found = self._read_all(LABELS + (f"{subject}/" if subject else ""), "label.json", ChangeLabel)
        signers = read_signers(
            self.repo, self.identity, [(version.name, version.commit) for version in found]
        )
        signed = [Signed(version.value, signers.get(version.commit, "")) for version in found]
        return sorted(signed, key=lambda one: (one.label.created, one.label.subject, one.label.by))

    def add_label(self, label: ChangeLabel, key: Path | None = None) -> None:
        """Store the label of a change, signed with ``key``, else with the user's key if one is named."""
        data = results.encode(label)
        tree = self.repo.store_files({"label.json": data})
        words = f"label {label.subject}: {label.depth}, {label.provenance} by {label.by}\n"
        words = self.sign_refs(words, LABELS + label_name(label), key=key)
        commit = self.repo.commit(tree, [], words, PATCHRUN, label.created, key or self.signing_key)
        with suppress(RefExists):  # its name is its content: it was stored before
            self.repo.create_refs({LABELS + label_name(label): commit})


def label_name(label: ChangeLabel) -> str:
    """``<subject>/<hash of its content>``."""
    return f"{label.subject}/{hashlib.sha256(results.encode(label)).hexdigest()[:12]}"
