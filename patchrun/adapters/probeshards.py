"""Shards that stand in place of the data's, under the same names, of the same sizes: known tokens, or other ids."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from patchrun.adapters.corpus import write_shard
from patchrun.adapters.shards import HEADER_BYTES, VALIDATION, count_tokens
from patchrun.core import knownsource

if TYPE_CHECKING:
    import numpy as np

    from patchrun.core.track import DataSpec, ProbeSpec


@dataclass(frozen=True)
class Stand:
    """``home``: the folder above ``data/`` of the shards that were made; ``instead``: each real shard -> its own."""

    home: Path
    instead: Mapping[Path, Path]


def write_known(spec: ProbeSpec, data: DataSpec, secret: int, real: Path, home: Path) -> Stand:
    """A probe's shards below ``home``, one for each below ``real``.

    The validation shards hold the stretch of ``data.val_tokens`` targets and go on with training tokens. After
    ``spec.train_tokens`` the training shards begin anew.
    """
    source = knownsource.make_source(spec, secret)
    stand = _plan(data, real, home)
    stretch = knownsource.draw_validation(source, secret, data.val_tokens).tokens
    kinds = {True: [], False: []}
    for path in sorted(stand.instead):
        kinds[VALIDATION in path.name].append(path)
    drawn = _draw_training(spec, source, secret, [count_tokens(path) for path in kinds[False]])
    for path, tokens in zip(kinds[False], _repeat(drawn, kinds[False]), strict=True):
        _write(stand.instead[path], tokens)
    rest = stretch
    for path in kinds[True]:
        count = count_tokens(path)
        _write(stand.instead[path], _fill(rest[:count], drawn[0], count))
        rest = rest[count:]
    return stand


def write_relabelled(
    spec: ProbeSpec, data: DataSpec, secret: int, real: Path, home: Path, held_out: Path | None = None
) -> Stand:
    """The data under a secret permutation of ids, special ids kept.

    ``held_out``: a shard that stands for all validation shards.
    """
    import numpy as np

    stand = _plan(data, real, home)
    table = knownsource.permute_ids(spec, secret)
    for path, made in stand.instead.items():
        shown = held_out if held_out and VALIDATION in path.name else path
        _write(made, table[np.fromfile(shown, np.uint16, offset=HEADER_BYTES)])
    return stand


def _plan(data: DataSpec, real: Path, home: Path) -> Stand:
    paths = sorted(real.glob(data.pattern))
    return Stand(home, {path: home / path.relative_to(real) for path in paths})


def _draw_training(
    spec: ProbeSpec, source: knownsource.Source, secret: int, counts: Sequence[int]
) -> list[np.ndarray]:
    """As many shards of the largest size as ``train_tokens`` allows, one at least and no more than there are."""
    size = max(counts)
    number = max(1, min(len(counts), spec.train_tokens // size))
    return [knownsource.draw_training(source, secret, each, size) for each in range(number)]


def _repeat(drawn: Sequence[np.ndarray], paths: Sequence[Path]) -> Iterator[np.ndarray]:
    for number, path in enumerate(paths):
        yield drawn[number % len(drawn)][: count_tokens(path)]


def _fill(tokens: np.ndarray, more: np.ndarray, count: int) -> np.ndarray:
    """``tokens``, then ``more`` over and over, ``count`` in all."""
    import numpy as np

    return np.concatenate([tokens, np.resize(more, count - len(tokens))])


def _write(path: Path, tokens: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_shard(path, tokens)
    path.chmod(0o644)  # whatever the umask: a run of another uid reads it
