"""What the exporter writes of models, and what those that cannot be exported are told to write instead."""

from __future__ import annotations

import pytest
import torch
from graphs import export_module, export_text
from models.honest import B, Heads, MaskBuffer, MaskUnsaved, Mixer, RotaryBuffer, T, Tied, V, W
from torch import nn
from torch.nn.attention.flex_attention import create_block_mask, flex_attention

from patchrun.core.graph.values import BadGraph


def names(model: nn.Module) -> list[tuple[str, ...]]:
    return [given.names for given in export_module(model, B, T, V).saved]


def test_a_tied_parameter_has_several_names():
    found = {each[0]: each for each in names(Tied())}
    assert set(found["embedding.weight"]) == {"embedding.weight", "head.weight"}
    assert set(found["head.weight"]) == {"embedding.weight", "head.weight"}
    assert found["norm.weight"] == ("norm.weight",)


def test_saved_buffers_are_read_from_the_model_and_others_are_constants():
    assert ("bias",) in names(MaskBuffer())
    unsaved = export_module(MaskUnsaved(), B, T, V)
    assert ("bias",) not in [given.names for given in unsaved.saved]
    assert 4 * T * T <= unsaved.constant_bytes < 5 * T * T


def test_equal_tables_of_several_layers_count_once():
    class Twice(RotaryBuffer):
        def build(self):
            super().build()
            self.other = RotaryBuffer()

        def mix(self, x):
            return self.other.mix(super().mix(x))

    once = export_module(RotaryBuffer(), B, T, V).constant_bytes
    assert export_module(Twice(), B, T, V).constant_bytes < once + 300


def test_the_same_model_gives_the_same_graph():
    first, second = (export_module(Heads(), B, T, V).to_program() for _ in range(2))
    assert first == second


class Flag(Mixer):
    """A branch on a number in a buffer."""

    def build(self):
        super().build()
        self.register_buffer("ready", torch.zeros(()))

    def mix(self, x):
        return self.inner(x) if self.ready.item() > 0 else x


class Flexible(Heads):
    """FlexAttention with a block mask."""

    def attend(self, q, k, v):
        mask = create_block_mask(lambda b, h, i, j: i >= j, None, None, T, T, device="cpu")
        return flex_attention(q, k, v, block_mask=mask)


class TopTwo(Mixer):
    """The two best experts by topk."""

    def build(self):
        self.router, self.experts = nn.Linear(W, 4), nn.Parameter(torch.zeros(4, W, W))

    def mix(self, x):
        value, place = self.router(x).topk(2, -1)
        return torch.einsum("btkij,btj,btk->bti", self.experts[place], x, value.softmax(-1))


class ComplexRotary(Heads):
    """Rotation by complex numbers, as Llama has it."""

    def attend(self, q, k, v):
        turn = torch.polar(torch.ones(T, W // H4), torch.arange(T)[:, None] * torch.ones(W // H4))
        q, k = (
            torch.view_as_real(torch.view_as_complex(x.unflatten(-1, (-1, 2))) * turn).flatten(-2)
            for x in (q, k)
        )
        return super().attend(q, k, v)


H4 = 4


class Cached(Mixer):
    """A cache that forward() fills."""

    def build(self):
        super().build()
        self.register_buffer("cache", torch.zeros(B, T, W))

    def mix(self, x):
        self.cache.copy_(x)
        return self.inner(self.cache)


class AlwaysDropped(Mixer):
    def mix(self, x):
        return nn.functional.dropout(self.inner(x), 0.1)


class OneHot(Mixer):
    def forward(self, ids):
        return super().forward(ids) + nn.functional.one_hot(ids, V)


class ReadOut(Mixer):
    """A number that is read out of a tensor."""

    def forward(self, ids):
        return super().forward(ids) * ids[0].tolist()[0]


class Sorted(Mixer):
    def mix(self, x):
        return self.inner(x.sort(-1).values)


class Whitened(Mixer):
    def mix(self, x):
        return self.inner(x) @ torch.linalg.inv(torch.eye(W) + self.inner.weight @ self.inner.weight.T)


class TwoResults(Mixer):
    def forward(self, ids):
        return super().forward(ids), None


class BigTable(Mixer):
    def build(self):
        super().build()
        self.register_buffer("table", torch.rand(200, 100), persistent=False)

    def mix(self, x):
        return self.inner(x) + self.table[:T, :W]


MESSAGES = {
    Flag: "torch.where",
    Flexible: "scaled_dot_product_attention with attn_mask",
    TopTwo: "compare with amax",
    ComplexRotary: "cos and sin",
    Cached: "changes nothing: it changes cache in forward",
    AlwaysDropped: "self.training",
    OneHot: "torch.arange",
    ReadOut: "torch.where",
    Sorted: "compare with amax",
    Whitened: "save the result as a parameter",
    TwoResults: "returns logits and changes nothing",
    BigTable: "compute masks and tables in forward",
}


@pytest.mark.parametrize("kind", MESSAGES, ids=lambda kind: kind.__name__)
def test_a_model_that_does_not_export_is_told_what_to_write_instead(kind: type[nn.Module]):
    text = f"from {kind.__module__} import {kind.__name__}\n\n\ndef build_model():\n    return {kind.__name__}()\n"
    with pytest.raises(BadGraph) as caught:
        export_text(text, B, T, V)
    assert MESSAGES[kind] in str(caught.value), caught.value


def test_what_is_written_over_before_it_is_read_may_start_uninitialised():
    class Filled(Mixer):
        def mix(self, x):
            y = torch.empty(B, T, W)
            y[..., : W // 2], y[..., W // 2 :] = x[..., W // 2 :], x[..., : W // 2]
            return self.inner(y)

    graph = export_module(Filled(), B, T, V)
    assert not [node.op for node in graph.document.nodes if "empty" in node.op]
