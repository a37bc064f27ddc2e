"""The Messages API: one question, one answer; failures are values; the key stays in the environment."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from patchrun.adapters.claude_faults import Fault, read_fault
from patchrun.core.scrub import name_secrets, scrub
from patchrun.core.usage import Usage

if TYPE_CHECKING:
    from anthropic import Anthropic

KEY = "ANTHROPIC_API_KEY"
STREAM_ABOVE = 4096
TRIES = 5
BACKOFF_SECONDS = 1.0
LONGEST_PAUSE = 60.0
WALL_SECONDS = 900.0
CACHE = {"type": "ephemeral"}

T = TypeVar("T")


@dataclass(frozen=True)
class Reply:
    """What the model said: content blocks as the API gave them (they go back unchanged), why it stopped, its tokens.

    ``stop_reason`` is the API's: end_turn, tool_use, max_tokens, refusal, pause_turn, model_context_window_exceeded.
    ``usage`` is this reply's; ``wasted`` what earlier tries used that broke off.
    """

    blocks: tuple[dict[str, Any], ...]
    stop_reason: str
    usage: Usage
    model: str = ""
    tries: int = 1
    explanation: str = ""
    wasted: tuple[Usage, ...] = ()

    @property
    def text(self) -> str:
        return "".join(block["text"] for block in self.blocks if block.get("type") == "text")

    @property
    def tool_calls(self) -> tuple[dict[str, Any], ...]:
        return tuple(block for block in self.blocks if block.get("type") == "tool_use")

    @property
    def usages(self) -> tuple[Usage, ...]:
        """Everything that was used for this reply, one by request: what a price is for."""
        return (*self.wasted, self.usage)


@dataclass(frozen=True)
class Failure:
    """No answer, or none that can be used: its kind, in words, and what was used nevertheless.

    Kinds: no-key, wrong-key, forbidden, billing, rate-limit, overloaded, server-error, connection, timeout,
    broken-stream, bad-request, too-large, unknown-model, refusal, truncated, bad-answer.
    """

    kind: str
    message: str
    usages: tuple[Usage, ...] = ()
    tries: int = 0

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}"


@dataclass
class Client:
    """Asks one model. ``tries`` bounds the requests of one question, ``wall_seconds`` its duration, pauses included."""

    model: str
    tries: int = TRIES
    wall_seconds: float = WALL_SECONDS
    backoff_seconds: float = BACKOFF_SECONDS
    _sdk: Anthropic | None = field(default=None, init=False, repr=False)

    def ask(
        self,
        system: str,
        messages: Sequence[Mapping[str, Any]],
        *,
        max_tokens: int,
        tools: Sequence[Mapping[str, Any]] = (),
        schema: Mapping[str, Any] | None = None,
        wall_seconds: float | None = None,
        may_retry: Callable[[tuple[Usage, ...]], bool] = lambda wasted: True,
    ) -> Reply | Failure:
        """Send the conversation so far; ``schema`` asks for JSON of that form.

        Tools, system and the conversation are marked for the prompt cache. What may pass is tried again: rate limits
        (for as long as the server says), overload, 5xx, connections and streams that break; unless ``may_retry`` says
        no to what the tries so far have used.
        """
        if problem := check_key():
            return problem
        deadline = time.monotonic() + min(wall_seconds or self.wall_seconds, self.wall_seconds)
        request = make_request(self.model, system, messages, max_tokens, tools, schema)
        wasted: tuple[Usage, ...] = ()
        for number in range(1, self.tries + 1):
            outcome = self._try_once(request, deadline)
            if isinstance(outcome, Reply):
                return replace(outcome, tries=number, wasted=wasted)
            wasted += outcome.usages
            pause = self._pause(number, outcome, deadline)
            if pause is None or not may_retry(wasted):
                return Failure(outcome.kind, _clean(outcome.message), wasted, number)
            time.sleep(pause)
        raise AssertionError("the last try returns")

    def _pause(self, number: int, fault: Fault, deadline: float) -> float | None:
        """Seconds until the next try, None where there is none."""
        if not fault.passing or number >= self.tries:
            return None
        wait = fault.retry_after
        if wait is None:
            wait = min(self.backoff_seconds * 2 ** (number - 1), LONGEST_PAUSE) * random.uniform(0.75, 1)
        return wait if time.monotonic() + wait < deadline else None

    def _try_once(self, request: Mapping[str, Any], deadline: float) -> Reply | Fault:
        left = deadline - time.monotonic()
        if left <= 0:
            return Fault("timeout", "no time is left")
        seen: list[Any] = []
        try:
            stream = request["max_tokens"] > STREAM_ABOVE
            message = self._stream(request, deadline, seen) if stream else self._create(request, left)
        except Exception as error:  # noqa: BLE001 - what the API or the wire can do is told apart there
            fault = read_fault(error, time.monotonic() >= deadline)
            if fault is None:
                raise
            return replace(fault, usages=tuple(map(_read_usage, seen[-1:])))
        return _read_reply(message)

    def _create(self, request: Mapping[str, Any], left: float) -> Any:
        return self._connect().messages.create(**request, timeout=left)

    def _stream(self, request: Mapping[str, Any], deadline: float, seen: list[Any]) -> Any:
        """The message, read to its end; ``seen`` gets what there is of it, so that a cut stream's tokens are known."""
        from threading import Timer

        left = deadline - time.monotonic()
        with self._connect().messages.stream(**request, timeout=left) as stream:
            # a server that only pings keeps the socket's own timeout from coming
            guard = Timer(left, stream.close)
            guard.daemon = True
            guard.start()
            try:
                for event in stream:
                    if event.type in ("message_start", "message_delta"):
                        seen.append(stream.current_message_snapshot)
            finally:
                guard.cancel()
            return stream.current_message_snapshot if seen else None

    def _connect(self) -> Anthropic:
        import anthropic

        key = os.environ[KEY].strip()
        if self._sdk is None or self._sdk.api_key != key:
            self._sdk = anthropic.Anthropic(api_key=key, max_retries=0)
        return self._sdk


