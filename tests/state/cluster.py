"""A Redis Cluster of three masters on this machine."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

from .server import RedisServer

SLOTS = 16384
MASTERS = 3
_PATIENCE = 60.0


class RedisMasters:
    """Three masters without replicas. What one of them holds is gone with it.

    Args:
        folder: Where they may leave files; each its own.
        whole: Whether the cluster refuses everything while a part of its slots is missing.
    """

    def __init__(self, folder: Path, *, whole: bool = False) -> None:
        self.nodes: list[RedisServer] = []
        for number in range(MASTERS):
            own = folder / f"node{number}"
            own.mkdir()
            self.nodes.append(
                RedisServer(
                    own,
                    *("--cluster-enabled", "yes", "--cluster-node-timeout", "1000"),
                    *("--cluster-require-full-coverage", "yes" if whole else "no"),
                )
            )
        bounds = [SLOTS * number // MASTERS for number in range(MASTERS + 1)]
        for node, first, end in zip(self.nodes, bounds[:-1], bounds[1:], strict=True):
            node.command("CLUSTER", "ADDSLOTS", *range(first, end))
        for node in self.nodes[1:]:
            self.nodes[0].command("CLUSTER", "MEET", "127.0.0.1", node.port)
        self.wait()

    @property
    def url(self) -> str:
        return f"redis+cluster://127.0.0.1:{self.nodes[0].port}"

    def wait(self) -> None:
        """Until all agree that all is well."""
        until = time.monotonic() + _PATIENCE
        while not all(self._well(node) for node in self.nodes):
            assert time.monotonic() < until, "the cluster does not come together"
            time.sleep(0.05)

    def _well(self, node: RedisServer) -> bool:
        lines = bytes(node.command("CLUSTER", "INFO")).split()
        known = f"cluster_known_nodes:{MASTERS}".encode()
        return b"cluster_state:ok" in lines and known in lines and b"cluster_slots_pfail:0" in lines

    def home(self, key: str) -> RedisServer:
        """The node on which it lives."""
        slot = int(self.nodes[0].command("CLUSTER", "KEYSLOT", key))
        return self.nodes[min(MASTERS - 1, slot * MASTERS // SLOTS)]

    def kill(self) -> None:
        for node in self.nodes:
            node.kill()


@contextlib.contextmanager
def redis_masters(folder: Path, *, whole: bool = False) -> Iterator[RedisMasters]:
    masters = RedisMasters(folder, whole=whole)
    try:
        yield masters
    finally:
        masters.kill()
