"""Copies of a model on its way, made in this process: which module is followed, and what is written of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional as F

from patchrun.core import snapshots as numbers
from patchrun.launch import launcher
from patchrun.launch.snapshots import Recorder, write_file

V, T, W = 11, 6, 8
Change = Callable[[nn.Module], None]


class Tiny(nn.Module):
    """Token ids [B, T] to logits [B, T, V]."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.norm, self.head = nn.Embedding(V, W), nn.LayerNorm(W), nn.Linear(W, V)
        self.register_buffer("scale", torch.ones(1))
        self.register_buffer("cache", torch.zeros(3), persistent=False)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.head(self.norm(self.table(ids) * self.scale))


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    made = Recorder(torch, 1 << 20)
    made.wanted = frozenset({1, 2, 4})
    yield made
    made.hook.remove()


def ids() -> torch.Tensor:
    return torch.arange(2 * T).view(2, T) % V


def step(model: Callable[..., torch.Tensor], parameters: list[nn.Parameter], rounds: int = 1) -> None:
    """One update of plain descent after ``rounds`` forwards and backwards."""
    for _ in range(rounds):
        F.cross_entropy(model(ids()).flatten(0, 1), ids().flatten()).backward()
    with torch.no_grad():
        for parameter in parameters:
            if parameter.grad is not None:
                parameter -= 0.1 * parameter.grad
                parameter.grad = None


def written(
    recorder: Recorder, folder: Path, saved: dict[str, torch.Tensor]
) -> dict[int, dict[str, torch.Tensor]]:
    """What is written for a script that saved ``saved``: number -> name -> tensor."""
    save_file({name: value.clone() for name, value in saved.items()}, folder / "model.safetensors")
    (folder / "copies").mkdir()
    recorder.write(folder / "copies", folder / "model.safetensors")
    return {int(path.stem): load_file(path) for path in (folder / "copies").iterdir()}


def train(model: nn.Module, calls: int = 5, through: Callable[..., torch.Tensor] | None = None) -> list[dict]:
    """Train; the states before each call."""
    states = []
    for _ in range(calls):
        states.append({name: value.clone() for name, value in model.state_dict().items()})
        step(model if through is None else through, list(model.parameters()))
    return states


