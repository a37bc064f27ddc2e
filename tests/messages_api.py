"""A local HTTP server that speaks the Messages API, as JSON and as a stream, from a script: the only stub there is.

    api.script(say("hello"), fail(429, "rate_limit_error", {"retry-after": "0"}), say(call("view", path="x.py")))

Every request is kept in ``api.requests``, with headers and body. An answer may also be a function of the request.
A request beyond the script is refused with status 400, so that a test sees it.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

STUB_KEY = "sk-ant-api03-stub-of-the-tests-0123456789abcdef"
MODEL = "claude-opus-4-6"


@dataclass(frozen=True)
class Answer:
    """A message; in a stream ``cut`` ends it after so many events, ``junk`` comes in place of the tool arguments."""

    content: tuple[dict[str, Any], ...]
    stop: str = "end_turn"
    usage: Mapping[str, int] = field(default_factory=lambda: {"input_tokens": 100, "output_tokens": 10})
    cut: int | None = None
    junk: str | None = None
    pause: float = 0.0
    pings: int = 0
    details: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Refused:
    """An HTTP error of the API's form, or in a stream that began well (``late``) an error event."""

    status: int
    type: str
    message: str = "said the stub"
    headers: Mapping[str, str] = field(default_factory=dict)
    late: bool = False


@dataclass(frozen=True)
class Raw:
    """Any bytes with any status and type."""

    body: bytes
    status: int = 200
    type: str = "application/json"


@dataclass(frozen=True)
class Request:
    """What the client sent."""

    path: str
    headers: dict[str, str]
    raw: bytes
    at: float

    @property
    def body(self) -> dict[str, Any]:
        return json.loads(self.raw)

    @property
    def text(self) -> str:
        """All text of the conversation, as the model would read it."""
        parts = [one["text"] for one in self.body["system"]]
        for message in self.body["messages"]:
            content = message["content"]
            blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
            parts += [one.get("text") or str(one.get("content", "")) for one in blocks]
        return "\n".join(parts)


Scripted = Answer | Refused | Raw | Callable[[Request], "Scripted"]


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


def thought(words: str, signature: str = "signed") -> dict[str, Any]:
    return {"type": "thinking", "thinking": words, "signature": signature}


def call(name: str, /, id: str | None = None, **arguments: Any) -> dict[str, Any]:
    """A tool call of the model."""
    return {"type": "tool_use", "id": id or f"toolu_{name}", "name": name, "input": arguments}


def say(*blocks: dict[str, Any] | str, stop: str | None = None, **more: Any) -> Answer:
    """A message of texts and tool calls; it stops for the tools if there are any."""
    content = tuple(text(block) if isinstance(block, str) else block for block in blocks)
    calls = any(block["type"] == "tool_use" for block in content)
    return Answer(content, stop or ("tool_use" if calls else "end_turn"), **more)


def fail(status: int, type: str, headers: Mapping[str, str] | None = None, **more: Any) -> Refused:
    return Refused(status, type, headers=headers or {}, **more)


