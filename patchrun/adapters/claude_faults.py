"""What can go wrong with a request to the Messages API, told apart: its kind, whether it may pass, how long to wait."""

from __future__ import annotations

import email.utils
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from patchrun.core.usage import Usage

PASSING = {"rate-limit", "overloaded", "server-error", "connection", "broken-stream"}
BY_TYPE = {
    "invalid_request_error": "bad-request",
    "authentication_error": "wrong-key",
    "billing_error": "billing",
    "permission_error": "forbidden",
    "not_found_error": "unknown-model",
    "rate_limit_error": "rate-limit",
    "overloaded_error": "overloaded",
    "timeout_error": "server-error",
    "api_error": "server-error",
    "request_too_large": "too-large",
}
BY_STATUS = {
    401: "wrong-key",
    402: "billing",
    403: "forbidden",
    404: "unknown-model",
    408: "server-error",
    409: "server-error",
    413: "too-large",
    429: "rate-limit",
    529: "overloaded",
}
LONGEST_MESSAGE = 500


@dataclass(frozen=True)
class Fault:
    """One try that failed; ``passing``: the same request may succeed, ``retry_after`` seconds from now if known."""

    kind: str
    message: str
    passing: bool = False
    retry_after: float | None = None
    usages: tuple[Usage, ...] = ()


def read_fault(error: Exception, late: bool) -> Fault | None:
    """The fault behind an exception of the SDK; None where it is no fault of API or wire, but a bug.

    ``late``: the time for the question is over, which then is the reason whatever broke because of it.
    """
    import anthropic
    import httpx2

    if isinstance(error, anthropic.APIStatusError):
        return _read_status(error)
    if late or isinstance(error, anthropic.APITimeoutError):
        return Fault("timeout", "no whole reply in the time that was left")
    if isinstance(error, anthropic.APIConnectionError):
        return Fault("connection", f"cannot reach the API: {error.__cause__ or error}", passing=True)
    if isinstance(error, (httpx2.HTTPError, httpx2.StreamError)):
        return Fault("broken-stream", f"the reply broke off: {error or type(error).__name__}", passing=True)
    if isinstance(error, (anthropic.AnthropicError, ValueError)):
        # ValueError: what the stream carries is no JSON, or tool arguments of the model that are none
        return Fault(
            "broken-stream", f"the reply cannot be read: {str(error)[:LONGEST_MESSAGE]}", passing=True
        )
    return None


def _read_status(error: Any) -> Fault:
    """A refusal by status, or by the type that an error inside a stream names."""
    kind = BY_TYPE.get(error.type or "") or BY_STATUS.get(error.status_code)
    if kind is None:
        kind = "server-error" if error.status_code >= 500 or error.status_code < 400 else "bad-request"
    told = error.api_message or str(error)
    message = f"{told[:LONGEST_MESSAGE]} (status {error.status_code})"
    passing = kind in PASSING and error.response.headers.get("x-should-retry") != "false"
    return Fault(kind, message, passing, retry_after(error.response.headers))


def retry_after(headers: Mapping[str, str], now: float | None = None) -> float | None:
    """Seconds that a server asks to wait (RFC 9110, 10.2.3: seconds or a date), None where it does not say."""
    told = headers.get("retry-after", "")
    try:
        return max(0.0, float(told))
    except ValueError:
        pass
    try:
        then = email.utils.parsedate_to_datetime(told).timestamp()
    except ValueError:
        return None
    return max(0.0, then - (time.time() if now is None else now))