def same(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> bool:
    return found.keys() == expected.keys() and all(torch.equal(found[name], expected[name]) for name in found)


def test_the_signal_is_what_the_launcher_reads():
    assert (numbers.START.format, numbers.START.size) == (launcher.START.format, launcher.START.size)


def test_copies_are_the_states_before_the_wanted_calls(recorder: Recorder, tmp_path: Path):
    model = Tiny()
    states = train(model)
    found = written(recorder, tmp_path, model.state_dict())
    assert set(found) == {1, 2, 4}
    assert all(same(found[number], states[number - 1]) for number in found)
    assert "cache" not in found[1] and "scale" in found[1]


def test_nothing_is_drawn_and_nothing_changes(tmp_path: Path):
    def result() -> tuple[torch.Tensor, torch.Tensor]:
        torch.manual_seed(3)
        model = Tiny()
        train(model)
        return model.head.weight.detach().clone(), torch.get_rng_state()

    plain = result()
    recorder = Recorder(torch, 1 << 20)
    recorder.wanted = frozenset(range(1, 6))
    watched = result()
    recorder.hook.remove()
    assert all(torch.equal(one, other) for one, other in zip(plain, watched, strict=True))


class WithLoss(nn.Module):
    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.net(ids)


def call_an_embedding_first(model: nn.Module) -> nn.Module:
    model.table(ids())
    return model


def call_a_loss_module_first(model: nn.Module) -> nn.Module:
    nn.CrossEntropyLoss()(torch.zeros(2, V), torch.zeros(2, dtype=torch.long))
    return model


def call_a_helper_first(model: nn.Module) -> nn.Module:
    nn.Sequential(nn.Linear(3, 3), nn.ReLU())(torch.zeros(1, 3))
    return model


def call_many_helpers_first(model: nn.Module) -> nn.Module:
    for _ in range(5):
        nn.Linear(2, 2)(torch.zeros(1, 2))
    for _ in range(50):
        nn.Softmax(-1)(torch.zeros(1, 2))
    return model


def look_at_it_first(model: nn.Module) -> nn.Module:
    model.register_forward_hook(lambda module, inputs, output: None)
    return model


def wrap_twice(model: nn.Module) -> nn.Module:
    return WithLoss(nn.Sequential(model))


def call_functionally(model: nn.Module) -> Callable[..., torch.Tensor]:
    return lambda x: torch.func.functional_call(model, dict(model.named_parameters()), (x,))


def trace(model: nn.Module) -> Callable[..., torch.Tensor]:
    return torch.jit.trace(model, (ids(),))


HONEST: dict[str, Callable[[nn.Module], Callable[..., torch.Tensor]]] = {
    "an embedding called first": call_an_embedding_first,
    "a loss module called first": call_a_loss_module_first,
    "a helper with weights called first": call_a_helper_first,
    "many helpers": call_many_helpers_first,
    "hooks of its own": look_at_it_first,
    "a module around it": WithLoss,
    "modules around it": wrap_twice,
    "data parallel": nn.DataParallel,
    "compiled": lambda model: torch.compile(model, backend="eager", fullgraph=True),
    "compiled and wrapped": lambda model: torch.compile(WithLoss(model), backend="eager"),
    "scripted": torch.jit.script,
    "traced": trace,
    "exported": lambda model: torch.export.export(model, (ids(),), strict=False).module(),
    "checkpointed": lambda model: lambda x: torch.utils.checkpoint.checkpoint(model, x, use_reentrant=False),
    "autocast": lambda model: torch.autocast("cpu", torch.bfloat16)(lambda x: model(x).float()),
    "a functional call": call_functionally,
}  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("change", HONEST.values(), ids=HONEST)
def test_honest_ways_to_call_a_model(
    recorder: Recorder, tmp_path: Path, change: Callable[[nn.Module], Callable]
):
    model = Tiny()
    through = change(model)
    states = train(model, through=through)
    found = written(recorder, tmp_path, model.state_dict())
    assert set(found) == {1, 2, 4}
    assert same(found[1], states[0])


def test_a_compiled_step_is_not_disturbed(recorder: Recorder, tmp_path: Path):
    """Its calls are inside the compiled code and are not counted: the parent says what to do."""
    model = Tiny()
    loss = torch.compile(
        lambda x: F.cross_entropy(model(x).flatten(0, 1), x.flatten()), backend="eager", fullgraph=True
    )
    expected = F.cross_entropy(model.head(model.norm(model.table(ids()))).flatten(0, 1), ids().flatten())
    assert torch.allclose(loss(ids()), expected)
    assert loss(ids()).requires_grad


def test_calls_without_an_update_between_them_do_not_count(recorder: Recorder, tmp_path: Path):
    """Neither those that gather gradients nor idle ones; a change of one number in place or of ``data`` counts."""
    model = Tiny()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    step(model, list(model.parameters()), rounds=3)
    for _ in range(30):
        model(ids()[:1, :1])
    model.table.weight.data[0, 0] += 1e-3
    model(ids())
    model.norm.bias.data = model.norm.bias.data + 1e-3
    model(ids())
    found = written(recorder, tmp_path, model.state_dict())
    assert recorder.roots[0].calls == 4 and same(found[1], before)
    assert not same(found[2], before) and same(found[4], model.state_dict())


def test_after_the_first_numbers_every_call_counts(recorder: Recorder):
    model = Tiny()
    train(model, 20)
    for _ in range(5):
        model(ids())
    assert recorder.roots[0].calls == 25


def test_the_saved_one_of_two_models_is_the_one(recorder: Recorder, tmp_path: Path):
    """A teacher of another shape is called as often; an average of the weights is saved and never called."""
    teacher, model = nn.Sequential(nn.Embedding(V, 3), nn.Linear(3, V)), Tiny()
    for _ in range(5):
        teacher(ids())
        train(model, 1)
    first = recorder.roots[1].copies[1]
    average = {name: 0.9 * value + 0.1 * first[name] for name, value in model.state_dict().items()}
    assert set(written(recorder, tmp_path, average)) == {1, 2, 4}


def test_of_two_of_one_shape_the_one_that_became_what_was_saved_counts(recorder: Recorder, tmp_path: Path):
    decoy, model = Tiny(), Tiny()
    for _ in range(30):
        decoy(ids())
    states = train(model, 4)
    assert same(written(recorder, tmp_path, model.state_dict())[4], states[3])


def test_an_average_that_is_looked_at_late_does_not_count_itself(recorder: Recorder, tmp_path: Path):
    model, average = Tiny(), Tiny()
    states = train(model, 4)
    with torch.no_grad():
        for mine, other in zip(average.parameters(), model.parameters(), strict=True):
            mine.copy_(0.99 * other)
        average(ids())
    assert same(written(recorder, tmp_path, average.state_dict())[1], states[0])


def test_shared_weights_under_either_name(recorder: Recorder, tmp_path: Path):
    model = nn.Sequential(nn.Embedding(V, V), nn.Linear(V, V, bias=False))
    model[1].weight = model[0].weight
    model(ids())
    assert set(written(recorder, tmp_path, {"0.weight": model[0].weight.detach()})[1]) == {"0.weight"}
    assert [root.calls for root in recorder.roots] == [1]


def test_weights_saved_in_half_precision(recorder: Recorder, tmp_path: Path):
    model = Tiny()
    train(model)
    half = {name: value.half() for name, value in model.state_dict().items()}
    assert written(recorder, tmp_path, half)[1]["head.weight"].dtype == torch.float32


def test_layers_that_come_later_are_copied_with_it(recorder: Recorder, tmp_path: Path):
    model = nn.Sequential(nn.Embedding(V, W), nn.Linear(W, V))
    model(ids())
    model.add_module("2", nn.Linear(V, V))
    for _ in range(3):
        step(model, list(model.parameters()))
    assert set(recorder.roots[0].copies[4]) >= {"2.weight", "2.bias"}


def test_what_cannot_be_copied_is_left_out(recorder: Recorder, tmp_path: Path):
    with torch.device("meta"):
        ghost = Tiny()
    ghost(ids().to("meta"))
    lazy = nn.Sequential(nn.LazyLinear(3))
    lazy(torch.zeros(1, 2))
    assert written(recorder, tmp_path, Tiny().state_dict()) == {}


def test_what_is_too_large_is_not_copied(tmp_path: Path):
    recorder = Recorder(torch, 100)
    recorder.wanted = frozenset({1})
    Tiny()(ids())
    recorder.hook.remove()
    assert recorder.roots[0].copies == {}


@pytest.mark.parametrize(
    "text",
    [b"", b"\xff" * 40, b"\x02\0\0\0\0\0\0\0[]", b"\x02\0\0\0\0\0\0\0{}", b'\x07\0\0\0\0\0\0\0{"a":1}'],
)
def test_a_file_that_is_no_model(recorder: Recorder, tmp_path: Path, text: bytes):
    Tiny()(ids())
    (tmp_path / "model").write_bytes(text)
    recorder.write(tmp_path, tmp_path / "model")
    recorder.write(tmp_path, tmp_path / "none")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_module_that_keeps_its_tensors_otherwise_is_left_alone(recorder: Recorder):
    class Odd(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x

    odd = Odd()
    odd.__dict__["_parameters"] = None
    assert odd(ids()) is not None and recorder.roots == []


def test_a_wrong_shape_is_another_model(recorder: Recorder, tmp_path: Path):
    model = Tiny()
    train(model)
    changed = dict(model.state_dict(), scale=torch.ones(2))
    assert written(recorder, tmp_path, changed) == {}


def test_a_full_disk_or_a_missing_folder_is_no_error(recorder: Recorder, tmp_path: Path):
    model = Tiny()
    train(model)
    save_file(model.state_dict(), tmp_path / "model.safetensors")
    recorder.write(tmp_path / "nowhere", tmp_path / "model.safetensors")


@pytest.mark.parametrize(
    "kind", [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int8, torch.bool]
)
def test_files_are_read_back_as_they_were(tmp_path: Path, kind: torch.dtype):
    named = {
        "a": torch.arange(6).view(2, 3).to(kind),
        "b.c": torch.tensor(1).to(kind),
        "empty": torch.zeros(0, 4).to(kind),
    }
    write_file(tmp_path / "some.safetensors", named, torch.uint8)
    found = load_file(tmp_path / "some.safetensors")
    assert same(found, named) and all(found[name].dtype == kind for name in named)