class MessagesApi:
    """The server; answers come in the order of the script, whichever connection asks."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self._script: list[Scripted] = []
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _make_handler(self))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def script(self, *answers: Scripted) -> MessagesApi:
        with self._lock:
            self._script = list(answers)
        return self

    @property
    def left(self) -> int:
        """Answers of the script that nobody has asked for."""
        return len(self._script)

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [request.body for request in self.requests]

    def take(self, request: Request) -> Answer | Refused | Raw:
        with self._lock:
            self.requests.append(request)
            one = (
                self._script.pop(0)
                if self._script
                else Refused(400, "invalid_request_error", "script is over")
            )
        while callable(one):
            one = one(request)
        return one

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def serve() -> Iterator[MessagesApi]:
    api = MessagesApi()
    try:
        yield api
    finally:
        api.stop()


def _make_handler(api: MessagesApi) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # noqa: N802 - the name that http.server calls
            raw = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Request(self.path, headers, raw, time.monotonic())
            answer = api.take(request)
            with suppress(BrokenPipeError, ConnectionResetError):
                self.answer(answer, bool(request.body.get("stream")))

        def answer(self, answer: Answer | Refused | Raw, stream: bool) -> None:
            if isinstance(answer, Raw):
                self.send(answer.status, answer.body, {"content-type": answer.type})
            elif isinstance(answer, Refused) and not (answer.late and stream):
                error = {"type": "error", "error": {"type": answer.type, "message": answer.message}}
                self.send(answer.status, json.dumps(error).encode(), answer.headers)
            elif stream:
                self.stream(list(_events(answer)), answer)
            else:
                time.sleep(answer.pause)
                body = json.dumps(_message(answer, answer.content)).encode()
                self.send(200, body if answer.cut is None else body[: answer.cut], {}, len(body))

        def send(
            self, status: int, body: bytes, headers: Mapping[str, str], length: int | None = None
        ) -> None:
            self.send_response(status)
            for name, value in {"content-type": "application/json", **headers}.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(body) if length is None else length))
            self.end_headers()
            self.wfile.write(body)

        def stream(self, events: Sequence[bytes], answer: Answer | Refused) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.end_headers()
            if isinstance(answer, Answer):
                for _ in range(answer.pings):
                    self.wfile.write(_event("ping", {"type": "ping"}))
                    self.wfile.flush()
                    time.sleep(answer.pause)
                time.sleep(answer.pause)
                events = events[: answer.cut]
            for event in events:
                self.wfile.write(event)

        def log_message(self, *words: Any) -> None:
            pass

    return Handler


def _message(answer: Answer, content: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "id": "msg_stub", "type": "message", "role": "assistant", "model": MODEL, "content": list(content),
        "stop_reason": answer.stop, "stop_sequence": None, "usage": dict(answer.usage),
        "stop_details": answer.details,
    }  # fmt: skip


def _event(name: str, data: Mapping[str, Any]) -> bytes:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n".encode()


def _events(answer: Answer | Refused) -> Iterator[bytes]:
    start = answer if isinstance(answer, Answer) else say("never read")
    opening = _message(start, ()) | {"stop_reason": None, "stop_details": None}
    opening["usage"] = dict(start.usage) | {"output_tokens": 1}
    yield _event("message_start", {"type": "message_start", "message": opening})
    if isinstance(answer, Refused):
        error = {"type": answer.type, "message": answer.message}
        yield _event("error", {"type": "error", "error": error})
        return
    for index, block in enumerate(answer.content):
        empty, deltas = _take_apart(block, answer.junk)
        yield _event(
            "content_block_start", {"type": "content_block_start", "index": index, "content_block": empty}
        )
        for delta in deltas:
            data = {"type": "content_block_delta", "index": index, "delta": delta}
            yield _event("content_block_delta", data)
        yield _event("content_block_stop", {"type": "content_block_stop", "index": index})
    delta = {"stop_reason": answer.stop, "stop_sequence": None, "stop_details": answer.details}
    usage = {"output_tokens": answer.usage["output_tokens"]}
    yield _event("message_delta", {"type": "message_delta", "delta": delta, "usage": usage})
    yield _event("message_stop", {"type": "message_stop"})


def _take_apart(block: Mapping[str, Any], junk: str | None) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The empty block that opens a stream, and what fills it."""
    if block["type"] == "tool_use":
        told = json.dumps(block["input"]) if junk is None else junk
        halves = (told[: len(told) // 2], told[len(told) // 2 :])
        return dict(block) | {"input": {}}, [
            {"type": "input_json_delta", "partial_json": half} for half in halves
        ]
    if block["type"] == "thinking":
        deltas = [{"type": "thinking_delta", "thinking": block["thinking"]}]
        deltas.append({"type": "signature_delta", "signature": block["signature"]})
        return dict(block) | {"thinking": "", "signature": ""}, deltas
    words = block["text"]
    halves = (words[: len(words) // 2], words[len(words) // 2 :])
    return dict(block) | {"text": ""}, [{"type": "text_delta", "text": half} for half in halves]
