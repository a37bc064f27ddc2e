"""What the runs of a study on whole scripts read in place of the data: known tokens, other ids, held-back tokens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from patchrun.adapters import probeshards, sandbox
from patchrun.adapters.shards import validation_shards
from patchrun.adapters.store import Arena
from patchrun.core import knownsource
from patchrun.core.results import Study
from patchrun.services.readiness import Site


@dataclass(frozen=True)
class StandIn:
    """``site``: where runs take place; ``instead``: shard that they see -> shard whose content they find there.

    ``known``: the realised -log p of a probe's validation tokens, None of all other studies.
    """

    site: Site
    instead: Mapping[Path, Path] = field(default_factory=dict)
    known: float | None = None


def prepare(
    arena: Arena, study: Study, site: Site, sandbox_name: str, folder: Path, held_out: Path | None = None
) -> StandIn:
    """The stand-in of a study, written below ``folder``; ``held_out``: the tokens of a final round.

    Under bubblewrap the shards stand under the names of the real ones. Without it runs are shown another folder, which
    they can tell from the real one.
    """
    data, spec = arena.track.data, arena.track.probe
    if study.secret and spec:
        secret, home = int(study.secret, 16), folder / "standin"
        if study.seed_source == "probe":
            made = probeshards.write_known(spec, data, secret, site.data, home)
            known = knownsource.realised_entropy(spec, secret, data.val_tokens)
            return _show(made, site, sandbox_name, known)
        return _show(
            probeshards.write_relabelled(spec, data, secret, site.data, home, held_out), site, sandbox_name
        )
    if held_out:
        return StandIn(site, dict.fromkeys(validation_shards(site.data, data.pattern), held_out))
    return StandIn(site)


def _show(made: probeshards.Stand, site: Site, sandbox_name: str, known: float | None = None) -> StandIn:
    for path in (made.home, *made.home.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)  # whatever the umask: a run of another uid reads it
    if sandbox.resolve(sandbox_name) == "bwrap":
        return StandIn(site, made.instead, known)
    return StandIn(replace(site, data=made.home), {}, known)
