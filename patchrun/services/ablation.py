"""ablate: cut a submission into pieces, plan the studies that tell what each is worth, run them, read them.

Variants are no attempts: they have no ref of their own below ``submissions``, their studies have a seed source of
their own, and nothing that ranks reads those.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from patchrun.adapters import ablations
from patchrun.adapters.gitrepo import PATCHRUN
from patchrun.adapters.store import Arena
from patchrun.core import ablation, plan
from patchrun.core.ablation import Ablation
from patchrun.core.errors import UsageError
from patchrun.core.minimal import Subset
from patchrun.core.pieces import COARSE, Piece, coarsen
from patchrun.core.results import Arm, Attempt, Study, content_id
from patchrun.core.stages import Stage, VariantArm
from patchrun.services import cost, tournament
from patchrun.services.pieces import Patchwork

LEAST_BLOCKS = 4  # with fewer, Holm's correction over three pieces asks for effects of ten sd
BUDGET = 200


@dataclass(frozen=True)
class Prospect:
    """What an ablation will take: of the first stage exactly, of the search at most what is left of the budget.

    ``seconds``: of training in the first stage, from the ladder's figures; None where it has none.
    """

    pieces: tuple[Piece, ...]
    blocks: int
    runs: int
    stored: int
    budget: int
    seconds: float | None
    with_alone: bool


@dataclass
class Planner:
    """One submission's ablation on its way: its pieces and its stages so far."""

    arena: Arena
    attempt: Attempt
    blocks: int
    budget: int
    stages: list[Stage] = field(init=False)
    patchwork: Patchwork = field(init=False)

    def __post_init__(self) -> None:
        self.stages = find_stages(self.arena, self.attempt, self.blocks)
        known = self.stages[0].pieces if self.stages else ()
        self.patchwork = Patchwork(self.arena, self.attempt, known)
        most = self.budget // self.blocks - 2
        if any(COARSE in piece.reason for piece in known):
            finer = coarsen(Patchwork(self.arena, self.attempt).pieces, most)
            if len(finer) > len(known):  # a larger budget than before: begin again, with smaller pieces
                self.stages, self.patchwork.pieces = [], tuple(finer)
        elif not known:
            self.patchwork.pieces = tuple(coarsen(self.patchwork.pieces, most))

    def first(self) -> tuple[Stage, Study, list[str]]:
        """Every piece left out and, as far as the budget goes, put on alone."""
        everything = self.patchwork.everything
        subsets = [everything - {k} for k in sorted(everything)]
        alone = [frozenset({k}) for k in sorted(everything)]
        if self._count([*subsets, *alone]) <= self.budget:
            subsets += alone
        return self.make("each", subsets)

    def follow(self) -> tuple[Stage, Study, list[str]] | None:
        """The next stage of the search; None when it is over, when nothing is to be kept, or the budget is spent."""
        found = self.judge()
        if found is None or found.search is None or found.search.is_over:
            return None
        made = self.make("delta" if len(found.search.wanted) > 1 else "greedy", found.search.wanted)
        runs = made[1].blocks * len(made[1].arms)
        return made if found.runs_planned + runs <= self.budget else None

    def judge(self) -> Ablation | None:
        """What the stored stages say."""
        return judge_stages(self.arena, self.stages)

    def make(self, purpose: str, subsets: Iterable[Subset]) -> tuple[Stage, Study, list[str]]:
        """A stage for ``subsets``, its study and the commits of its variants; nothing is stored."""
        references = self._references()
        arms, variants, refused = list(references), self._known_variants(references), []
        for subset in subsets:
            variant = self.patchwork.variant(subset)
            if variant.problem:
                refused.append(tuple(sorted(subset)))
                continue
            arm = next((arm for arm in arms if arm.ast_digest == variant.ast_digest), None)
            if variant.ast_digest == self.patchwork.baseline_digest:
                arm = references[0]
            elif arm is None:
                arm = self._arm(variant.tree, variant.ast_digest)
                arms.append(arm)
            variants.setdefault(tuple(sorted(subset)), arm.name)
        study = self._study(_arrange(arms))
        stage = Stage(
            submission=self.attempt.id, track_digest=self.attempt.track_digest, number=len(self.stages) + 1,
            purpose=purpose, study=study.id, pieces=self.patchwork.pieces, created=study.created,
            variants=tuple(VariantArm(pieces, arm) for pieces, arm in variants.items()), refused=tuple(refused),
        )  # fmt: skip
        return stage, study, [arm.commit for arm in study.arms]

    def add(self, stage: Stage, study: Study, commits: Sequence[str]) -> None:
        """Store a stage; one that another process stored first is taken as it is."""
        ablations.add_stage(self.arena, stage, study, commits)
        self.stages = find_stages(self.arena, self.attempt, self.blocks)

    def _references(self) -> tuple[Arm, Arm]:
        baseline = tournament.reference_arms(self.arena, self.attempt.span)[0]
        full = Arm(
            name=self.attempt.id, kind="submission", commit=self.arena.submission(self.attempt.id),
            tree=self.attempt.patched_tree, ast_digest=self.attempt.ast_digest,
        )  # fmt: skip
        return baseline, full

    def _known_variants(self, references: tuple[Arm, Arm]) -> dict[tuple[int, ...], str]:
        everything = tuple(sorted(self.patchwork.everything))
        return {(): references[0].name, everything: references[1].name}

    def _arm(self, tree: str, ast_digest: str) -> Arm:
        repo, baseline = self.arena.repo, self.attempt.baseline_commit
        name = content_id("variant", self.attempt.id, tree)
        when = repo.python.commit(baseline).committed_datetime.isoformat()
        commit = repo.commit(tree, [baseline], f"variant {name} of {self.attempt.id}\n", PATCHRUN, when)
        return Arm(name=name, kind="submission", commit=commit, tree=tree, ast_digest=ast_digest)

    def _study(self, arms: Sequence[Arm]) -> Study:
        """The seeds follow from the study's id: they count for nothing, so none of the owner's is spent on them."""
        track, words = self.arena.track, f"ablation of {self.attempt.id}, {self.blocks} blocks"
        name = plan.study_id(track.digest, self.attempt.record, arms, len(self.stages), words)
        return Study(
            id=name, track=track.name, track_digest=track.digest, record=self.attempt.record, arms=tuple(arms),
            seeds=plan.derive_seeds(name.encode(), name, self.blocks), seed_source="ablation",
            created=tournament.now(),
        )  # fmt: skip

    def _count(self, subsets: Sequence[Subset]) -> int:
        """Runs of a stage with these subsets at most."""
        return self.blocks * (2 + len(subsets))


