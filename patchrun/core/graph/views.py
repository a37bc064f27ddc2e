"""Shapes of operators that arrange elements: views, slices, joins, lookups."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from patchrun.core.graph.values import (
    BadGraph,
    Ints,
    MemoryFormat,
    Number,
    Outcome,
    Spec,
    Specs,
    broadcast,
    fit_shape,
    made,
    place_dim,
    promote,
    view,
)  # fmt: skip


def alias(self: Spec) -> Outcome:
    return view(self, self.shape)


def clone(self: Spec, *, memory_format: MemoryFormat | None = None) -> Outcome:
    """clone, contiguous."""
    return made(self.shape, self.dtype)


def reshape(self: Spec, size: Ints) -> Outcome:
    """view, reshape, _unsafe_view: counted as a copy, which a reshape may be."""
    return made(fit_shape(size, self.numel), self.dtype, flops=0)


def transpose(self: Spec, dim0: int, dim1: int) -> Outcome:
    shape, rank = list(self.shape), len(self.shape)
    if rank:
        a, b = place_dim(dim0, rank), place_dim(dim1, rank)
        shape[a], shape[b] = shape[b], shape[a]
    return view(self, shape)


def transpose_matrix(self: Spec) -> Outcome:
    """t: of a matrix, a vector stays."""
    if len(self.shape) > 2:
        raise BadGraph(f"t of a tensor of {len(self.shape)} dimensions")
    return view(self, self.shape[::-1])


def transpose_last(self: Spec) -> Outcome:
    """mT."""
    return transpose(self, -2, -1)


def permute(self: Spec, dims: Ints) -> Outcome:
    placed = [place_dim(dim, len(self.shape)) for dim in dims]
    if sorted(placed) != list(range(len(self.shape))):
        raise BadGraph(f"permute by {list(dims)} of {len(self.shape)} dimensions")
    return view(self, [self.shape[dim] for dim in placed])


def unsqueeze(self: Spec, dim: int) -> Outcome:
    place = place_dim(dim, len(self.shape) + 1)
    return view(self, (*self.shape[:place], 1, *self.shape[place:]))


def squeeze(self: Spec) -> Outcome:
    return view(self, [size for size in self.shape if size != 1])


def squeeze_dim(self: Spec, dim: int) -> Outcome:
    return squeeze_dims(self, (dim,))


def squeeze_dims(self: Spec, dim: Ints) -> Outcome:
    gone = {place_dim(one, len(self.shape)) for one in dim}
    return view(self, [size for place, size in enumerate(self.shape) if place not in gone or size != 1])


def expand(self: Spec, size: Ints, *, implicit: bool = False) -> Outcome:
    """expand, broadcast_to: -1 keeps a size."""
    lead = len(size) - len(self.shape)
    if lead < 0:
        raise BadGraph(f"{self} does not expand to {list(size)}")
    own = (1,) * lead + self.shape
    wanted = [mine if asked == -1 else asked for mine, asked in zip(own, size, strict=True)]
    if any(mine not in (1, asked) for mine, asked in zip(own, wanted, strict=True)):
        raise BadGraph(f"{self} does not expand to {list(size)}")
    return view(self, wanted)


def expand_as(self: Spec, other: Spec) -> Outcome:
    return expand(self, other.shape)


def view_as(self: Spec, other: Spec) -> Outcome:
    """view_as, reshape_as."""
    return reshape(self, other.shape)


def flatten(self: Spec, start_dim: int = 0, end_dim: int = -1) -> Outcome:
    rank = len(self.shape)
    first, last = place_dim(start_dim, rank), place_dim(end_dim, rank)
    middle = prod(self.shape[first : last + 1])
    return made((*self.shape[:first], middle, *self.shape[last + 1 :]), self.dtype, flops=0)


def unflatten(self: Spec, dim: int, sizes: Ints) -> Outcome:
    place = place_dim(dim, len(self.shape))
    parts = fit_shape(sizes, self.shape[place])
    return view(self, (*self.shape[:place], *parts, *self.shape[place + 1 :]))


def slice_length(size: int, start: int | None, end: int | None, step: int) -> int:
    """How many elements ``start:end:step`` takes, by Python's rule."""
    if step < 1:
        raise BadGraph(f"a slice with step {step}")
    return len(range(*slice(start, end, step).indices(size)))


