"""A ladder as data: what `records.toml` may say of the records, their code, their logs and how they are launched."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from patchrun.core.errors import UsageError
from patchrun.core.manifest import Count, Oid, Positive, Sha256, Strict, Unsigned, load_manifest


class Place(Strict):
    """Where the files of a baseline or a solution lie in an upstream repository.

    ``tree``: the files of ``commit``. ``log``: the source embedded in the log at path ``log`` of ``commit``,
    stored as ``script``. ``record``: the solution of ``record``. ``none``: nowhere, and ``reason`` says why.
    ``files`` pins the SHA-256 of each resulting file; ``beside`` says ``commit:path`` for those that come from
    elsewhere.
    """

    kind: Literal["tree", "log", "record", "none"]
    commit: str = ""
    log: str = ""
    script: str = ""
    record: int | None = None
    files: dict[str, Sha256] = {}
    beside: dict[str, str] = {}
    reason: str = ""

    def __post_init__(self) -> None:
        needed = {
            "tree": ("commit", "files"),
            "log": ("commit", "log", "script", "files"),
            "record": ("record",),
            "none": ("reason",),
        }
        missing = [key for key in needed[self.kind] if not getattr(self, key)]
        if missing:
            raise ValueError(f"kind {self.kind} needs {', '.join(missing)}")
        if strange := set(self.beside) - set(self.files):
            raise ValueError(f"beside names {', '.join(sorted(strange))}, which files does not pin")


class Logs(Strict):
    """The logs of a record in an upstream repository.

    ``folders``: where they lie; ``linked``: the one that upstream's own table names. ``code``: SHA-256 of the embedded
    source that counts as the record's; ``baseline_code``: of the code before it, run beside it on the same machine.
    ``based_on``: the record on whose code both were made, where that is not the one before.
    """

    folders: Annotated[tuple[str, ...], Meta(min_length=1)]
    linked: str
    based_on: int | None = None
    code: tuple[Sha256, ...] = ()
    baseline_code: tuple[Sha256, ...] = ()


class Era(Strict):
    """What the code of the records ``first``..``last`` needs to run.

    ``processes``: the GPU counts on which it trains the same; ``packages``: pinned requirements that can be installed
    today, in place of nightly builds that are gone; ``modules``: what must be importable and no registry has;
    ``kernels`` (of a hub, ``NAME`` or ``NAME@VERSION``) and ``encodings`` (of tiktoken): what the scripts fetch when
    they start; ``attention``: where the attention kernel comes from, for people.
    """

    first: Count
    last: Count
    processes: Annotated[tuple[int, ...], Meta(min_length=1)]
    attention: str
    packages: Annotated[tuple[str, ...], Meta(min_length=1)]
    modules: tuple[str, ...] = ()
    kernels: tuple[str, ...] = ()
    encodings: tuple[str, ...] = ()


class Measured(Strict):
    """Published figures: seconds and loss, mean and standard deviation over ``n`` runs."""

    n: Count
    seconds_mean: Positive
    seconds_sd: Unsigned = 0.0
    loss_mean: float | None = None
    loss_sd: float | None = None


class Record(Strict, frozen=True, kw_only=True):
    """One entry of a ladder: who, when, what, and where its code is."""

    number: Count
    date: Annotated[str, Meta(pattern=r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")]
    by: str
    ai_system: str = ""
    summary: str
    steps: int | None = None
    patch: str = ""
    baseline: Place | None = None
    solution: Place | None = None
    published_seconds: float | None = None
    baseline_seconds: float | None = None  # published, of the code before, where not the last record's
    environment_only: bool = False
    pull_request: int | None = None
    torch: str = ""  # of the record's own log
    logs: Logs | None = None
    measured: Measured | None = None
    hazards: tuple[str, ...] = ()


class Base(Strict):
    """The folder of the code before record 1, and its figures."""

    folder: str = "base"
    steps: int | None = None
    measured: Measured | None = None


class Upstream(Strict):
    """The repository that a ladder's code comes from.

    ``root``: its first commit, by which a clone is recognised. ``commit``: the one that was read; logs lie below
    ``logs`` there. ``executable``: names of files that are stored with mode 755. ``retimed``: paths of logs that
    time an old record anew.
    """

    name: str
    root: Oid
    commit: Oid
    logs: str
    executable: tuple[str, ...] = ()
    retimed: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.name


class Ladder(Strict, frozen=True, kw_only=True):
    """``records.toml``: the records in order, from 1 without a gap.

    ``hazard``: what each hazard named by a record means. ``noise_seconds``: published gains below it lie within what
    two machines of one kind differ by. ``milestones``: dates (ISO) for which totals are shown.
    """

    version: Literal[1]
    upstream: Upstream | None = None
    base: Base = Base()
    hazard: dict[str, str] = {}
    noise_seconds: Unsigned = 0.0
    milestones: tuple[str, ...] = ()
    era: tuple[Era, ...] = ()
    record: Annotated[tuple[Record, ...], Meta(min_length=1)]

    def __post_init__(self) -> None:
        self._check_order()
        self._check_names()

    def _check_order(self) -> None:
        numbers = [entry.number for entry in self.record]
        if numbers != list(range(1, len(numbers) + 1)):
            raise ValueError(f"records must be numbered 1..{len(numbers)} in order, got {numbers}")

    def _check_names(self) -> None:
        for entry in self.record:
            if unknown := sorted(set(entry.hazards) - set(self.hazard)):
                raise ValueError(f"record {entry.number}: {', '.join(unknown)} not explained in [hazard]")
            source = entry.baseline.record if entry.baseline else None
            if source is not None and not (source < entry.number and self.record[source - 1].solution):
                raise ValueError(f"record {entry.number}: record {source} has no solution to start from")

    def era_of(self, number: int) -> Era | None:
        """What the code of record ``number`` needs, None where the ladder does not say."""
        return next((era for era in self.era if era.first <= number <= era.last), None)

    def get(self, number: int) -> Record:
        """Record ``number``; UsageError when the ladder has none."""
        if not 1 <= number <= len(self.record):
            raise UsageError(f"no record {number}", f"the ladder has records 1..{len(self.record)}")
        return self.record[number - 1]


def load_ladder(text: str, name: str = "records.toml") -> Ladder:
    """Read and check ``records.toml``; ManifestError names every problem."""
    return load_manifest(Ladder, text, name)
