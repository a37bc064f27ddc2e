"""The client of the Messages API, against a server that speaks it."""

from __future__ import annotations

import email.utils
import logging
import time
from typing import Any, Literal

import msgspec
import pytest

from patchrun.adapters.claude import Client, Failure, Reply, explain_stop, make_schema, read_answer
from patchrun.adapters.claude_faults import retry_after
from patchrun.core.usage import Usage
from tests.messages_api import MODEL, STUB_KEY, MessagesApi, Raw, call, fail, say, thought

ASK = [{"role": "user", "content": "how?"}]
TOOLS = [
    {"name": "view", "description": "d", "input_schema": {"type": "object", "properties": {}}},
    {"name": "edit", "description": "d", "input_schema": {"type": "object", "properties": {}}},
]
BOTH = pytest.mark.parametrize("max_tokens", [100, 10_000], ids=["json", "stream"])


class Part(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    sure: Literal["yes", "no"]


class Answer(msgspec.Struct, forbid_unknown_fields=True):
    parts: list[Part]


@pytest.fixture
def client() -> Client:
    return Client(MODEL, backoff_seconds=0.01, wall_seconds=20)


def failure(outcome: Reply | Failure) -> Failure:
    assert isinstance(outcome, Failure), outcome
    return outcome


@BOTH
def test_a_reply_is_blocks_reason_and_usage(api: MessagesApi, client: Client, max_tokens: int) -> None:
    usage = {
        "input_tokens": 5,
        "output_tokens": 7,
        "cache_read_input_tokens": 11,
        "cache_creation_input_tokens": 13,
    }
    api.script(say(thought("hm"), "well", call("view", path="x.py", line=3), usage=usage))
    reply = client.ask("be brief", ASK, max_tokens=max_tokens, tools=TOOLS)
    assert isinstance(reply, Reply) and (reply.stop_reason, reply.model, reply.tries) == (
        "tool_use",
        MODEL,
        1,
    )
    assert reply.usage == Usage(5, 7, 11, 13) and reply.usages == (reply.usage,)
    assert reply.text == "well"
    assert reply.blocks[0] == thought("hm")
    assert reply.tool_calls == (call("view", path="x.py", line=3),)
    assert api.bodies[0].get("stream", False) is (max_tokens > 4096)


@BOTH
def test_blocks_go_back_as_they_came(api: MessagesApi, client: Client, max_tokens: int) -> None:
    """Models that check the history of their thinking refuse a conversation in which anything was changed."""
    api.script(say(thought("hm", "sig=="), "well", call("view", path="x")), say("done"))
    first = client.ask("s", ASK, max_tokens=max_tokens, tools=TOOLS)
    result = {
        "role": "user",
        "content": [{"type": "tool_result", "tool_use_id": "toolu_view", "content": "x = 1"}],
    }
    client.ask(
        "s",
        [*ASK, {"role": "assistant", "content": list(first.blocks)}, result],
        max_tokens=max_tokens,
        tools=TOOLS,
    )
    one, two = api.bodies
    assert two["messages"][: len(one["messages"])] == one["messages"]
    assert two["messages"][1]["content"] == [
        thought("hm", "sig=="),
        {"type": "text", "text": "well"},
        call("view", path="x"),
    ]
    assert (one["system"], one["tools"]) == (two["system"], two["tools"])


def test_tools_system_and_conversation_are_marked_for_the_cache(api: MessagesApi, client: Client) -> None:
    api.script(say("ok"))
    client.ask("the rules", ASK, max_tokens=100, tools=TOOLS)
    body, mark = api.bodies[0], {"type": "ephemeral"}
    assert body["system"] == [{"type": "text", "text": "the rules", "cache_control": mark}]
    assert [tool.get("cache_control") for tool in body["tools"]] == [None, mark]
    assert body["cache_control"] == mark and body["messages"] == ASK
    assert "cache_control" not in TOOLS[-1]


@BOTH
def test_what_passes_is_tried_again(api: MessagesApi, client: Client, max_tokens: int) -> None:
    api.script(
        fail(529, "overloaded_error"), fail(500, "api_error"), fail(429, "rate_limit_error"), say("at last")
    )
    reply = client.ask("s", ASK, max_tokens=max_tokens)
    assert (reply.text, reply.tries, api.left) == ("at last", 4, 0)
    assert len({request.raw for request in api.requests}) == 1


def test_tries_are_bounded_and_wait_longer_each_time(api: MessagesApi) -> None:
    api.script(*[fail(529, "overloaded_error", message="too many of you")] * 9)
    told = failure(Client(MODEL, tries=4, backoff_seconds=0.05).ask("s", ASK, max_tokens=100))
    assert (told.kind, told.tries, len(api.requests)) == ("overloaded", 4, 4)
    assert "too many of you" in str(told) and "529" in str(told)
    times = [request.at for request in api.requests]
    gaps = [after - before for before, after in zip(times, times[1:], strict=False)]
    assert gaps[0] >= 0.0375 and gaps[1] >= 0.075 and gaps[2] >= 0.15


def test_retry_after_is_obeyed(api: MessagesApi, client: Client) -> None:
    api.script(fail(429, "rate_limit_error", {"retry-after": "0.4"}), say("ok"))
    assert client.ask("s", ASK, max_tokens=100).tries == 2
    assert api.requests[1].at - api.requests[0].at >= 0.4


def test_a_wait_beyond_the_time_that_is_left_is_not_begun(api: MessagesApi, client: Client) -> None:
    api.script(fail(429, "rate_limit_error", {"retry-after": "3600"}), say("too late"))
    began = time.monotonic()
    assert failure(client.ask("s", ASK, max_tokens=100)).kind == "rate-limit"
    assert time.monotonic() - began < 5 and api.left == 1


def test_a_server_may_say_that_trying_again_is_no_use(api: MessagesApi, client: Client) -> None:
    api.script(fail(429, "rate_limit_error", {"x-should-retry": "false"}), say("no"))
    assert failure(client.ask("s", ASK, max_tokens=100)).tries == 1


def test_retry_after_is_seconds_or_a_date() -> None:
    now = 1_700_000_000.0
    assert retry_after({"retry-after": "7"}) == 7 and retry_after({"retry-after": "-3"}) == 0
    assert retry_after({"retry-after": email.utils.formatdate(now + 30, usegmt=True)}, now) == 30
    assert retry_after({"retry-after": email.utils.formatdate(now - 30, usegmt=True)}, now) == 0
    assert retry_after({}) is None and retry_after({"retry-after": "soon"}) is None


@BOTH
@pytest.mark.parametrize(
    ("status", "type", "kind"),
    [
        (401, "authentication_error", "wrong-key"),
        (403, "permission_error", "forbidden"),
        (402, "billing_error", "billing"),
        (404, "not_found_error", "unknown-model"),
        (400, "invalid_request_error", "bad-request"),
        (413, "request_too_large", "too-large"),
        (422, "some_new_error", "bad-request"),
    ],
)
def test_what_does_not_pass_is_not_tried_again(
    api: MessagesApi, client: Client, max_tokens: int, status: int, type: str, kind: str
) -> None:
    api.script(fail(status, type, message="because"), say("never"))
    told = failure(client.ask("s", ASK, max_tokens=max_tokens))
    assert (told.kind, told.tries, api.left) == (kind, 1, 1) and "because" in told.message


def test_without_a_key_nothing_is_sent(
    api: MessagesApi, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    for value in ("", "   "):
        monkeypatch.setenv("ANTHROPIC_API_KEY", value)
        assert failure(client.ask("s", ASK, max_tokens=100)).kind == "no-key"
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", "another-way-in")
    assert "ANTHROPIC_API_KEY is not set" in failure(client.ask("s", ASK, max_tokens=100)).message
    assert api.requests == []


@pytest.mark.parametrize("key", ["sk-ant-\u00e4\u00f6\u00fc", "two words", "a\nb"])
def test_a_key_that_no_header_can_carry(
    api: MessagesApi, client: Client, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", key)
    told = failure(client.ask("s", ASK, max_tokens=100))
    assert told.kind == "wrong-key" and key not in told.message and api.requests == []


def test_a_key_that_comes_later_or_changes_is_used(
    api: MessagesApi, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.script(say("one"), say("two"))
    client.ask("s", ASK, max_tokens=100)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-another-0123456789\n")
    client.ask("s", ASK, max_tokens=100)
    keys = [request.headers["authorization"] for request in api.requests]
    assert keys == [f"Bearer {STUB_KEY}", "Bearer sk-ant-another-0123456789"]


@BOTH
def test_the_key_is_in_no_body_no_message_and_no_log(
    api: MessagesApi, client: Client, max_tokens: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    api.script(fail(400, "invalid_request_error", message=f"who is {STUB_KEY}?"))
    told = failure(client.ask("s", ASK, max_tokens=max_tokens))
    assert STUB_KEY.encode() not in api.requests[0].raw
    assert STUB_KEY not in repr(told) + repr(client) and "who is" in told.message
    assert STUB_KEY not in caplog.text.replace(f"who is {STUB_KEY}", "")


@pytest.mark.parametrize("cut", [0, 1, 3, 6])
def test_a_cut_stream_is_asked_for_again_and_its_tokens_are_counted(
    api: MessagesApi, client: Client, cut: int
) -> None:
    api.script(say("a long answer", call("view", path="x"), cut=cut), say("whole"))
    reply = client.ask("s", ASK, max_tokens=10_000)
    assert (reply.text, reply.tries) == ("whole", 2)
    assert reply.usages == ((Usage(100, 1),) if cut else ()) + (Usage(100, 10),)


def test_a_stream_that_always_breaks_is_a_failure_with_what_it_used(api: MessagesApi, client: Client) -> None:
    api.script(*[say("a long answer", cut=3)] * 5)
    told = failure(client.ask("s", ASK, max_tokens=10_000))
    assert (told.kind, told.tries, told.usages) == ("broken-stream", 5, (Usage(100, 1),) * 5)


def test_a_json_answer_that_breaks_off_is_asked_for_again(api: MessagesApi, client: Client) -> None:
    api.script(say("a long answer", cut=40), say("whole"))
    assert client.ask("s", ASK, max_tokens=100).tries == 2


def test_an_error_inside_a_stream_is_told_by_its_type(api: MessagesApi, client: Client) -> None:
    api.script(fail(200, "overloaded_error", late=True), say("ok"))
    reply = client.ask("s", ASK, max_tokens=10_000)
    assert (reply.tries, reply.usages) == (2, (Usage(100, 1), Usage(100, 10)))
    api.script(fail(200, "invalid_request_error", late=True), say("never"))
    told = failure(client.ask("s", ASK, max_tokens=10_000))
    assert (told.kind, told.usages, api.left) == ("bad-request", (Usage(100, 1),), 1)


def test_tool_arguments_that_are_no_json_are_asked_for_again(api: MessagesApi, client: Client) -> None:
    api.script(say(call("view", path="x"), junk='{"path" "x"]'), say(call("view", path="y")))
    reply = client.ask("s", ASK, max_tokens=10_000, tools=TOOLS)
    assert reply.tool_calls[0]["input"] == {"path": "y"} and reply.tries == 2


@BOTH
@pytest.mark.parametrize(
    "body", [b"{}", b"[]", b"null", b"<html>a proxy</html>", b"", b"\xff\xfe", b'{"content": 7, "usage": {}}']
)
def test_what_is_no_message_is_a_failure(api: MessagesApi, max_tokens: int, body: bytes) -> None:
    api.script(Raw(body), Raw(body, type="text/event-stream"))
    told = failure(Client(MODEL, tries=2, backoff_seconds=0.01).ask("s", ASK, max_tokens=max_tokens))
    assert told.kind == "broken-stream" and told.tries == 2


def test_nobody_there(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", STUB_KEY)
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://127.0.0.1:9")
    told = failure(client.ask("s", ASK, max_tokens=100))
    assert (told.kind, told.tries) == ("connection", 5) and "cannot reach" in told.message


@pytest.mark.parametrize(
    "scripted", [say("slow", pause=9), say("alive", pause=0.1, pings=90)], ids=["silent", "pinging"]
)
def test_the_time_for_a_question_is_bounded(api: MessagesApi, client: Client, scripted: Any) -> None:
    api.script(scripted)
    began = time.monotonic()
    told = failure(client.ask("s", ASK, max_tokens=10_000, wall_seconds=0.4))
    assert told.kind == "timeout" and time.monotonic() - began < 3


@BOTH
def test_a_refusal_and_a_cut_answer_are_told(api: MessagesApi, client: Client, max_tokens: int) -> None:
    details = {"type": "refusal", "category": "cyber", "explanation": "I will not"}
    api.script(say(stop="refusal", details=details), say("half an ans", stop="max_tokens"), say("whole"))
    refused, cut, whole = (client.ask("s", ASK, max_tokens=max_tokens) for _ in range(3))
    assert explain_stop(refused).kind == "refusal" and "I will not" in explain_stop(refused).message
    assert explain_stop(cut).kind == "truncated" and explain_stop(cut).usages == (Usage(100, 10),)
    assert explain_stop(whole) is None


# Structured answers.


@BOTH
def test_a_structured_answer_is_asked_for_and_read(api: MessagesApi, client: Client, max_tokens: int) -> None:
    api.script(say('{"parts": [{"name": "a", "sure": "yes"}]}'))
    reply = client.ask("s", ASK, max_tokens=max_tokens, schema=make_schema(Answer))
    assert read_answer(reply, Answer) == Answer([Part("a", "yes")])
    form = api.bodies[0]["output_config"]["format"]
    assert form["type"] == "json_schema" and form["schema"]["required"] == ["parts"]
    assert form["schema"]["additionalProperties"] is False and form["schema"]["type"] == "object"
    assert form["schema"]["$defs"]["Part"]["properties"]["sure"] == {"enum": ["no", "yes"]}


@pytest.mark.parametrize(
    "words",
    ["", "certainly!", "{", '{"parts": 7}', '{"parts": [{"name": "a"}]}', '{"parts": [{"name": "a", "sure": "maybe"}]}',
     '{"parts": [], "more": 1}', "[" * 5000, '{"parts": [{"name": "\\ud800", "sure": "yes"}]}x', "null"],
)  # fmt: skip
def test_junk_is_a_failure_that_says_what_is_wrong(api: MessagesApi, client: Client, words: str) -> None:
    api.script(say(words))
    told = read_answer(client.ask("s", ASK, max_tokens=100), Answer)
    assert isinstance(told, Failure) and told.kind == "bad-answer" and told.usages == (Usage(100, 10),)


def test_a_refusal_is_no_answer(api: MessagesApi, client: Client) -> None:
    api.script(say('{"parts": []}', stop="refusal"), say('{"parts": []}', stop="max_tokens"))
    kinds = [read_answer(client.ask("s", ASK, max_tokens=100), Answer).kind for _ in range(2)]
    assert kinds == ["refusal", "truncated"]
