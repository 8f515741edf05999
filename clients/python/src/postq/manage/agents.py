"""`client.agents`: who is there to run tasks, language workers included."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from .. import _loop
from .._link import Link
from ..status import time_of
from ..v1 import agent_service_pb2 as wire
from ..v1.agent_service_pb2_grpc import AgentServiceStub
from ..values import Duration, to_duration

AgentList = list["AgentStatus"]


@dataclass(frozen=True)
class AgentStatus:
    """An agent, and what it runs."""

    id: str
    name: str
    host: str
    version: str
    is_connected: bool
    is_draining: bool
    slots: int
    running: int
    executors: tuple[str, ...]
    handlers: tuple[str, ...]
    labels: Mapping[str, str]
    resources: Mapping[str, int]
    """`cpus` in thousandths of one, `memory` in bytes, anything else in whole numbers."""
    resources_in_use: Mapping[str, int]
    connected_at: datetime | None
    left_at: datetime | None
    last_seen_at: datetime | None

    @classmethod
    def from_proto(cls, agent: wire.Agent) -> AgentStatus:
        """From the wire."""
        return cls(
            id=agent.id,
            name=agent.name,
            host=agent.host,
            version=agent.version,
            is_connected=agent.is_connected,
            is_draining=agent.is_draining,
            slots=agent.slots,
            running=agent.running,
            executors=tuple(agent.executors),
            handlers=tuple(agent.handlers),
            labels=dict(agent.labels),
            resources=dict(agent.resources),
            resources_in_use=dict(agent.resources_in_use),
            connected_at=time_of(agent, "connected_at"),
            left_at=time_of(agent, "left_at"),
            last_seen_at=time_of(agent, "last_seen_at"),
        )


class AsyncAgents:
    """Agents, for operators."""

    def __init__(self, link: Link) -> None:
        """Of a client."""
        self._link = link

    async def list(self, *, all: bool = False) -> AgentList:  # noqa: A002
        """Those that are connected; with `all` also those that have left."""
        request = wire.ListAgentsRequest(all=all)
        pages = self._link.pages(AgentServiceStub, "ListAgents", request, "agents")
        return [AgentStatus.from_proto(agent) async for agent in pages]

    async def drain(self, agent: str, timeout: Duration | None = None) -> AgentStatus:
        """Makes one, by name or id, take nothing new, end or hand back what it runs, and leave.
        `timeout` is how long what it runs may go on."""
        request = wire.DrainAgentRequest(agent=agent, timeout=to_duration(timeout))
        answer = await self._link.call(AgentServiceStub, "DrainAgent", request)
        return AgentStatus.from_proto(answer.agent)


class Agents:
    """The same for threads."""

    def __init__(self, agents: AsyncAgents) -> None:
        """Of a client."""
        self._async = agents

    def list(self, *, all: bool = False) -> AgentList:  # noqa: A002
        """Those that are connected; with `all` also those that have left."""
        return _loop.run(self._async.list(all=all))

    def drain(self, agent: str, timeout: Duration | None = None) -> AgentStatus:
        """See `AsyncAgents.drain`."""
        return _loop.run(self._async.drain(agent, timeout))
