r"""A FastAPI service over the gateway: an answer as JSON, an answer as a stream, what it cost.

::

    pip install fastapi uvicorn
    export SWITCHGEAR_CONFIG=examples/adr-004.toml     # or only keys: see Router.from_env
    switchgear config check && uvicorn --app-dir examples fastapi_app:app --workers 2

    curl localhost:8000/v1/complete -H 'X-Agent-Id: qa-1' -H 'X-Project-Id: syndarix' \
         --json '{"messages": [{"role": "user", "content": "hi"}], "agent_type": "QA Engineer"}'
    curl localhost:8000/v1/spend/syndarix

With more than one worker, uvicorn's own exit code is 0 also where the configuration is wrong.

Whoever leaves before the end is not paid for to the end: the call is cancelled, the provider's
connection closed, and what it cost until then booked.
"""

import asyncio
import contextlib
import logging
import math
from collections.abc import AsyncIterator, Coroutine
from typing import Annotated, Any, TypeVar, cast

import msgspec
from fastapi import Depends, FastAPI, Header, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel
from starlette.requests import ClientDisconnect

from switchgear import (
    AllProvidersFailedError,
    BudgetBusyError,
    BudgetExceededError,
    CompletionStream,
    ConfigError,
    DeadlineExceededError,
    InvalidRequestError,
    LedgerError,
    LifecycleError,
    LLMGateway,
    SwitchgearError,
    UnboundedCostError,
)

log = logging.getLogger("uvicorn.error")

T = TypeVar("T")


# One gateway for each worker, from its start to its end ---------------------------------------


@contextlib.asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[dict[str, LLMGateway]]:
    try:
        gateway = LLMGateway()
    except ConfigError as error:
        # Its message names every mistake; the way through the library would only bury it.
        raise error.with_traceback(None) from None
    async with gateway:
        yield {"gateway": gateway}


def gateway_of(request: Request) -> LLMGateway:
    return cast("LLMGateway", request.state.gateway)


Gateway = Annotated[LLMGateway, Depends(gateway_of)]

app = FastAPI(title="Switchgear", lifespan=lifespan)


# What is asked --------------------------------------------------------------------------------


class Question(BaseModel, extra="forbid"):
    """A conversation, who asks, and how it is to be answered."""

    messages: list[dict[str, Any]]
    agent_id: str = ""
    project_id: str = ""
    agent_type: str | None = None
    model_preference: str | None = None
    tools: list[dict[str, Any]] | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    timeout: float | None = None


def asked(
    question: Question,
    x_agent_id: Annotated[str | None, Header()] = None,
    x_project_id: Annotated[str | None, Header()] = None,
) -> dict[str, Any]:
    """The gateway's arguments. A header, which your proxy may have set, goes before the body."""
    arguments = question.model_dump(exclude_none=True)
    headers = {"agent_id": x_agent_id, "project_id": x_project_id}
    return {**arguments, **{name: value for name, value in headers.items() if value is not None}}


Asked = Annotated[dict[str, Any], Depends(asked)]


# Answers --------------------------------------------------------------------------------------


@app.post("/v1/complete")
async def complete(request: Request, gateway: Gateway, arguments: Asked) -> dict[str, Any]:
    """One answer, in the shape of OpenAI's."""
    reply = await while_connected(request, gateway.complete(**arguments))
    return reply.to_openai()


async def until_answered() -> AsyncIterator[contextlib.AsyncExitStack]:
    """What is entered here is left when the response is through, or its client gone."""
    async with contextlib.AsyncExitStack() as stack:
        yield stack


@app.post("/v1/stream")
async def stream(
    request: Request,
    gateway: Gateway,
    arguments: Asked,
    stack: Annotated[contextlib.AsyncExitStack, Depends(until_answered)],
) -> StreamingResponse:
    """The same as server-sent events: ``delta``s, then ``done`` with the whole, or ``error``."""
    # Opened before the response begins: until the first token, every failure is an HTTP status.
    opening = stack.enter_async_context(gateway.stream(**arguments))
    opened = await while_connected(request, opening)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(events(opened), media_type="text/event-stream", headers=headers)


async def events(opened: CompletionStream) -> AsyncIterator[bytes]:
    try:
        async for event in opened:
            yield server_sent("delta", event)
    except SwitchgearError as error:
        log.warning("%s", error)
        yield server_sent("error", described(error))
    else:
        yield server_sent("done", opened.completion.to_openai())


def server_sent(name: str, data: object) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (name.encode(), msgspec.json.encode(data))


@app.get("/v1/spend/{project_id}")
async def spend(project_id: str, gateway: Gateway, since: str | None = None) -> Any:
    """What a project spent, by agent and by what became of the attempts."""
    found = await gateway.router.spend(
        project_id=project_id, by=["agent", "group", "outcome"], since=since
    )
    return msgspec.to_builtins(found)


# Clients that leave ---------------------------------------------------------------------------


async def while_connected(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Do it for as long as the client is there.

    Nothing else would end it: a server tells of a disconnect only whoever asks (a
    ``StreamingResponse`` does, once it has begun).

    Raises:
        ClientDisconnect: The client left, and the work has been cancelled.
    """
    call, leaving = asyncio.ensure_future(work), asyncio.create_task(left(request))
    try:
        await asyncio.wait((call, leaving), return_when=asyncio.FIRST_COMPLETED)
        if not call.done():
            raise ClientDisconnect
        return call.result()
    finally:
        call.cancel()
        leaving.cancel()
        # Cancelled work has its costs to book, which must be through before the request is.
        await asyncio.wait((call, leaving))


async def left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


@app.exception_handler(ClientDisconnect)
async def gone(_: Request, __: Exception) -> Response:
    return Response(status_code=499)  # nobody reads it; other middleware may count it


# Errors ---------------------------------------------------------------------------------------

STATUS: dict[type[Exception], int] = {
    InvalidRequestError: 400,
    UnboundedCostError: 400,
    # Not 429, which clients repeat on their own: a budget of a month may stay exhausted for weeks.
    BudgetExceededError: 402,
    BudgetBusyError: 429,
    AllProvidersFailedError: 502,
    DeadlineExceededError: 504,
    LedgerError: 503,
    LifecycleError: 503,
    SwitchgearError: 500,
}


@app.exception_handler(SwitchgearError)
async def failed(_: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, SwitchgearError):
        raise error
    status = next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)
    seconds = error.retry_after
    if isinstance(error, BudgetBusyError) and seconds is None:
        seconds = 1
    if status == 502 and seconds is not None:
        status = 503
    if status >= 500:
        log.warning("%s", error)
    headers = {} if seconds is None else {"Retry-After": str(max(1, math.ceil(seconds)))}
    return JSONResponse({"error": described(error)}, status, headers)


def described(error: SwitchgearError) -> dict[str, Any]:
    return {"type": type(error).__name__, "message": error.message, "param": error.param}
