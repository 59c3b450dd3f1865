"""The process that a model lives in: llama.cpp's server on a loopback port.

Run as a script by ``embedded_server``, isolated from the site's and the user's Python settings; it
imports nothing of this package. One line of JSON on its standard input says what to load, one line
on its standard output answers with the address (or the error). It ends when its standard input
does, or its parent.
"""

from __future__ import annotations

import json
import os
import select
import sys
import urllib.request
from typing import Any

_LOOK_FOR_PARENT_SECONDS = 2.0
_HTTP_THREADS = 32
_POOLING = {"mean": "MEAN", "cls": "CLS", "last": "LAST"}
# llama.cpp's words: 1 is errors, 3 is what its own server shows.
_ERRORS, _INFO = 1, 3


def main() -> int:
    """Load, answer, and live until nobody needs it."""
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answer:
        # Whatever the library prints goes to its log, not into the answer.
        os.dup2(2, 1)
        order = json.loads(sys.stdin.buffer.readline())
        sys.path[:] = order["sys_path"]
        try:
            server = _start(order)
            said = {"url": server.listening_address, **_facts(server.listening_address, order)}
        except Exception as exc:  # noqa: BLE001 - the parent raises it
            said = {"error": f"{type(exc).__name__}: {exc}"}
        answer.write(json.dumps(said) + "\n")
    if "error" in said:
        return 1
    if not order["verbose"]:
        # The log was kept for the case of failure, and would only grow.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
    _wait(order["parent"])
    # Nothing needs to be saved: the kernel frees faster than destructors do.
    os._exit(0)


def _start(order: dict[str, Any]) -> Any:
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = order["path"]
    params.model_alias = {order["name"]}
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    # Other users of this machine, and web pages in its browsers, reach the port as well.
    params.api_keys = [order["token"]]
    params.ui = False
    params.endpoint_slots = False
    params.n_parallel = order["n_parallel"]
    params.n_ctx = order["n_ctx"] * order["n_parallel"]
    # A second cache of whole prompts, up to 8 GB of memory unless told otherwise.
    params.cache_ram_mib = 0
    params.n_threads_http = _HTTP_THREADS
    params.verbosity = _INFO if order["verbose"] else _ERRORS
    params.cpuparams.n_threads = order["n_threads"]
    params.cpuparams_batch.n_threads = order["n_threads"]
    if order["n_gpu_layers"] is not None:
        params.n_gpu_layers = order["n_gpu_layers"]
    if order["embeddings"]:
        params.embedding = True
        # A text is embedded in one piece.
        params.n_batch = params.n_ubatch = order["n_ctx"]
        if order["pooling"] is not None:
            kinds = xllamacpp.llama_pooling_type
            params.pooling_type = getattr(kinds, f"LLAMA_POOLING_TYPE_{_POOLING[order['pooling']]}")
    return xllamacpp.Server(params)


def _facts(url: str, order: dict[str, Any]) -> dict[str, Any]:
    """What the loaded model can do, in the server's own words."""
    request = urllib.request.Request(  # noqa: S310 - our own server's address
        f"{url}/props", headers={"Authorization": f"Bearer {order['token']}"}
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=30) as response:
        props = json.loads(response.read())
    template = props.get("chat_template_caps", {})
    return {
        "n_ctx": props["default_generation_settings"]["n_ctx"],
        "tools": bool(template.get("supports_tools")),
        "parallel_tool_calls": bool(template.get("supports_parallel_tool_calls")),
    }


def _wait(parent: int) -> None:
    """Until the pipe from the parent closes, or the parent is gone.

    A fork of the parent may hold the pipe's other end open longer than the parent lives.
    """
    while os.getppid() == parent:
        ready, _, _ = select.select([0], [], [], _LOOK_FOR_PARENT_SECONDS)
        if ready and not os.read(0, 1024):
            return


if __name__ == "__main__":
    sys.exit(main())
