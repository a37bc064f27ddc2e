"""The models that trainings left of their early moments, read and compared."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

from patchrun.adapters.modelfile import BadModel, ModelFile, NoModel, read_model
from patchrun.core.snapshots import name_moment
from patchrun.core.track import Track
from patchrun.services.training import Trained

CALL_IT = "train by calling the module that build_model() returns, as model(inputs)"
NEVER_CALLED = (
    f"the saved weights are those of no module that the script called: {CALL_IT}, save the weights of that module, "
    "and let the script end by itself"
)


def read_moments(track: Track, trainings: Iterable[Trained]) -> dict[int, ModelFile]:
    """The models before the forwards that were chosen, by the forward's number, of all trainings with one seed.

    Raises:
        BadModel: there is none, one is no model, or two trainings that should agree differ.
    """
    found: dict[int, ModelFile] = {}
    for trained in trainings:
        for number, path in trained.snapshots.items():
            if (model := _read_moment(track, number, path)) is None:
                continue
            if found.setdefault(number, model).sha256 != model.sha256 and track.seeds.deterministic:
                raise BadModel(f"two trainings with one seed differ {name_moment(number)}")
    return dict(sorted(found.items()))


def _read_moment(track: Track, number: int, path: Path) -> ModelFile | None:
    """The model before one forward; None when the script did not come to it."""
    try:
        return read_model(path, track.limits.model_mb, track.limits.parameters)
    except NoModel:
        if number == 1:
            raise BadModel(NEVER_CALLED) from None
        return None
    except BadModel as bad:
        raise BadModel(f"the model {name_moment(number)}: {bad}") from None


def require_calls(track: Track, numbers: Collection[int], loss: float) -> None:
    """BadModel where ``loss`` is below all floors and the model was called less often than there are floors.

    No model learns so much in so few updates: the script trains it without calling it.
    """
    floors = track.evidence.min_loss_steps
    if floors and len(floors) not in numbers and loss < floors[-1]:
        raise BadModel(f"its loss is {loss:.3f} after fewer than {len(floors)} calls of the model: {CALL_IT}")
