"""The gateway of ADR-004: agents and projects on top of the router."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeVar, Unpack

from .completion import Completion
from .config.agents import AgentTypes
from .errors import InvalidRequestError
from .routing.options import CallOptions, RequestOptions
from .routing.router import Router
from .routing.streaming import CompletionStream
from .routing.sync import SyncCompletionStream, SyncRouter

if TYPE_CHECKING:
    from .caching.stats import CacheStats

__all__ = ["LLMGateway", "SyncLLMGateway"]

_USUAL_GROUP = "high-reasoning"

R = TypeVar("R", bound=Router | SyncRouter)


class _Gateway(Generic[R]):
    """What both gateways have in common: whom a call is for, and which group that means."""

    _kind: ClassVar[type[Any]]

    def __init__(self, router: R | None = None) -> None:
        self._owned = router is None
        self._router: R = self._kind.from_env() if router is None else router
        self._agent_types = AgentTypes(self._router.config)

    @classmethod
    def from_file(cls, path: str | Path, **settings: Any) -> Self:
        """A gateway over a router of its own; see :meth:`Router.from_file`."""
        return cls._over(cls._kind.from_file(path, **settings))

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], **settings: Any) -> Self:
        """A gateway over a router of its own; see :meth:`Router.from_dict`."""
        return cls._over(cls._kind.from_dict(data, **settings))

    @classmethod
    def _over(cls, router: R) -> Self:
        gateway = cls(router)
        gateway._owned = True
        return gateway

    @property
    def router(self) -> R:
        """The router underneath: ``spend``, ``health``, ``embed``, ``client`` and the rest."""
        return self._router

    @property
    def agent_types(self) -> Mapping[str, str]:
        """The agent types that may be given, and the group of each."""
        return self._agent_types.groups

    def _asked(
        self,
        agent_id: str,
        project_id: str,
        model_preference: str | None,
        agent_type: str | None,
        options: RequestOptions,
    ) -> tuple[str, CallOptions]:
        """The group or model, and the router's keyword arguments."""
        if "model" in options:
            message = "model: it is called model_preference here"
            raise InvalidRequestError(message, param="model")
        label = group = None
        if agent_type is not None:
            # Budgets and reports go by the label, so all spellings of a type have the same one.
            label = _name(agent_type, "agent_type")
            if model_preference is None:
                label, group = self._agent_types.get(label)
            elif (found := self._agent_types.find(label)) is not None:
                label = found.name
        call: CallOptions = {
            **options,
            "agent_id": _name(agent_id, "agent_id"),
            "project_id": _name(project_id, "project_id"),
            "agent_type": label,
        }
        if model_preference is not None:
            return _name(model_preference, "model_preference"), call
        return group or self._usual_group(), call

    def _usual_group(self) -> str:
        groups = self._router.config.groups
        if _USUAL_GROUP in groups:
            return _USUAL_GROUP
        message = (
            "give a model_preference or an agent_type: there is no group "
            f"{_USUAL_GROUP!r} to take without them (groups: {', '.join(sorted(groups)) or 'none'})"
        )
        raise InvalidRequestError(message, param="model_preference")

    def __repr__(self) -> str:
        return f"<{type(self).__name__} over {self._router!r}>"