def _arrange(arms: Sequence[Arm]) -> list[Arm]:
    """The baseline first and the whole patch amid its variants, so that what is compared runs close in time."""
    baseline, full, *variants = arms
    half = (len(variants) + 1) // 2
    return [baseline, *variants[:half], full, *variants[half:]]


def find_stages(arena: Arena, attempt: Attempt, blocks: int | None = None) -> list[Stage]:
    """The stages of the ablation of a submission under the present track, in order; the newest one's of several.

    Ablations that differ in their number of blocks or in their pieces are different ones.
    """
    studies = {study.id: study for study in arena.studies()}
    stages = [
        stage for stage in ablations.read_stages(arena, attempt.id)
        if stage.track_digest == arena.track.digest and stage.study in studies
        and blocks in (None, studies[stage.study].blocks)
    ]  # fmt: skip
    if not stages:
        return []
    last = max(
        (stage for stage in stages if stage.number == 1), key=lambda stage: stage.created, default=stages[-1]
    )
    count = studies[last.study].blocks
    own = [stage for stage in stages if stage.pieces == last.pieces and studies[stage.study].blocks == count]
    once = {stage.study: stage for stage in reversed(own)}  # arenas that met may both have planned it
    return sorted(once.values(), key=lambda stage: stage.number)


def judge_stages(arena: Arena, stages: Sequence[Stage]) -> Ablation | None:
    """What stages of one ablation say; None of no stages."""
    if not stages:
        return None
    wanted = {stage.study for stage in stages}
    studies = {study.id: study for study in arena.studies() if study.id in wanted}
    return ablation.judge(arena.track, stages, studies, arena.runs_of(studies.values()))


