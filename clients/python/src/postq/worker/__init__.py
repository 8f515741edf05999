"""A worker: an agent that runs handlers, over the same protocol as every other agent."""

from .worker import Worker

__all__ = ["Worker"]