def slice_tensor(
    self: Spec, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> Outcome:
    place = place_dim(dim, len(self.shape))
    shape = list(self.shape)
    shape[place] = slice_length(shape[place], start, end, step)
    return view(self, shape)


def narrow(self: Spec, dim: int, start: int, length: int) -> Outcome:
    return slice_tensor(self, dim, start, start + length)


def select(self: Spec, dim: int, index: int) -> Outcome:
    place = place_dim(dim, len(self.shape))
    if not self.shape or not -self.shape[place] <= index < self.shape[place]:
        raise BadGraph(f"index {index} of {self} in dimension {dim}")
    return view(self, self.shape[:place] + self.shape[place + 1 :])


def slice_scatter(
    self: Spec, src: Spec, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> Outcome:
    if src.shape != slice_tensor(self, dim, start, end, step).outputs[0].shape:
        raise BadGraph(f"{src} does not fit the slice of {self}")
    return made(self.shape, self.dtype)


def select_scatter(self: Spec, src: Spec, dim: int, index: int) -> Outcome:
    if src.shape != select(self, dim, index).outputs[0].shape:
        raise BadGraph(f"{src} does not fit the place in {self}")
    return made(self.shape, self.dtype)


def _pieces(self: Spec, dim: int, sizes: Sequence[int]) -> Outcome:
    place = place_dim(dim, len(self.shape))
    head, tail = self.shape[:place], self.shape[place + 1 :]
    parts = tuple(Spec((*head, size, *tail), self.dtype) for size in sizes)
    return Outcome(parts, 0, fresh=False, single=False)


def _length(self: Spec, dim: int) -> int:
    if not self.shape:
        raise BadGraph("a scalar cannot be split")
    return self.shape[place_dim(dim, len(self.shape))]


def split(self: Spec, split_size: int, dim: int = 0) -> Outcome:
    length = _length(self, dim)
    if split_size < 1 or length // split_size > 4096:
        raise BadGraph(f"a split of {length} by {split_size}")
    sizes = [min(split_size, length - start) for start in range(0, length, split_size)]
    return _pieces(self, dim, sizes or [0])


def split_with_sizes(self: Spec, split_sizes: Ints, dim: int = 0) -> Outcome:
    if sum(split_sizes) != _length(self, dim):
        raise BadGraph(f"a split of {_length(self, dim)} into {list(split_sizes)}")
    return _pieces(self, dim, split_sizes)


def chunk(self: Spec, chunks: int, dim: int = 0) -> Outcome:
    if chunks < 1:
        raise BadGraph(f"a split into {chunks} parts")
    return split(self, max(1, -(-_length(self, dim) // chunks)), dim)


def unbind(self: Spec, dim: int = 0) -> Outcome:
    length, place = _length(self, dim), place_dim(dim, len(self.shape))
    if length > 4096:
        raise BadGraph(f"unbind into {length} tensors")
    part = Spec(self.shape[:place] + self.shape[place + 1 :], self.dtype)
    return Outcome((part,) * length, 0, fresh=False, single=False)


def cat(tensors: Specs, dim: int = 0) -> Outcome:
    parts = [part for part in tensors if part.shape != (0,)] or list(tensors)
    if not parts:
        raise BadGraph("cat of nothing")
    shapes = [list(part.shape) for part in parts]
    place = place_dim(dim, len(shapes[0]))
    if (
        not shapes[0]
        or len({(*shape[:place], len(shape), *shape[place + 1 :]) for shape in map(tuple, shapes)}) > 1
    ):
        raise BadGraph(f"shapes {' and '.join(map(str, shapes[:4]))} do not go together in cat")
    total = sum(shape[place] for shape in shapes)
    return made((*shapes[0][:place], total, *shapes[0][place + 1 :]), promote(*tensors))


def stack(tensors: Specs, dim: int = 0) -> Outcome:
    if not tensors or len({part.shape for part in tensors}) > 1:
        raise BadGraph("stack of tensors of different shapes, or of none")
    place = place_dim(dim, len(tensors[0].shape) + 1)
    shape = tensors[0].shape
    return made((*shape[:place], len(tensors), *shape[place:]), promote(*tensors))


def repeat(self: Spec, repeats: Ints) -> Outcome:
    """repeat, tile where the numbers are as many as the dimensions."""
    lead = len(repeats) - len(self.shape)
    if lead < 0 or any(count < 0 for count in repeats):
        raise BadGraph(f"repeat of {self} by {list(repeats)}")
    own = (1,) * lead + self.shape
    return made([size * count for size, count in zip(own, repeats, strict=True)], self.dtype)


def repeat_interleave(
    self: Spec, repeats: int, dim: int | None = None, *, output_size: int | None = None
) -> Outcome:
    if repeats < 0:
        raise BadGraph(f"repeat_interleave by {repeats}")
    if dim is None:
        return made((self.numel * repeats,), self.dtype)
    place = place_dim(dim, len(self.shape))
    return made((*self.shape[:place], self.shape[place] * repeats, *self.shape[place + 1 :]), self.dtype)


def roll(self: Spec, shifts: Ints, dims: Ints = ()) -> Outcome:
    return made(self.shape, self.dtype)


def flip(self: Spec, dims: Ints) -> Outcome:
    return made(self.shape, self.dtype)


def triangle(self: Spec, diagonal: int = 0) -> Outcome:
    """tril, triu."""
    return made(self.shape, self.dtype)


def diagonal(self: Spec, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Outcome:
    rank = len(self.shape)
    a, b = place_dim(dim1, rank), place_dim(dim2, rank)
    rows, columns = self.shape[a], self.shape[b]
    length = max(0, min(rows, columns - offset) if offset >= 0 else min(rows + offset, columns))
    rest = [size for place, size in enumerate(self.shape) if place not in (a, b)]
    return view(self, (*rest, length))


def unfold(self: Spec, dimension: int, size: int, step: int) -> Outcome:
    """Windows over a dimension, a view; counted as a copy since what follows reads each window."""
    place = place_dim(dimension, len(self.shape))
    if not self.shape or not 0 <= size <= self.shape[place] or step < 1:
        raise BadGraph(f"windows of {size} by {step} over {self}")
    count = (self.shape[place] - size) // step + 1
    return made((*self.shape[:place], count, *self.shape[place + 1 :], size), self.dtype, flops=0)


def constant_pad(self: Spec, pad: Ints, value: Number = 0) -> Outcome:
    """Pairs from the last dimension on; what is cut off has a negative number."""
    if len(pad) % 2 or len(pad) > 2 * len(self.shape):
        raise BadGraph(f"padding {list(pad)} of {self}")
    shape = list(self.shape)
    for number in range(len(pad) // 2):
        shape[-1 - number] += pad[2 * number] + pad[2 * number + 1]
    return made(shape, self.dtype)


def pad(self: Spec, pad: Ints, mode: str = "constant", value: Number | None = None) -> Outcome:
    """Whatever fills the new places."""
    return constant_pad(self, pad)


def embedding(
    weight: Spec, indices: Spec, padding_idx: int = -1, scale_grad_by_freq: bool = False, sparse: bool = False
) -> Outcome:
    if len(weight.shape) != 2:
        raise BadGraph(f"an embedding table of shape {list(weight.shape)}")
    return made((*indices.shape, weight.shape[1]), weight.dtype)


def index(self: Spec, indices: tuple[Spec | None, ...]) -> Outcome:
    """Lookup by index tensors, numpy's rule: their common shape stands where they stand together, else in front."""
    tensors = [one for one in indices if one is not None]
    if not tensors or len(indices) > len(self.shape):
        raise BadGraph(f"an index of {len(indices)} tensors into {self}")
    if any(one.dtype not in ("int64", "int32") for one in tensors):
        raise BadGraph("an index by a mask has a size that depends on values: use torch.where")
    common = broadcast(*(one.shape for one in tensors))
    places = [place for place, one in enumerate(indices) if one is not None]
    rest = [size for place, size in enumerate(self.shape) if place not in places]
    together = places[-1] - places[0] + 1 == len(places)
    front = places[0] if together else 0
    return made((*rest[:front], *common, *rest[front:]), self.dtype)


def index_select(self: Spec, dim: int, index: Spec) -> Outcome:
    place = place_dim(dim, len(self.shape))
    if len(index.shape) > 1:
        raise BadGraph("index_select by a tensor of more than one dimension")
    return made((*self.shape[:place], index.numel, *self.shape[place + 1 :]), self.dtype)


def gather(self: Spec, dim: int, index: Spec, *, sparse_grad: bool = False) -> Outcome:
    place_dim(dim, len(self.shape))
    if len(index.shape) != len(self.shape):
        raise BadGraph(f"gather from {self} by {index}")
    return made(index.shape, self.dtype)
