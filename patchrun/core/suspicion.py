"""Integrity heuristics: what honest code seldom does and cheating often needs (findings PR5xx).

They look at what a patch newly brings into a file. None of them rejects: what they miss is the sandbox's and the
evaluator's to stop, and what they see may be honest.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import islice
from typing import NamedTuple

from patchrun.core.callpath import CALL_NAMES, find_call_changes, find_modules
from patchrun.core.codes import make_finding
from patchrun.core.draws import SEEDERS, find_draws
from patchrun.core.filepair import FilePair
from patchrun.core.findings import Finding
from patchrun.core.hidden import read_alike
from patchrun.core.names import Use, is_within
from patchrun.core.operators import find_operators
from patchrun.core.pyfile import PyFile, take_new

FLAG_ROOTS = ("torch.backends", "torch._inductor", "torch._dynamo", "torch._functorch.config", "triton.knobs")
READ_RULES = {
    "PR502": ("time", "datetime", "torch.cuda.Event", "torch.cuda.synchronize", "torch.cuda.Stream",
              "torch.cuda._sleep", "torch.utils.benchmark"),
    "PR503": (
        "subprocess", "multiprocessing", "torch.multiprocessing", "concurrent.futures.ProcessPoolExecutor", "pty",
        "os.system", "os.popen", "os.fork", "os.forkpty", "os.execl", "os.execle", "os.execlp", "os.execlpe",
        "os.execv", "os.execve", "os.execvp", "os.execvpe", "os.spawnl", "os.spawnle", "os.spawnlp", "os.spawnv",
        "os.spawnve", "os.spawnvp", "os.spawnvpe", "os.posix_spawn", "os.posix_spawnp", "os.kill", "os.killpg",
        "asyncio.create_subprocess_exec", "asyncio.create_subprocess_shell", "torch.distributed.run",
    ),
    "PR504": ("threading", "concurrent", "asyncio", "queue", "sched"),
    "PR505": (
        "socket", "socketserver", "ssl", "urllib", "http", "ftplib", "smtplib", "xmlrpc", "requests", "httpx",
        "aiohttp", "websockets", "huggingface_hub", "torch.hub", "torch.utils.model_zoo",
    ),
    "PR506": (
        "ctypes", "cffi", "_cffi_backend", "mmap", "numpy.ctypeslib", "torch.utils.cpp_extension",
        "torch.ops.load_library", "torch.classes.load_library", "torch.cuda._compile_kernel", "numba", "cython",
        "pyximport",
    ),
    "PR507": (
        "exec", "eval", "compile", "__import__", "importlib", "runpy", "code", "codeop", "builtins", "__builtins__",
        "cProfile", "profile", "timeit", "pdb", "bdb", "doctest", "trace", "pydoc", "idlelib", "site", "cgitb",
        "typing.get_type_hints", "typing.ForwardRef", "typing.evaluate_forward_ref", "annotationlib",
        "functools.singledispatch", "functools.singledispatchmethod", "dataclasses.make_dataclass", "logging.config",
        "logging.handlers", "copyreg", "pickletools", "torch.fx", "torch.utils.collect_env", "torch.testing._internal",
        "numpy.f2py", "numpy.distutils", "numexpr", "pandas.eval", "sympy", "string.Formatter",
        "multiprocessing.reduction", "concurrent.interpreters", "_interpreters", "_xxsubinterpreters",
        "globals", "locals", "imp", "zipimport", "pkgutil", "pickle", "marshal", "shelve", "dill", "cloudpickle",
        "joblib", "torch.load", "torch.jit.load", "torch.package", "types.FunctionType", "types.CodeType",
        "operator.attrgetter", "operator.methodcaller", "ast.literal_eval", "torch.jit.CompilationUnit",
        "torch.serialization",
    ),
    "PR508": (
        "os.putenv", "os.unsetenv", "os.environ.update", "os.environ.setdefault", "os.environ.pop", "os.environ.clear",
        "os.environ.popitem", "os.environ.__setitem__", "os.environ.__delitem__", "os.environ.__ior__", "os.environb",
        "os.chdir", "os.umask",
    ),
    "PR510": (
        "torch.set_float32_matmul_precision", "torch.use_deterministic_algorithms", "torch.set_num_threads",
        "torch.set_num_interop_threads", "torch.set_default_dtype", "torch.set_default_device",
        "torch.set_deterministic_debug_mode", "torch.set_flush_denormal",
    ),
    "PR511": (
        "open", "os.open", "os.listdir", "os.scandir", "os.walk", "os.fdopen", "os.pread", "os.read", "os.readlink",
        "os.stat", "os.path.exists", "os.path.expanduser", "os.mkfifo", "os.memfd_create", "os.truncate", "os.remove",
        "os.unlink", "os.rename", "os.replace", "os.symlink", "os.link", "os.mkdir", "os.makedirs",
        "glob", "shutil", "tempfile", "pathlib", "fileinput", "sqlite3", "linecache", "numpy.load", "numpy.fromfile",
        "numpy.memmap", "numpy.loadtxt", "numpy.genfromtxt", "numpy.save", "numpy.savez", "torch.from_file",
        "torch.save", "safetensors", "multiprocessing.shared_memory",
    ),
    "PR512": (
        "sys._getframe", "sys._current_frames", "sys.settrace", "sys.setprofile", "sys.modules", "sys.meta_path",
        "sys.path", "sys.path_hooks", "sys.excepthook", "sys.unraisablehook", "sys.addaudithook", "sys.stdout",
        "sys.stderr", "sys.__stdout__", "os._exit", "os.abort", "os.dup", "os.dup2", "os.write", "gc",
        "inspect", "traceback", "atexit", "signal", "faulthandler", "weakref", "tracemalloc", "resource", "dis", "dir",
        "os.nice", "os.sched_setaffinity", "os.setpriority", "torch.overrides", "torch.utils._python_dispatch",
        "torch._C",
    ),
    "PR513": ("unittest", "mock", "pytest", "torch.library.Library", "torch.library.impl"),
    "PR515": ("base64", "binascii", "codecs", "zlib", "gzip", "bz2", "lzma", "zipfile", "tarfile", "struct.unpack",
              "bytes.fromhex", "int.from_bytes", "numpy.frombuffer", "numpy.fromstring", "torch.frombuffer", "array"),
    "PR516": ("torch.unique", "numpy.unique", "numpy.add.at", "collections.Counter"),
    "PR517": (
        "torch.random", "torch.cuda.random", "torch.seed", "torch.initial_seed", "torch.get_rng_state",
        "torch.cuda.get_rng_state", "torch.quasirandom", "random.seed", "random.Random", "random.SystemRandom",
        "random.setstate", "numpy.random.seed", "numpy.random.SeedSequence", "numpy.random.PCG64",
        "numpy.random.MT19937", "numpy.random.Philox", "numpy.random.SFC64", "numpy.random.set_state", "os.urandom",
        "secrets", "uuid", "hashlib", "hash", "scipy.stats.qmc",
    ),
}  # fmt: skip
INTERNAL_ATTRIBUTES = frozenset({
    "__globals__", "__builtins__", "__dict__", "__subclasses__", "__code__", "__closure__", "__mro__", "__bases__",
    "__loader__", "__spec__", "__getattribute__", "__reduce__", "__reduce_ex__", "__defaults__", "__kwdefaults__",
    "f_back", "f_globals", "f_locals", "f_builtins", "tb_frame", "gi_frame", "cr_frame", "cell_contents",
    "co_names", "co_consts", "co_varnames", "co_code", "__annotations__", "__self__", "__func__", "__wrapped__",
    "__setattr__", "__delattr__",
})  # fmt: skip
FILE_METHODS = frozenset(
    {"read_text", "read_bytes", "write_text", "write_bytes", "tofile", "fromfile", "iterdir", "rglob"}
)
COUNTING = frozenset({
    "bincount", "eig", "eigh", "histc", "histogram", "histogram2d", "histogramdd", "index_add", "index_put", "lobpcg",
    "lstsq", "pca_lowrank", "scatter_add", "scatter_reduce", "svd", "svd_lowrank", "svds", "unique_consecutive",
})  # fmt: skip
NAME_TAKERS = frozenset({"getattr", "setattr", "delattr"})
MOST_SPELLED = 100
RESULT_LINE = re.compile(r"val_loss|train_loss|train_time|step_avg|step:")


class Observation(NamedTuple):
    """Something seen at a line; ``key`` tells whether the baseline has the same."""

    code: str
    key: str
    line: int
    message: str


def check_integrity(pair: FilePair) -> list[Finding]:
    """Every PR5xx that a patch newly brings into one file, the first place of each."""
    modules = find_modules(pair.after.nodes if pair.after else ())
    before, after = (
        [
            *_observe_uses(uses, pair.modules),
            *_observe(nodes),
            *_observe_calls(nodes, modules),
            *_observe_operators(nodes),
            *_observe_draws(side, file),
        ]
        for uses, nodes, side, file in zip(
            pair.uses, pair.nodes, pair.sides, (pair.before, pair.after), strict=True
        )
    )
    seen = take_new(before, after, lambda one: (one.code, one.key), pair.is_kept)
    first: dict[tuple[str, str], Observation] = {}
    for one in sorted(seen, key=lambda one: one.line):
        first.setdefault((one.code, one.message), one)
    return [make_finding(one.code, one.message, pair.path, one.line) for one in first.values()]


def _observe_uses(uses: Iterable[Use], modules: Collection[str]) -> Iterator[Observation]:
    for use in uses:
        if use.kind == "write":
            yield Observation(_code_of_write(use.name), _spell(use.node), use.line, f"{use.name} is written")
        elif use.kind == "read" and use.name in NAME_TAKERS:
            yield Observation("PR507", use.name, use.line, f"{use.name} is passed on as a value")
        elif isinstance(use.node, ast.Name) and use.name in modules:
            message = f"the module {use.name} is passed on as a value: what it holds can be reached unseen"
            yield Observation("PR507", use.name, use.line, message)
        elif code := _code_of_use(use.name):
            key = use.name if code == "PR502" else _spell(use.node)
            yield Observation(code, key, use.line, f"{use.name} is newly used")


def _observe_calls(nodes: Iterable[ast.AST], modules: Collection[str]) -> Iterator[Observation]:
    for place in find_call_changes(nodes, modules):
        yield Observation(
            "PR512", place.key, place.line, f"{place.message}: copies of the model are made on that way"
        )


@lru_cache(4096)
def _code_of_use(name: str) -> str | None:
    if name.rpartition(".")[2] in CALL_NAMES:
        return "PR512"
    return next(
        (code for code, rules in READ_RULES.items() if any(is_within(name, rule) for rule in rules)), None
    )


def _code_of_write(name: str) -> str:
    if any(is_within(name, rule) for rule in READ_RULES["PR502"]):
        return "PR501"
    if is_within(name, "os.environ"):
        return "PR508"
    if any(is_within(name, root) for root in FLAG_ROOTS):
        return "PR510"
    internal = name.rpartition(".")[2] in INTERNAL_ATTRIBUTES
    return "PR512" if internal or any(is_within(name, rule) for rule in READ_RULES["PR512"]) else "PR513"


def _observe(nodes: Iterable[ast.AST]) -> Iterator[Observation]:
    """What single expressions show without knowing any import."""
    for node in nodes:
        yield from _observe_names(node)
        match node:
            case ast.Attribute(attr=attr) if attr in INTERNAL_ATTRIBUTES:
                yield Observation("PR512", attr, node.lineno, f".{attr} is newly used")
            case ast.Attribute(attr=attr) if attr in FILE_METHODS:
                yield Observation("PR511", attr, node.lineno, f".{attr} is newly used")
            case ast.FunctionDef(name="__reduce__" | "__reduce_ex__" as name):
                yield Observation(
                    "PR507", name, node.lineno, f"{name} says what is called when an object is copied"
                )
            case ast.Name(id="__builtins__"):
                yield Observation("PR507", "__builtins__", node.lineno, "__builtins__ is newly used")
            case ast.Call(func=ast.Name(id=name), args=[_, key, *_]) if name in NAME_TAKERS and not _is_text(
                key
            ):
                message = f"{name} takes a name that is computed: {_spell(node)}"
                yield Observation("PR507", _spell(node), node.lineno, message)
            case ast.Constant(value=str(text)) if RESULT_LINE.search(text):
                yield Observation(
                    "PR514", text, node.lineno, f"new text {text[:80]!r} looks like a line of the log"
                )


def _observe_names(node: ast.AST) -> Iterator[Observation]:
    """Names in letters of another script that read as plain ones."""
    for field in ("id", "attr", "name", "arg", "asname"):
        name = getattr(node, field, None)
        if isinstance(name, str) and not name.isascii() and (plain := read_alike(name)):
            message = f"a name in letters of another script reads as {plain}"
            yield Observation("PR518", name, getattr(node, "lineno", 1), message)


def _observe_operators(nodes: Sequence[ast.AST]) -> Iterator[Observation]:
    for use in find_operators(nodes, COUNTING | SEEDERS):
        if use.name[1:] in COUNTING:
            yield Observation("PR516", use.name, use.line, f"{use.name} is newly used")
        else:
            message = f"{use.name} is newly used: random numbers of the patch's own"
            yield Observation("PR517", use.name, use.line, message)


def _observe_draws(statements: Sequence[ast.stmt], file: PyFile | None) -> Iterator[Observation]:
    if file:
        for draw in find_draws(statements, file.nodes, file.aliases):
            yield Observation("PR517", draw.key, draw.line, draw.message)


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _spell(node: ast.AST) -> str:
    """The source of a small expression, cut; the kind of a large one, so that nesting does not multiply the work."""
    if next(islice(ast.walk(node), MOST_SPELLED, None), None):
        return type(node).__name__
    try:
        return ast.unparse(node)[:80]
    except ValueError:  # a number of more digits than Python prints
        return type(node).__name__