def make_request(
    model: str,
    system: str,
    messages: Sequence[Mapping[str, Any]],
    max_tokens: int,
    tools: Sequence[Mapping[str, Any]] = (),
    schema: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The body of a request: three marks for the cache, after the tools, the system prompt and the conversation.

    The last mark is the request's own, which the API moves to the newest block: the messages themselves stay as they
    were sent before, as models that check the history of their thinking demand.
    """
    request: dict[str, Any] = {
        "model": model,
        "max_tokens": max_tokens,
        "system": [{"type": "text", "text": system, "cache_control": CACHE}],
        "messages": [dict(message) for message in messages],
        "cache_control": CACHE,
    }
    if tools:
        request["tools"] = [*map(dict, tools[:-1]), {**tools[-1], "cache_control": CACHE}]
    if schema is not None:
        request["output_config"] = {"format": {"type": "json_schema", "schema": dict(schema)}}
    return request


def make_schema(kind: type[Any]) -> dict[str, Any]:
    """The JSON schema of a msgspec struct, in the part of JSON schema that the API takes, the root written out."""
    from anthropic import transform_schema

    (root,), parts = msgspec.json.schema_components([kind], ref_template="#/$defs/{name}")
    name = root["$ref"].rpartition("/")[2]
    rest = {key: part for key, part in parts.items() if key != name}
    return transform_schema(parts[name] | ({"$defs": rest} if rest else {}))


def read_answer(reply: Reply, kind: type[T]) -> T | Failure:
    """The JSON of a structured reply as a ``kind``; a refusal, a cut answer or junk is a Failure."""
    if failure := explain_stop(reply):
        return failure
    try:
        return msgspec.json.decode(reply.text.strip().encode("utf-8", "replace"), type=kind)
    except (msgspec.DecodeError, RecursionError) as error:
        return Failure(
            "bad-answer", _clean(f"not the form that was asked for: {error}"), reply.usages, reply.tries
        )


def explain_stop(reply: Reply) -> Failure | None:
    """Why a reply is no whole answer; None where it is one."""
    if reply.stop_reason == "refusal":
        return Failure(
            "refusal", reply.explanation or "the model declined to answer", reply.usages, reply.tries
        )
    if reply.stop_reason in ("max_tokens", "model_context_window_exceeded"):
        words = "tokens ran out" if reply.stop_reason == "max_tokens" else "the context window is full"
        return Failure("truncated", f"the answer was cut: {words}", reply.usages, reply.tries)
    return None


def check_key() -> Failure | None:
    """Why there is no use in asking: no key, or one that no header can carry."""
    key = os.environ.get(KEY, "").strip()
    if not key:
        return Failure("no-key", f"{KEY} is not set: `export {KEY}=...` gives the key to this process only")
    if not (key.isascii() and key.isprintable() and " " not in key):
        return Failure("wrong-key", f"{KEY} holds characters that no key has")
    return None


def known_secrets() -> tuple[str, ...]:
    """The secrets of this process's environment, for ``scrub``."""
    return name_secrets(os.environ)


def _clean(message: str) -> str:
    return scrub(message, known_secrets())


def _read_reply(message: Any) -> Reply | Fault:
    """The SDK hands on whatever JSON came with status 200: a thing without usage and content is no message."""
    content, usage = getattr(message, "content", None), getattr(message, "usage", None)
    if not isinstance(content, list) or usage is None:
        return Fault("broken-stream", "what came back is no message", passing=True)
    if message.stop_reason is None:
        broken = "the reply broke off before its end"
        return Fault("broken-stream", broken, passing=True, usages=(_read_usage(message),))
    details = message.stop_details
    return Reply(
        tuple(block.to_dict() for block in content),
        message.stop_reason,
        _read_usage(message),
        message.model,
        explanation=_clean((details.explanation if details else None) or ""),
    )


def _read_usage(message: Any) -> Usage:
    usage = message.usage
    return Usage(
        usage.input_tokens or 0,
        usage.output_tokens or 0,
        usage.cache_read_input_tokens or 0,
        usage.cache_creation_input_tokens or 0,
    )