def read_ablation(arena: Arena, attempt: Attempt) -> Ablation | None:
    """The newest ablation of a submission, from what is stored; None where there is none."""
    return judge_stages(arena, find_stages(arena, attempt))


def default_blocks(arena: Arena) -> int:
    """The blocks of the track's rule, at least ``LEAST_BLOCKS``."""
    return max(arena.track.rule.blocks, LEAST_BLOCKS)


def make_planner(arena: Arena, attempt: Attempt, budget: int = BUDGET, blocks: int | None = None) -> Planner:
    """The planner of a submission's ablation.

    Raises:
        UsageError: it was rejected, is of another state of the track, or the budget does not take one piece.
    """
    if not attempt.accepted:
        raise UsageError(f"{attempt.id} was rejected: there is nothing to ablate", "`patchrun show` says why")
    if attempt.track_digest != arena.track.digest:
        raise UsageError(f"{attempt.id} was made under another state of the track", "hand it in again")
    chosen = blocks or default_blocks(arena)
    if budget < 3 * chosen:
        raise UsageError(
            f"a budget of {budget} runs is less than one piece takes with {chosen} blocks",
            f"say --budget-runs {3 * chosen} or more, or fewer --blocks",
        )
    return Planner(arena, attempt, chosen, budget)


def foresee(planner: Planner) -> Prospect:
    """What it would take; nothing is stored."""
    stage, study, _ = _first_stage(planner)
    begun = {one.study for one in planner.stages}
    stored = len(planner.arena.runs_of(one for one in planner.arena.studies() if one.id in begun))
    runs = study.blocks * len(study.arms)
    each = cost.seconds_before(planner.arena, planner.attempt.span.first)
    seconds = None if each is None else round(each * planner.arena.track.clock.repeats * runs, 1)
    with_alone = any(len(one.pieces) == 1 for one in stage.variants) or len(stage.pieces) < 2
    return Prospect(stage.pieces, study.blocks, runs, stored, planner.budget, seconds, with_alone)


def _first_stage(planner: Planner) -> tuple[Stage, Study, list[str]]:
    if not planner.stages:
        return planner.first()
    stored = next(study for study in planner.arena.studies() if study.id == planner.stages[0].study)
    return planner.stages[0], stored, [arm.commit for arm in stored.arms]


def ablate(planner: Planner, run: Callable[[Study], None]) -> Ablation:
    """Run what is missing, stage after stage, until the search is over or the budget spent; resumes by itself.

    ``run`` measures a study (see ``study.run_study``) and returns when it has all its runs.
    """
    if not planner.stages:
        planner.add(*planner.first())
    for stage in list(planner.stages):
        run(_study_of(planner.arena, stage))
    while made := planner.follow():
        known = len(planner.stages)
        planner.add(*made)
        if len(planner.stages) == known:
            break
        run(_study_of(planner.arena, planner.stages[-1]))
    found = planner.judge()
    assert found
    return found


def _study_of(arena: Arena, stage: Stage) -> Study:
    return next(study for study in arena.studies() if study.id == stage.study)


def is_whole(planner: Planner) -> bool:
    """Every stored stage has all its runs and no further one follows."""
    found = planner.judge()
    return found is not None and found.runs_stored >= found.runs_planned and planner.follow() is None
