"""What operators do: queues, schedules, dead letters and agents, as `client.queues` and so on."""

from .agents import Agents, AgentStatus, AsyncAgents
from .dead_letters import AsyncDeadLetters, DeadLetter, DeadLetters
from .queues import AsyncQueues, Queues, QueueSettings, QueueStats, QueueStatus
from .schedules import AsyncSchedules, Schedules, ScheduleStatus

__all__ = [
    "AgentStatus",
    "Agents",
    "AsyncAgents",
    "AsyncDeadLetters",
    "AsyncQueues",
    "AsyncSchedules",
    "DeadLetter",
    "DeadLetters",
    "QueueSettings",
    "QueueStats",
    "QueueStatus",
    "Queues",
    "ScheduleStatus",
    "Schedules",
]
