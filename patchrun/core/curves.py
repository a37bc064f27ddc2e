"""Loss curves of several runs of an arm as one, on a grid of times that all arms share: for people, never evidence."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from patchrun.core.results import Run

Curve = tuple[float | None, ...]


def draw_curves(runs: Sequence[Run], columns: int) -> dict[str, Curve]:
    """Kind of arm -> mean loss in each of ``columns`` equal slices of time from 0 to the latest step of all.

    The loss at the end of a slice is that of the last step line that had arrived. None before an arm's first
    step line, and after the slice in which its last run ended. Arms without step lines are left out.
    """
    timed = {
        id(run): [(point.at, point.loss) for point in run.curve if point.loss is not None] for run in runs
    }
    longest = max((points[-1][0] for points in timed.values() if points), default=0.0)
    if longest <= 0 or columns < 1:
        return {}
    found: dict[str, Curve] = {}
    for kind in ("baseline", "human", "submission"):
        own = [timed[id(run)] for run in runs if run.kind == kind and timed[id(run)]]
        if own:
            found[kind] = tuple(
                _mean_at(own, longest * (k + 1) / columns, longest / columns) for k in range(columns)
            )
    return found


def _mean_at(curves: Sequence[Sequence[tuple[float, float]]], time: float, slice_: float) -> float | None:
    if all(curve[-1][0] <= time - slice_ for curve in curves):
        return None
    values = [
        curve[at - 1][1] for curve in curves if (at := bisect_right([point[0] for point in curve], time))
    ]
    return sum(values) / len(values) if values else None
