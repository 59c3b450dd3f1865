"""Takes credentials out of an error before anybody sees it."""

from __future__ import annotations

from collections.abc import Iterator

from ..credentials import Secret, hide
from .headers import SECRET_HEADERS

__all__ = ["scrub"]


def scrub(error: BaseException, *secrets: Secret | None) -> None:
    """Make the error and everything that caused it fit to be logged.

    A vendor may repeat the key that it did not like, a traceback prints the SDK's exception with
    those words, and that exception holds the request with all its headers.
    """
    for exc in _chain(error):
        if any(isinstance(arg, str) for arg in exc.args):
            exc.args = tuple(
                hide(arg, *secrets) if isinstance(arg, str) else arg for arg in exc.args
            )
        fields = vars(exc)
        message = fields.get("message")
        if isinstance(message, str):
            fields["message"] = hide(message, *secrets)
        info = fields.get("request_info")
        if info is not None and exc.args[:1] == (info,):
            # aiohttp's, whose headers can't be changed.
            fields["request_info"] = info._replace(headers={})
            exc.args = (fields["request_info"], *exc.args[1:])
        headers = getattr(fields.get("request") or fields.get("_request"), "headers", None)
        if headers is not None:
            for name in SECRET_HEADERS:
                if name in headers:
                    headers[name] = "***"


def _chain(error: BaseException) -> Iterator[BaseException]:
    waiting, seen = [error], {id(error)}
    while waiting:
        exc = waiting.pop()
        yield exc
        for origin in (exc.__cause__, exc.__context__, *getattr(exc, "exceptions", ())):
            if isinstance(origin, BaseException) and id(origin) not in seen:
                seen.add(id(origin))
                waiting.append(origin)
