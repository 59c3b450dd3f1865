"""Google's Gemini API as a provider plugin of Switchgear.

::

    [providers.gemini]
    api_key = "env:GEMINI_API_KEY"  # the default
"""

from .provider import GeminiProvider, create

__all__ = ["GeminiProvider", "create"]
