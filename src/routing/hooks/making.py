"""The hooks that a configuration names, and those that are given in code."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final

from ...errors import PluginError
from ...plugins import Plugins
from .dispatch import KINDS, Hooked, Hooks
from .values import HookSettings

if TYPE_CHECKING:
    from ...config.hooks import HookConfig

__all__ = ["GROUP", "hooks_of"]

GROUP: Final = "switchgear.hooks"


def hooks_of(
    configured: Mapping[str, HookConfig],
    given: Iterable[object] = (),
    *,
    plugins: Plugins | None = None,
) -> Hooks | None:
    """All hooks of a router, the configured ones first; ``None`` where there is none.

    Args:
        configured: The ``[hooks]`` tables.
        given: Ready-made ones.
        plugins: Where they are found; the installed ones by default.

    Raises:
        ConfigError: No such plugin, or it refuses its options; or what was given is no hook.
        PluginError: A plugin is broken. A guardrail that can't be had must not be left out.
    """
    hooks: list[Hooked] = []
    plugins = plugins or Plugins(GROUP)
    for name, config in configured.items():
        settings = HookSettings(name=name, plugin=config.plugin, options=config.options)
        hook = plugins.make(config.plugin, settings, requires=(), where=f"hooks.{name}.plugin")
        if not any(callable(getattr(hook, kind, None)) for kind in KINDS):
            made = type(hook).__name__
            message = f"{plugins.named(config.plugin)} made {made}, which has none of "
            raise PluginError(message + ", ".join(KINDS))
        hooks.append(Hooked(name, hook, timeout=config.timeout, fail_closed=config.fail_closed))
    names = Counter(each.name for each in hooks)
    for hook in given:
        name = type(hook).__name__
        names[name] += 1
        hooks.append(Hooked(name if names[name] == 1 else f"{name}-{names[name]}", hook))
    return Hooks(hooks) if hooks else None