class LLMGateway(_Gateway[Router]):
    """Answers for agents: who asks and for what project is part of every call.

    ::

        async with LLMGateway.from_file("switchgear.toml") as gateway:
            reply = await gateway.complete(
                agent_id="architect-1",
                project_id="syndarix",
                messages=[{"role": "user", "content": "Compare Raft and Paxos."}],
                agent_type="Software Architect",
            )
            reply.text, reply["choices"][0]["message"]["content"]  # the same
            await gateway.router.spend(project_id="syndarix", by="agent")

    Every attempt is booked under its agent and project, failed and cancelled ones too. Which group
    is asked: ``model_preference``, else the one that ``agent_type`` is mapped to, else
    ``high-reasoning``. ``[agents]`` of the configuration maps agent types to groups; ADR-004's six
    types are there wherever it does not say otherwise and has their group. How a type is joined
    and capitalised does not matter: ``qa-engineer`` is ``QA Engineer``.

    Args:
        router: The router to use, which stays its owner's to close. Without one, the gateway makes
            its own from the environment (see :meth:`Router.from_env`), and closes it.

    Raises:
        ConfigError: No router was given, and the environment configures no provider; or two
            spellings of an agent type have different groups.
    """

    _kind = Router

    async def complete(
        self,
        agent_id: str,
        project_id: str,
        messages: Sequence[Any] | str,
        model_preference: str | None = None,
        *,
        agent_type: str | None = None,
        **options: Unpack[RequestOptions],
    ) -> Completion:
        """Ask for one answer.

        Args:
            agent_id: Who asks.
            project_id: For which project.
            messages: The conversation: OpenAI-style dicts, ``Message`` values, earlier replies; a
                plain string is one user message.
            model_preference: A group of the configuration, or ``provider/model``. Where it is
                given, ``agent_type`` does not choose and is only booked.
            agent_type: What the agent is: one of :attr:`agent_types`, in any spelling.
            options: The others of :class:`~switchgear.CallOptions`.

        Returns:
            The answer, which also reads as a dict in OpenAI's shape.

        Raises:
            InvalidRequestError: The request is wrong; ``param`` names the place.
            BudgetError: A hard budget does not allow it.
            AllProvidersFailedError: Every candidate failed; ``exceptions`` says how.
            DeadlineExceededError: The call's timeout ran out.
        """
        target, call = self._asked(agent_id, project_id, model_preference, agent_type, options)
        return await self._router.complete(target, messages, **call)

    def stream(
        self,
        agent_id: str,
        project_id: str,
        messages: Sequence[Any] | str,
        model_preference: str | None = None,
        *,
        agent_type: str | None = None,
        **options: Unpack[RequestOptions],
    ) -> CompletionStream:
        """Ask for one answer, delta by delta, in an ``async with`` block.

        Takes what :meth:`complete` takes; see :meth:`Router.stream`.

        Raises:
            InvalidRequestError: The request is wrong. Everything else is raised by the stream.
        """
        target, call = self._asked(agent_id, project_id, model_preference, agent_type, options)
        return self._router.stream(target, messages, **call)

    def cache_stats(self) -> CacheStats:
        """What the response cache did; see :meth:`Router.cache_stats`."""
        return self._router.cache_stats()

    async def aclose(self) -> None:
        """Close the router, where it is the gateway's own. Safe to call twice."""
        if self._owned:
            await self._router.aclose()

    async def __aenter__(self) -> Self:
        if self._owned:
            await self._router.__aenter__()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()


class SyncLLMGateway(_Gateway[SyncRouter]):
    """The same without ``await``, from any thread: for task queues and scripts.

    Args:
        router: As for :class:`LLMGateway`, but a ``SyncRouter``.

    Raises:
        ConfigError: As for :class:`LLMGateway`.
    """

    _kind = SyncRouter

    def complete(
        self,
        agent_id: str,
        project_id: str,
        messages: Sequence[Any] | str,
        model_preference: str | None = None,
        *,
        agent_type: str | None = None,
        **options: Unpack[RequestOptions],
    ) -> Completion:
        """Ask for one answer; see :meth:`LLMGateway.complete`."""
        target, call = self._asked(agent_id, project_id, model_preference, agent_type, options)
        return self._router.complete(target, messages, **call)

    def stream(
        self,
        agent_id: str,
        project_id: str,
        messages: Sequence[Any] | str,
        model_preference: str | None = None,
        *,
        agent_type: str | None = None,
        **options: Unpack[RequestOptions],
    ) -> SyncCompletionStream:
        """Ask for one answer, delta by delta, in a ``with`` block."""
        target, call = self._asked(agent_id, project_id, model_preference, agent_type, options)
        return self._router.stream(target, messages, **call)

    def close(self) -> None:
        """Close the router, where it is the gateway's own. Safe to call twice."""
        if self._owned:
            self._router.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _name(value: object, param: str) -> str:
    """A name that says something."""
    if not isinstance(value, str):
        message = f"{param}: expected a string, found {type(value).__name__}"
        raise InvalidRequestError(message, param=param)
    if not value.strip():
        raise InvalidRequestError(f"{param}: is empty", param=param)
    # A plain one, where it is the member of a string enumeration.
    return str.__str__(value)
