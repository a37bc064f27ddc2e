"""What racing saves on stated populations, from figures like the ladders' own."""

from __future__ import annotations

import pytest
from builders import make_track

from patchrun.core import racesim
from patchrun.core.errors import UsageError
from patchrun.core.logfacts import LogFact
from patchrun.core.racesim import simulate_race, simulate_rejects
from patchrun.core.raceworlds import GOOD, MIXED, World, make_world, measure_figures

HEAD = "record,baseline_seconds,human_seconds,seconds_sd,loss_mean,loss_sd,n\n"
POCKET = make_world(
    make_track(), "# as measured\n" + HEAD + "1,10,7,0.3,3.72,0.012,5\n2,7,6,0.2,3.735,0.010,5\n", "p"
)
LOOKS = {"kind": "t-test", "blocks": 5, "alpha": 0.01, "looks": (5, 9, 16, 25), "loss_sd": 0.0013}
WHOLE = make_track(
    rule=LOOKS, clock={"source": "arrival"}, launch={"script": "t.py", "kind": "torchrun"}, evidence={"kind": "log"},
)  # fmt: skip
NANOGPT = make_world(WHOLE, HEAD + "9,165,163,0.1,3.748,0.0013,10\n10,163,160,0.1,3.7478,0.0012,10\n", "n")


def test_a_world_is_a_track_with_measured_figures() -> None:
    assert (POCKET.name, POCKET.target, POCKET.inside, NANOGPT.inside) == ("pocket", 3.75, True, False)
    assert POCKET.records[0].gap == 3.0
    assert POCKET.looks(POCKET.records[0]) == (5,)
    looks = NANOGPT.looks(NANOGPT.records[0])
    assert looks[0] == 5 and looks == LOOKS["looks"][: len(looks)], (
        "as many blocks as the human's margin needs"
    )


@pytest.mark.parametrize(
    "text",
    ["", "record,seconds\n1,2\n", HEAD, HEAD + "1,10,x,1,3,1,5\n", HEAD + "1,7,10,1,3,1,5\n", HEAD + "1,10,7,0,3,1,5\n",
     HEAD + "1,10\n"],
)  # fmt: skip
def test_figures_that_cannot_be_raced_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"^figs\.csv: "):
        make_world(make_track(), text, "figs.csv")


def test_half_is_saved_where_the_rule_has_looks() -> None:
    found = simulate_race(NANOGPT, MIXED, studies=40, seed=1)
    assert found.saved >= 0.45 and found.saved > found.saved_by_looks + 0.1, "racing adds to the early looks"
    assert found.saved_alone > found.saved_shared > 0.35
    assert found.wrong < 0.01 and sum(found.stopped.values()) >= 15


def test_with_five_fixed_blocks_most_of_what_can_be_saved_is() -> None:
    found = simulate_race(POCKET, MIXED, studies=60, seed=1)
    assert found.saved_by_looks == 0
    assert 0.8 * found.bound < found.saved < found.bound
    assert found.saved_alone >= 0.5, "with references shared by three"
    assert found.wrong < 0.01


@pytest.mark.parametrize("world", [POCKET, NANOGPT])
def test_nothing_is_lost_when_all_are_good(world: World) -> None:
    found = simulate_race(world, GOOD, studies=40, seed=2)
    assert (found.wrong, found.stopped) == (0, {})
    assert found.saved == pytest.approx(found.saved_by_looks)


def test_a_careless_confidence_costs_decisions() -> None:
    careful = simulate_race(POCKET, MIXED, studies=50, seed=3)
    careless = simulate_race(POCKET, MIXED, studies=50, seed=3, confidence=0.5)
    assert careless.saved > careful.saved
    assert careless.wrong > careful.wrong


def test_who_waits_alone_shares_nothing() -> None:
    alone = simulate_race(POCKET, GOOD, studies=20, together=1)
    assert alone.saved_alone == pytest.approx(alone.saved_shared) == pytest.approx(0)
    three = simulate_race(POCKET, GOOD, studies=20, together=3)
    assert three.saved_shared == pytest.approx(0)
    assert 0.4 < three.saved_alone < 0.55, "two of three studies' references, which are two arms of three"


def test_between_blocks_alone_saves_less_and_still_loses_nothing() -> None:
    between = simulate_race(POCKET, MIXED, studies=60, seed=1, inside=False)
    assert 0.1 < between.saved < simulate_race(POCKET, MIXED, studies=60, seed=1).saved
    assert between.wrong == 0
    assert all(what.endswith("between blocks") for what in between.stopped)


def test_the_tables_are_reproducible_and_name_their_rows() -> None:
    worlds = (POCKET, NANOGPT)
    rows = racesim.tabulate_races(worlds, studies=4)
    assert [(row.world, row.population) for row in rows] == [("pocket", MIXED), ("pocket", GOOD)] * 2
    assert rows == racesim.tabulate_races(worlds, studies=4)
    rejects = racesim.tabulate_rejects(worlds, studies=4)
    assert [row.arms for row in rejects] == [3, 5, 10], "a rule with looks has no one number of blocks"


def test_rejects_save_more_the_more_there_are_and_keep_the_best() -> None:
    few, many = (simulate_rejects(POCKET, count, studies=60) for count in (3, 9))
    assert 0 < few.saved < many.saved
    assert few.same > 0.9 and many.same > 0.8
    assert few.given_up < 0.05 and many.given_up < 0.05


def test_an_unknown_population_is_an_error() -> None:
    with pytest.raises(KeyError):
        simulate_race(POCKET, "saints")


def test_figures_come_from_logs_of_both_arms_on_one_kind_of_machine() -> None:
    def logs(record: int, arm: str, seconds: list[float], gpu: str = "H100") -> list[LogFact]:
        return [
            LogFact(
                path=f"{record}{arm}{k}", digest=f"{record}{arm}{gpu}{k}", record=record, arm=arm, steps=10, reached=10,
                seconds=time, loss=3.27 + 0.001 * k, gpu=gpu, gpus=8,
            )
            for k, time in enumerate(seconds)
        ]  # fmt: skip

    base, human = [165.0, 165.2, 165.4, 165.2, 165.2], [163.0, 163.2, 163.4, 163.2, 163.2]
    facts = logs(2, "baseline", base) + logs(2, "human", human)
    facts += logs(3, "baseline", base) + logs(3, "human", human, gpu="H200") + logs(4, "human", human)
    text = measure_figures(facts, [2, 3, 4])
    assert text.splitlines() == [HEAD.strip(), "2,165.20,163.20,0.141,3.2720,0.0016,5"]
    assert make_world(WHOLE, text, "figures").records[0].gap == pytest.approx(2)
