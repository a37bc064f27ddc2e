"""What `verify` and `sync` ask of probes: do their figures follow from their secret, do they end arms as was said."""

from __future__ import annotations

from collections.abc import Iterable

from patchrun.core import knownsource, lossprobe
from patchrun.core.results import Probe, StopRecord, Study
from patchrun.core.track import Track
from patchrun.services.held import Held


def is_realised(track: Track, study: Study, probe: Probe) -> bool:
    """The realised -log p is that of the tokens which follow from the study's secret; true of a probe of another track.

    Raises:
        ValueError: the secret is no number.
    """
    if track.probe is None or study.track_digest != track.digest:
        return True
    targets = track.data.val_tokens
    known = knownsource.realised_entropy(track.probe, int(study.secret, 16), targets)
    return probe.tokens == targets and abs(probe.realised - known) < 1e-9 and bool(probe.losses)


def is_caught(held: Held, studies: Iterable[Study], study: Study, stop: StopRecord) -> bool:
    """The probes among ``studies`` speak against the code of the arm that was stopped."""
    code = next(arm.ast_digest for arm in study.arms if arm.name == stop.arm)
    own = [one for one in studies if lossprobe.covers(one, study.track_digest, study.record, code)]
    runs = [run for one in own for run in held.runs_of(one)]
    found = lossprobe.judge(held.arena.track, own, runs, code)
    return found is not None and found.verdict is not None
