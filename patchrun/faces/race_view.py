"""What racing saves, as tables and as the page of the documents."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from patchrun.faces import cells

if TYPE_CHECKING:
    from patchrun.core.racesim import RaceResult, RejectResult

PAGE = """\
# Racing: what it saves and what it gets wrong

`--race` on `submit`, `run` and `tournament` ends a submission after a block when its verdict cannot change
for the better, and a run of it on its way when it cannot be faster than the baseline or reach the target any
more. The tables are made by `patchrun simulate racing --format markdown`, from fixed seeds and measured
figures: the times, losses and spreads of `baselines/pocket/race.csv` (the track's own tables) and
`baselines/nanogpt/race.csv` (published logs of the records whose baseline and human code ran five times or
more on one kind of machine). Each record counts alike.
`patchrun simulate figures` makes such a table from the logs that an arena has taken in.

## What is saved

{races}

Shares of the training seconds of full studies, in which every planned run is made.

- `looks`: of the submissions' own runs, by the early looks of the validity test alone; `racing`: in all;
  `most`: what would be saved if every submission that does not score had cost nothing.
- `all runs`: baseline and human runs too, against full studies in which three submissions that wait together
  share them; `one by one`: the same, against a full study of its own for each.
- `wrong`: submissions that were stopped though the full study scores them above 0.
- Population `mixed`: a third broken (of these a third crash somewhere in the run, a third are slower than the
  baseline by 1 to 10 gaps, a third miss the target by 5 to 60 standard deviations), a third with an FSR from
  0 to 1, a third near the human code (FSR 1, standard deviation 0.1). Population `all good`: all near the
  human code.

On the pocket track racing alone does not save half of the submissions' own runs: its rule needs five blocks
and has no early looks, so a submission that scores makes all of its runs, and what does not score is about
half (`most` is the bound, of which racing saves the greater part). Half of all compute is saved only with the
sharing of references, in `one by one`; where all are good, sharing is all that is saved. On nanogpt `racing`
can pass `most`, since a proof at an early look spares a good submission its later runs.

Without stops on the way, between blocks only:

{between}

## What was stopped, and where

{stops}

## Successive rejects

`--rejects` finds the best of one agent's submissions to a record that wait together (Audibert, Bubeck and
Munos 2010; the phases are in `patchrun/core/rejects.py`), for `leaderboard --pick best`, which values it on
new seeds. Mixed population, own runs, nothing else raced. `same`: of the studies in which one scores, those
that leave the arm that full studies find best; `FSR lost`: the mean true FSR given up against it. Under
`--pick last` a rejected submission counts 0 like every stopped one.

{rejects}

## What the figures rest on

- A stop needs that the chance to still come out right is below 0.001 at that look; who looks k times errs at
  most k times as often. It is stored with its evidence (`refs/patchrun/stops`, or `halt` in the run);
  `patchrun verify` and `sync` judge it again from the stored runs.
- After the first block nothing is known of the spread. It is then taken as 10% of the baseline's CPU seconds
  (0.5% by the arrival clock) and 1% of the target (twice the rule's own `loss_sd` where it states one), as if
  from five runs, until the study's own runs say more. That is above what either ladder shows.
- On the way a run is stopped by patchrun's own clock, at once or by its pace at a quarter, half or three
  quarters of its steps. How far it is and its losses are what the script prints: no evidence for a claim, but
  who prints them wrong stops only themselves. Stops by printed losses need three reference runs, so they come
  late and are not simulated. Tracks of whole scripts, whose runs take the whole machine, are raced between
  blocks only.
- Seconds are those of training. A crash costs what ran until then.
"""


def race_text(rows: Iterable[RaceResult], style: str = "simple") -> str:
    """What racing saves of full studies, and the share of submissions that it gets wrong."""
    headers = (
        "world", "population", "submissions", "looks", "racing", "most", "all runs", "one by one", "wrong",
    )  # fmt: skip
    table = [
        (
            r.world, r.population, r.submissions,
            *map(cells.percent, (r.saved_by_looks, r.saved, r.bound, r.saved_shared, r.saved_alone, r.wrong)),
        )
        for r in rows
    ]  # fmt: skip
    return cells.table(table, headers, style, "llrrrrrrr")


def rejects_text(rows: Iterable[RejectResult], style: str = "simple") -> str:
    """What successive rejects save, and how often they leave another than the full study's best."""
    table = [
        (r.world, r.arms, r.studies, cells.percent(r.saved), cells.percent(r.same), f"{r.given_up:.3f}")
        for r in rows
    ]
    return cells.table(
        table, ("world", "submissions", "studies", "saved", "same", "FSR lost"), style, "lrrrrr"
    )


def race_page(
    races: Sequence[RaceResult], between: Sequence[RaceResult], rejects: Sequence[RejectResult]
) -> str:
    """The page of the documents."""
    stops = [(row.world, row.population, what, count) for row in races for what, count in row.stopped.items()]
    return PAGE.format(
        races=race_text(races, "github"), between=race_text(between, "github"),
        stops=cells.table(stops, ("world", "population", "stopped by", "submissions"), "github", "lllr"),
        rejects=rejects_text(rejects, "github"),
    ).rstrip("\n")  # fmt: skip
