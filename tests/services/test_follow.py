"""Following studies in a queue that is made up: what is told, what is taken out of it, when it ends."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from patchrun.adapters.store import Arena
from patchrun.core.results import Study
from patchrun.core.slurmconfig import Settings
from patchrun.core.tasks import Stand, Task
from patchrun.services import tournament
from patchrun.services.executor import Watcher
from patchrun.services.follow import Follow
from patchrun.services.study import Progress, judge_arms
from tests.services.test_race import GOOD, LOST, fill_blocks
from tests.services.test_tournament import hand_in

LOSSES = 4.5  # far above the track's target


class MadeUpQueue:
    """Holds the tasks that it is given; notes what is handed in and dropped."""

    settings = Settings(retries=1)

    def __init__(self, arena: Arena) -> None:
        self.arena = arena
        self.handed_in: list[int] = []
        self.dropped: list[int] = []

    def state(self, studies: Sequence[Study]) -> list[Task]:
        return []

    def recall(self, study: Study) -> list[Task]:
        return []

    def hand_in(self, study: Study, blocks: Sequence[int], watcher: Watcher) -> None:
        self.handed_in += blocks

    def drop(self, tasks: Sequence[Task]) -> None:
        self.dropped += [task.block for task in tasks]

    def bring(self) -> None: ...

    def note(self, task: Task) -> None: ...

    def logs(self, study: Study) -> dict[str, bytes]:
        return {}


class Heard:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.news: list[Progress] = []

    def on_progress(self, progress: Progress) -> None:
        self.news.append(progress)

    def on_wait(self) -> None: ...

    def tell(self, line: str) -> None:
        self.lines.append(line)

    @property
    def ended(self) -> list[str]:
        return [one.arm.name for one in self.news if one.stop]


def tasks_of(study: Study, *stands: Stand) -> list[Task]:
    """A task a block, as the queue tells of them."""
    return [
        Task(study=study.id, job="7", block=block, stand=stand, node="n1" if stand == "running" else "")
        for block, stand in enumerate(stands)
    ]


@pytest.fixture
def lost(plain: Arena) -> tuple[Study, str]:
    """A study of five blocks with one submission, far from the target; nothing is run yet."""
    name = hand_in(plain, LOST).attempt.id
    [study] = tournament.plan_waiting(plain)
    plain.add_study(study)
    return study, name


def race(arena: Arena, study: Study) -> None:
    for stop in judge_arms(arena, study):
        arena.add_stop(stop)


def test_what_racing_has_decided_is_told_once_and_leaves_the_queue(plain: Arena, lost) -> None:
    """Block 4 is in training and block 5 waits: nobody needs them. Block 3 is stored and about to end."""
    study, name = lost
    queue, heard = MadeUpQueue(plain), Heard()
    follow = Follow(queue, study, heard)
    fill_blocks(plain, study, range(2), {name: LOSSES})
    assert not follow.look(tasks_of(study, "done", "done", "running", "running", "waiting"))
    assert queue.dropped == [] and heard.ended == []
    fill_blocks(plain, study, range(2, 3), {name: LOSSES})
    race(plain, study)
    assert follow.look(tasks_of(study, "done", "done", "running", "running", "waiting"))
    assert queue.dropped == [3, 4] and heard.ended == [name]
    assert heard.lines[-1] == "record 1: decided; taken out of the queue: block 4, 5"
    assert len([one for one in heard.news if one.run]) == 9 and queue.handed_in == []


def test_a_study_goes_on_for_the_arms_that_are_left(plain: Arena) -> None:
    name, good = hand_in(plain, LOST).attempt.id, hand_in(plain, GOOD, agent="bob").attempt.id
    [study] = tournament.plan_waiting(plain)
    queue, heard = MadeUpQueue(plain), Heard()
    follow = Follow(queue, study, heard)
    fill_blocks(plain, study, range(3), {name: LOSSES})
    race(plain, study)
    for _ in range(2):
        assert not follow.look(tasks_of(study, "done", "done", "done", "running", "lost"))
    assert heard.ended == [name] != [good] and queue.dropped == [] and queue.handed_in == [4]
    fill_blocks(plain, study, range(3, 5), {})
    assert follow.look(tasks_of(study, "done", "done", "done", "done", "running"))
    assert queue.dropped == [] and heard.ended == [name]


def test_a_stop_that_was_there_before_is_not_news(plain: Arena, lost) -> None:
    study, name = lost
    fill_blocks(plain, study, range(3), {name: LOSSES})
    race(plain, study)
    queue, heard = MadeUpQueue(plain), Heard()
    assert Follow(queue, study, heard).look(tasks_of(study, "done", "done", "done"))
    assert (heard.news, heard.lines, queue.dropped) == ([], [], [])
