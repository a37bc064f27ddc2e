"""The held-back tokens of a final round: drawn or given, kept beside the owner's keys, bound to a key by hash.

They never lie in an arena, nor in the cache that runs may be shown. Those of a track with texts are stretches of the
texts that neither training nor validation uses, at places that the final key draws: all of the text is known, and
nobody but the owner knows which of it counts.
"""

from __future__ import annotations

import hashlib
import hmac
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from patchrun.adapters import corpus
from patchrun.adapters.durable import sync_disk
from patchrun.adapters.homes import data_home
from patchrun.adapters.shards import count_tokens
from patchrun.core.errors import PatchrunError, SetupError, UsageError

if TYPE_CHECKING:
    import numpy as np

    from patchrun.core.results import FinalRound
    from patchrun.core.track import DataSpec


def held_out_file(key_commitment: str) -> Path:
    """Where the held-back shard of a final key lies."""
    return data_home() / "finals" / f"{key_commitment}.bin"


def digest_tokens(key: bytes, data: bytes) -> str:
    """HMAC-SHA256 of a shard under the final key, hex: without the key no guess of the tokens can be tried."""
    return hmac.new(key, b"patchrun held-out tokens\0" + data, hashlib.sha256).hexdigest()


def draw_tokens(
    spec: DataSpec, key: bytes, tokenizer_file: Path, track_dir: Path | None = None
) -> np.ndarray:
    """``spec.final_tokens`` tokens of the texts that are held out for the final round, uint16.

    Raises:
        UsageError: the track holds no texts out.
        PatchrunError: the texts are not those that the track pins.
        SetupError: they cannot be fetched.
    """
    from tokenizers import Tokenizer

    if spec.final_tokens == 0:
        raise UsageError("this track holds no texts back for a final round", "give tokens: --tokens SHARD")
    texts = corpus.fetch_texts(spec, track_dir)
    split = corpus.split_texts(texts, spec.holdout_every, with_final=True)
    encoded = corpus.encode_texts(Tokenizer.from_file(str(tokenizer_file)), split.final)
    _require_pinned(corpus.take_evenly(encoded, spec.final_tokens), spec.digests["final"])
    return corpus.take_evenly(_turn(encoded, spec.final_tokens, key), spec.final_tokens)


def _turn(texts: Sequence[np.ndarray], total: int, key: bytes) -> list[np.ndarray]:
    """Each text from a place on that the key draws, early enough that its share of ``total`` follows it."""
    share = corpus.find_share([len(text) for text in texts], total)
    return [text[_draw(key, number, len(text) - share) :] for number, text in enumerate(texts)]


def _draw(key: bytes, number: int, most: int) -> int:
    """A whole number in [0, ``most``], 0 where there is no room: HMAC-SHA256 of the text's number."""
    word = hmac.new(key, f"held-out place|{number}".encode(), hashlib.sha256).digest()
    return int.from_bytes(word, "big") % (most + 1) if most > 0 else 0


def _require_pinned(tokens: np.ndarray, digest: str) -> None:
    """The openings of the texts are what the track pins of them, so the texts are the ones it means."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "final.bin")
        corpus.write_shard(path, tokens)
        if (found := corpus.sha256_of(path)) != digest:
            raise PatchrunError(
                f"the held-out texts are not the ones that the track pins: expected sha256 {digest}, found {found}",
                "a mirror or the track's folder may have changed",
            )


def keep_drawn(key: bytes, key_commitment: str, tokens: np.ndarray) -> tuple[str, int]:
    """Keep drawn tokens as a shard that its owner alone can read; its digest and number of tokens."""
    path = held_out_file(key_commitment)
    _open_home(path)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        made = Path(folder, path.name)
        corpus.write_shard(made, tokens)
        return _keep(key, made, path)


def digest_drawn(key: bytes, tokens: np.ndarray) -> str:
    """The digest of drawn tokens as the shard that ``keep_drawn`` would keep."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "drawn.bin")
        corpus.write_shard(path, tokens)
        return digest_tokens(key, path.read_bytes())


def keep_given(key: bytes, key_commitment: str, source: Path) -> tuple[str, int]:
    """Keep a copy of the owner's own shard; its digest and number of tokens. SetupError where it is no shard."""
    count_tokens(source)
    path = held_out_file(key_commitment)
    _open_home(path)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        made = Path(folder, path.name)
        shutil.copyfile(source, made)
        return _keep(key, made, path)


def _open_home(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise SetupError(
            f"cannot keep the held-back tokens: {error}", "set XDG_DATA_HOME to a folder you own"
        ) from None


def _keep(key: bytes, made: Path, path: Path) -> tuple[str, int]:
    count = count_tokens(made)
    made.chmod(0o600)
    digest = digest_tokens(key, made.read_bytes())
    sync_disk(made)
    made.rename(path)
    sync_disk(path)
    return digest, count


def load_tokens(final: FinalRound, key: bytes) -> bytes:
    """The shard that was committed to; SetupError when it is not on this machine or is another one."""
    path = held_out_file(final.key_commitment)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SetupError(
            f"the held-back tokens of final round {final.id} cannot be read: {path}: {error.strerror}",
            "copy them there from the machine where the round was committed to",
        ) from None
    if not hmac.compare_digest(digest_tokens(key, data), final.tokens_digest):
        raise SetupError(
            f"{path}: not the tokens that final round {final.id} committed to",
            "copy them again from the machine where the round was committed to",
        )
    return data


def show_tokens(final: FinalRound, key: bytes, folder: Path) -> Path:
    """The shard, checked, in a folder of its own below ``folder``, where a run's other uid can read it."""
    place = folder / "held-out"
    place.mkdir()
    place.chmod(0o755)
    path = place / "held_out.bin"
    path.write_bytes(load_tokens(final, key))
    path.chmod(0o644)
    return path
