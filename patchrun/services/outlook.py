"""What an arena knows of a record before any run of a study: from its ladder and the logs that were taken in."""

from __future__ import annotations

from functools import cached_property

from patchrun.adapters.store import Arena
from patchrun.core import outlook
from patchrun.core.ladderstats import Row, build_rows
from patchrun.core.progress import planned_blocks
from patchrun.core.selection import Span
from patchrun.services.ladderbook import local_samples
from patchrun.services.upstream_logs import read_facts


class Outlook:
    """Looks things up once, when they are asked for."""

    def __init__(self, arena: Arena) -> None:
        self.arena = arena

    @cached_property
    def rows(self) -> list[Row]:
        """The ladder by published times and logs."""
        arena = self.arena
        return build_rows(arena.ladder, arena.track.target.loss, arena.code, read_facts(arena))

    @cached_property
    def measured(self) -> list[Row]:
        """The ladder with the arena's own runs before all else."""
        arena, local = self.arena, local_samples(self.arena.runs())
        return build_rows(arena.ladder, arena.track.target.loss, arena.code, (), local)

    def obstacle(self, span: Span) -> str:
        """Why ``span`` cannot be scored, empty when nothing is known against it.

        Own runs can lift what published times say, never the other way round: a study must not decide on the next.
        """
        found = outlook.find_obstacle(self.arena.ladder, self.rows, span)
        return "" if found and outlook.is_gap_shown(self.measured, span) else found

    def blocks(self, span: Span) -> int:
        """The blocks that a study of ``span`` plans: its rule's, or by the power at the human's margin."""
        rule = self.arena.track.rule
        if not rule.looks:
            return rule.blocks
        return planned_blocks(rule, outlook.find_margin(self.rows, self.arena.track.target.loss, span))
