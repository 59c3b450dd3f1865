"""What the replicas of a fleet tell each other about candidates: circuits, cooldowns, speed."""

from .health import FleetHealth

__all__ = ["FleetHealth"]
