import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class JobSpec(_message.Message):
    __slots__ = ("name", "queue", "attributes", "env", "tasks", "priority", "input", "on_conflict", "data", "run_at", "delay", "expires_after", "timeout", "unique", "after", "notify", "webhook", "keep_workspace", "artifacts", "ignore")
    class OnConflict(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        FAIL: _ClassVar[JobSpec.OnConflict]
        PREFER_LAST_DEPENDENCY: _ClassVar[JobSpec.OnConflict]
    FAIL: JobSpec.OnConflict
    PREFER_LAST_DEPENDENCY: JobSpec.OnConflict
    class KeepWorkspace(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        ON_FAILURE: _ClassVar[JobSpec.KeepWorkspace]
        ALWAYS: _ClassVar[JobSpec.KeepWorkspace]
        NEVER: _ClassVar[JobSpec.KeepWorkspace]
    ON_FAILURE: JobSpec.KeepWorkspace
    ALWAYS: JobSpec.KeepWorkspace
    NEVER: JobSpec.KeepWorkspace
    class EnvEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class TasksEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: TaskSpec
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[TaskSpec, _Mapping]] = ...) -> None: ...
    class Unique(_message.Message):
        __slots__ = ("key", "scope", "period", "existing")
        class Scope(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
            __slots__ = ()
            QUEUE: _ClassVar[JobSpec.Unique.Scope]
            ALL: _ClassVar[JobSpec.Unique.Scope]
        QUEUE: JobSpec.Unique.Scope
        ALL: JobSpec.Unique.Scope
        class Existing(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
            __slots__ = ()
            KEEP: _ClassVar[JobSpec.Unique.Existing]
            REPLACE: _ClassVar[JobSpec.Unique.Existing]
        KEEP: JobSpec.Unique.Existing
        REPLACE: JobSpec.Unique.Existing
        KEY_FIELD_NUMBER: _ClassVar[int]
        SCOPE_FIELD_NUMBER: _ClassVar[int]
        PERIOD_FIELD_NUMBER: _ClassVar[int]
        EXISTING_FIELD_NUMBER: _ClassVar[int]
        key: str
        scope: JobSpec.Unique.Scope
        period: _duration_pb2.Duration
        existing: JobSpec.Unique.Existing
        def __init__(self, key: _Optional[str] = ..., scope: _Optional[_Union[JobSpec.Unique.Scope, str]] = ..., period: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., existing: _Optional[_Union[JobSpec.Unique.Existing, str]] = ...) -> None: ...
    class After(_message.Message):
        __slots__ = ("jobs", "run_if")
        JOBS_FIELD_NUMBER: _ClassVar[int]
        RUN_IF_FIELD_NUMBER: _ClassVar[int]
        jobs: _containers.RepeatedScalarFieldContainer[str]
        run_if: TaskSpec.RunIf
        def __init__(self, jobs: _Optional[_Iterable[str]] = ..., run_if: _Optional[_Union[TaskSpec.RunIf, str]] = ...) -> None: ...
    class Webhook(_message.Message):
        __slots__ = ("url", "secret")
        URL_FIELD_NUMBER: _ClassVar[int]
        SECRET_FIELD_NUMBER: _ClassVar[int]
        url: str
        secret: str
        def __init__(self, url: _Optional[str] = ..., secret: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    ENV_FIELD_NUMBER: _ClassVar[int]
    TASKS_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_NUMBER: _ClassVar[int]
    ON_CONFLICT_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    RUN_AT_FIELD_NUMBER: _ClassVar[int]
    DELAY_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AFTER_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    UNIQUE_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    NOTIFY_FIELD_NUMBER: _ClassVar[int]
    WEBHOOK_FIELD_NUMBER: _ClassVar[int]
    KEEP_WORKSPACE_FIELD_NUMBER: _ClassVar[int]
    ARTIFACTS_FIELD_NUMBER: _ClassVar[int]
    IGNORE_FIELD_NUMBER: _ClassVar[int]
    name: str
    queue: str
    attributes: _struct_pb2.Struct
    env: _containers.ScalarMap[str, str]
    tasks: _containers.MessageMap[str, TaskSpec]
    priority: int
    input: str
    on_conflict: JobSpec.OnConflict
    data: _struct_pb2.Value
    run_at: _timestamp_pb2.Timestamp
    delay: _duration_pb2.Duration
    expires_after: _duration_pb2.Duration
    timeout: _duration_pb2.Duration
    unique: JobSpec.Unique
    after: JobSpec.After
    notify: bool
    webhook: JobSpec.Webhook
    keep_workspace: JobSpec.KeepWorkspace
    artifacts: _containers.RepeatedScalarFieldContainer[str]
    ignore: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, name: _Optional[str] = ..., queue: _Optional[str] = ..., attributes: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., env: _Optional[_Mapping[str, str]] = ..., tasks: _Optional[_Mapping[str, TaskSpec]] = ..., priority: _Optional[int] = ..., input: _Optional[str] = ..., on_conflict: _Optional[_Union[JobSpec.OnConflict, str]] = ..., data: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ..., run_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., delay: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., expires_after: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., timeout: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., unique: _Optional[_Union[JobSpec.Unique, _Mapping]] = ..., after: _Optional[_Union[JobSpec.After, _Mapping]] = ..., notify: bool = ..., webhook: _Optional[_Union[JobSpec.Webhook, _Mapping]] = ..., keep_workspace: _Optional[_Union[JobSpec.KeepWorkspace, str]] = ..., artifacts: _Optional[_Iterable[str]] = ..., ignore: _Optional[_Iterable[str]] = ...) -> None: ...

class TaskSpec(_message.Message):
    __slots__ = ("depends", "command", "image", "handler", "arguments", "env", "timeout", "grace", "retry", "run_if", "workspace", "priority", "delivery", "crash_limit", "concurrency", "rate", "container", "secrets", "resources", "requires", "outputs", "ignore")
    class RunIf(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        SUCCEEDED: _ClassVar[TaskSpec.RunIf]
        FAILED: _ClassVar[TaskSpec.RunIf]
        FINISHED: _ClassVar[TaskSpec.RunIf]
    SUCCEEDED: TaskSpec.RunIf
    FAILED: TaskSpec.RunIf
    FINISHED: TaskSpec.RunIf
    class Workspace(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        DEFAULT: _ClassVar[TaskSpec.Workspace]
        FILES: _ClassVar[TaskSpec.Workspace]
        NONE: _ClassVar[TaskSpec.Workspace]
    DEFAULT: TaskSpec.Workspace
    FILES: TaskSpec.Workspace
    NONE: TaskSpec.Workspace
    class Delivery(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        AT_LEAST_ONCE: _ClassVar[TaskSpec.Delivery]
        AT_MOST_ONCE: _ClassVar[TaskSpec.Delivery]
    AT_LEAST_ONCE: TaskSpec.Delivery
    AT_MOST_ONCE: TaskSpec.Delivery
    class EnvEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class Concurrency(_message.Message):
        __slots__ = ("key", "limit")
        KEY_FIELD_NUMBER: _ClassVar[int]
        LIMIT_FIELD_NUMBER: _ClassVar[int]
        key: str
        limit: int
        def __init__(self, key: _Optional[str] = ..., limit: _Optional[int] = ...) -> None: ...
    class Rate(_message.Message):
        __slots__ = ("key", "limit", "period")
        KEY_FIELD_NUMBER: _ClassVar[int]
        LIMIT_FIELD_NUMBER: _ClassVar[int]
        PERIOD_FIELD_NUMBER: _ClassVar[int]
        key: str
        limit: int
        period: _duration_pb2.Duration
        def __init__(self, key: _Optional[str] = ..., limit: _Optional[int] = ..., period: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...
    class Container(_message.Message):
        __slots__ = ("entrypoint", "user", "network", "mounts", "platform", "pull", "init", "gpus")
        class Pull(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
            __slots__ = ()
            MISSING: _ClassVar[TaskSpec.Container.Pull]
            ALWAYS: _ClassVar[TaskSpec.Container.Pull]
            NEVER: _ClassVar[TaskSpec.Container.Pull]
        MISSING: TaskSpec.Container.Pull
        ALWAYS: TaskSpec.Container.Pull
        NEVER: TaskSpec.Container.Pull
        ENTRYPOINT_FIELD_NUMBER: _ClassVar[int]
        USER_FIELD_NUMBER: _ClassVar[int]
        NETWORK_FIELD_NUMBER: _ClassVar[int]
        MOUNTS_FIELD_NUMBER: _ClassVar[int]
        PLATFORM_FIELD_NUMBER: _ClassVar[int]
        PULL_FIELD_NUMBER: _ClassVar[int]
        INIT_FIELD_NUMBER: _ClassVar[int]
        GPUS_FIELD_NUMBER: _ClassVar[int]
        entrypoint: _containers.RepeatedScalarFieldContainer[str]
        user: str
        network: str
        mounts: _containers.RepeatedScalarFieldContainer[str]
        platform: str
        pull: TaskSpec.Container.Pull
        init: bool
        gpus: str
        def __init__(self, entrypoint: _Optional[_Iterable[str]] = ..., user: _Optional[str] = ..., network: _Optional[str] = ..., mounts: _Optional[_Iterable[str]] = ..., platform: _Optional[str] = ..., pull: _Optional[_Union[TaskSpec.Container.Pull, str]] = ..., init: bool = ..., gpus: _Optional[str] = ...) -> None: ...
    class SecretsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class ResourcesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: _struct_pb2.Value
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ...) -> None: ...
    class LabelRule(_message.Message):
        __slots__ = ("label", "not_in", "exists")
        LABEL_FIELD_NUMBER: _ClassVar[int]
        IN_FIELD_NUMBER: _ClassVar[int]
        NOT_IN_FIELD_NUMBER: _ClassVar[int]
        EXISTS_FIELD_NUMBER: _ClassVar[int]
        label: str
        not_in: _containers.RepeatedScalarFieldContainer[str]
        exists: bool
        def __init__(self, label: _Optional[str] = ..., not_in: _Optional[_Iterable[str]] = ..., exists: bool = ..., **kwargs) -> None: ...
    DEPENDS_FIELD_NUMBER: _ClassVar[int]
    COMMAND_FIELD_NUMBER: _ClassVar[int]
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    HANDLER_FIELD_NUMBER: _ClassVar[int]
    ARGUMENTS_FIELD_NUMBER: _ClassVar[int]
    ENV_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    GRACE_FIELD_NUMBER: _ClassVar[int]
    RETRY_FIELD_NUMBER: _ClassVar[int]
    RUN_IF_FIELD_NUMBER: _ClassVar[int]
    WORKSPACE_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    DELIVERY_FIELD_NUMBER: _ClassVar[int]
    CRASH_LIMIT_FIELD_NUMBER: _ClassVar[int]
    CONCURRENCY_FIELD_NUMBER: _ClassVar[int]
    RATE_FIELD_NUMBER: _ClassVar[int]
    CONTAINER_FIELD_NUMBER: _ClassVar[int]
    SECRETS_FIELD_NUMBER: _ClassVar[int]
    RESOURCES_FIELD_NUMBER: _ClassVar[int]
    REQUIRES_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    IGNORE_FIELD_NUMBER: _ClassVar[int]
    depends: _containers.RepeatedScalarFieldContainer[str]
    command: str
    image: str
    handler: str
    arguments: _struct_pb2.Value
    env: _containers.ScalarMap[str, str]
    timeout: _duration_pb2.Duration
    grace: _duration_pb2.Duration
    retry: RetryPolicy
    run_if: TaskSpec.RunIf
    workspace: TaskSpec.Workspace
    priority: int
    delivery: TaskSpec.Delivery
    crash_limit: int
    concurrency: TaskSpec.Concurrency
    rate: TaskSpec.Rate
    container: TaskSpec.Container
    secrets: _containers.ScalarMap[str, str]
    resources: _containers.MessageMap[str, _struct_pb2.Value]
    requires: _containers.RepeatedCompositeFieldContainer[TaskSpec.LabelRule]
    outputs: _containers.RepeatedScalarFieldContainer[str]
    ignore: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, depends: _Optional[_Iterable[str]] = ..., command: _Optional[str] = ..., image: _Optional[str] = ..., handler: _Optional[str] = ..., arguments: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ..., env: _Optional[_Mapping[str, str]] = ..., timeout: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., grace: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., retry: _Optional[_Union[RetryPolicy, _Mapping]] = ..., run_if: _Optional[_Union[TaskSpec.RunIf, str]] = ..., workspace: _Optional[_Union[TaskSpec.Workspace, str]] = ..., priority: _Optional[int] = ..., delivery: _Optional[_Union[TaskSpec.Delivery, str]] = ..., crash_limit: _Optional[int] = ..., concurrency: _Optional[_Union[TaskSpec.Concurrency, _Mapping]] = ..., rate: _Optional[_Union[TaskSpec.Rate, _Mapping]] = ..., container: _Optional[_Union[TaskSpec.Container, _Mapping]] = ..., secrets: _Optional[_Mapping[str, str]] = ..., resources: _Optional[_Mapping[str, _struct_pb2.Value]] = ..., requires: _Optional[_Iterable[_Union[TaskSpec.LabelRule, _Mapping]]] = ..., outputs: _Optional[_Iterable[str]] = ..., ignore: _Optional[_Iterable[str]] = ...) -> None: ...

class RetryPolicy(_message.Message):
    __slots__ = ("max_attempts", "backoff", "max_backoff", "factor", "increment", "jitter", "delays", "outcomes", "exit_codes")
    class Outcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        FAILED: _ClassVar[RetryPolicy.Outcome]
        TIMED_OUT: _ClassVar[RetryPolicy.Outcome]
    FAILED: RetryPolicy.Outcome
    TIMED_OUT: RetryPolicy.Outcome
    MAX_ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    BACKOFF_FIELD_NUMBER: _ClassVar[int]
    MAX_BACKOFF_FIELD_NUMBER: _ClassVar[int]
    FACTOR_FIELD_NUMBER: _ClassVar[int]
    INCREMENT_FIELD_NUMBER: _ClassVar[int]
    JITTER_FIELD_NUMBER: _ClassVar[int]
    DELAYS_FIELD_NUMBER: _ClassVar[int]
    OUTCOMES_FIELD_NUMBER: _ClassVar[int]
    EXIT_CODES_FIELD_NUMBER: _ClassVar[int]
    max_attempts: int
    backoff: _duration_pb2.Duration
    max_backoff: _duration_pb2.Duration
    factor: float
    increment: _duration_pb2.Duration
    jitter: float
    delays: _containers.RepeatedCompositeFieldContainer[_duration_pb2.Duration]
    outcomes: _containers.RepeatedScalarFieldContainer[RetryPolicy.Outcome]
    exit_codes: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, max_attempts: _Optional[int] = ..., backoff: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., max_backoff: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., factor: _Optional[float] = ..., increment: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., jitter: _Optional[float] = ..., delays: _Optional[_Iterable[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]]] = ..., outcomes: _Optional[_Iterable[_Union[RetryPolicy.Outcome, str]]] = ..., exit_codes: _Optional[_Iterable[int]] = ...) -> None: ...

class Job(_message.Message):
    __slots__ = ("id", "name", "queue", "state", "reason", "priority", "attributes", "created_at", "started_at", "finished_at", "cancel_requested_at", "revision", "task_count", "open_tasks", "tasks", "tasks_truncated", "traceparent", "retry_of")
    class State(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        UNSPECIFIED: _ClassVar[Job.State]
        SCHEDULED: _ClassVar[Job.State]
        QUEUED: _ClassVar[Job.State]
        RUNNING: _ClassVar[Job.State]
        SUCCEEDED: _ClassVar[Job.State]
        FAILED: _ClassVar[Job.State]
        CANCELLED: _ClassVar[Job.State]
    UNSPECIFIED: Job.State
    SCHEDULED: Job.State
    QUEUED: Job.State
    RUNNING: Job.State
    SUCCEEDED: Job.State
    FAILED: Job.State
    CANCELLED: Job.State
    class TasksEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: Task
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[Task, _Mapping]] = ...) -> None: ...
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    FINISHED_AT_FIELD_NUMBER: _ClassVar[int]
    CANCEL_REQUESTED_AT_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    TASK_COUNT_FIELD_NUMBER: _ClassVar[int]
    OPEN_TASKS_FIELD_NUMBER: _ClassVar[int]
    TASKS_FIELD_NUMBER: _ClassVar[int]
    TASKS_TRUNCATED_FIELD_NUMBER: _ClassVar[int]
    TRACEPARENT_FIELD_NUMBER: _ClassVar[int]
    RETRY_OF_FIELD_NUMBER: _ClassVar[int]
    id: str
    name: str
    queue: str
    state: Job.State
    reason: str
    priority: int
    attributes: _struct_pb2.Struct
    created_at: _timestamp_pb2.Timestamp
    started_at: _timestamp_pb2.Timestamp
    finished_at: _timestamp_pb2.Timestamp
    cancel_requested_at: _timestamp_pb2.Timestamp
    revision: int
    task_count: int
    open_tasks: int
    tasks: _containers.MessageMap[str, Task]
    tasks_truncated: bool
    traceparent: str
    retry_of: str
    def __init__(self, id: _Optional[str] = ..., name: _Optional[str] = ..., queue: _Optional[str] = ..., state: _Optional[_Union[Job.State, str]] = ..., reason: _Optional[str] = ..., priority: _Optional[int] = ..., attributes: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., started_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., finished_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., cancel_requested_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., revision: _Optional[int] = ..., task_count: _Optional[int] = ..., open_tasks: _Optional[int] = ..., tasks: _Optional[_Mapping[str, Task]] = ..., tasks_truncated: bool = ..., traceparent: _Optional[str] = ..., retry_of: _Optional[str] = ...) -> None: ...

class Task(_message.Message):
    __slots__ = ("name", "state", "reason", "depends", "attempts", "crashes", "started_at", "finished_at", "run_at", "attempt", "results", "errors", "results_raw", "errors_raw", "snapshot", "number", "revision", "output")
    class State(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        UNSPECIFIED: _ClassVar[Task.State]
        BLOCKED: _ClassVar[Task.State]
        SCHEDULED: _ClassVar[Task.State]
        PARKED: _ClassVar[Task.State]
        READY: _ClassVar[Task.State]
        RUNNING: _ClassVar[Task.State]
        SUCCEEDED: _ClassVar[Task.State]
        FAILED: _ClassVar[Task.State]
        CANCELLED: _ClassVar[Task.State]
        SKIPPED: _ClassVar[Task.State]
    UNSPECIFIED: Task.State
    BLOCKED: Task.State
    SCHEDULED: Task.State
    PARKED: Task.State
    READY: Task.State
    RUNNING: Task.State
    SUCCEEDED: Task.State
    FAILED: Task.State
    CANCELLED: Task.State
    SKIPPED: Task.State
    NAME_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    DEPENDS_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    CRASHES_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    FINISHED_AT_FIELD_NUMBER: _ClassVar[int]
    RUN_AT_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    ERRORS_FIELD_NUMBER: _ClassVar[int]
    RESULTS_RAW_FIELD_NUMBER: _ClassVar[int]
    ERRORS_RAW_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    name: str
    state: Task.State
    reason: str
    depends: _containers.RepeatedScalarFieldContainer[str]
    attempts: int
    crashes: int
    started_at: _timestamp_pb2.Timestamp
    finished_at: _timestamp_pb2.Timestamp
    run_at: _timestamp_pb2.Timestamp
    attempt: Attempt
    results: str
    errors: str
    results_raw: bytes
    errors_raw: bytes
    snapshot: str
    number: int
    revision: int
    output: _struct_pb2.Value
    def __init__(self, name: _Optional[str] = ..., state: _Optional[_Union[Task.State, str]] = ..., reason: _Optional[str] = ..., depends: _Optional[_Iterable[str]] = ..., attempts: _Optional[int] = ..., crashes: _Optional[int] = ..., started_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., finished_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., run_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., attempt: _Optional[_Union[Attempt, _Mapping]] = ..., results: _Optional[str] = ..., errors: _Optional[str] = ..., results_raw: _Optional[bytes] = ..., errors_raw: _Optional[bytes] = ..., snapshot: _Optional[str] = ..., number: _Optional[int] = ..., revision: _Optional[int] = ..., output: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ...) -> None: ...

class Attempt(_message.Message):
    __slots__ = ("id", "outcome", "agent", "exit_code", "signal", "reason", "started_at", "finished_at", "image", "effort", "ran_for")
    class Outcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        UNSPECIFIED: _ClassVar[Attempt.Outcome]
        SUCCEEDED: _ClassVar[Attempt.Outcome]
        FAILED: _ClassVar[Attempt.Outcome]
        TIMED_OUT: _ClassVar[Attempt.Outcome]
        CANCELLED: _ClassVar[Attempt.Outcome]
        LOST: _ClassVar[Attempt.Outcome]
        RELEASED: _ClassVar[Attempt.Outcome]
    UNSPECIFIED: Attempt.Outcome
    SUCCEEDED: Attempt.Outcome
    FAILED: Attempt.Outcome
    TIMED_OUT: Attempt.Outcome
    CANCELLED: Attempt.Outcome
    LOST: Attempt.Outcome
    RELEASED: Attempt.Outcome
    ID_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    AGENT_FIELD_NUMBER: _ClassVar[int]
    EXIT_CODE_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    FINISHED_AT_FIELD_NUMBER: _ClassVar[int]
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    EFFORT_FIELD_NUMBER: _ClassVar[int]
    RAN_FOR_FIELD_NUMBER: _ClassVar[int]
    id: int
    outcome: Attempt.Outcome
    agent: str
    exit_code: int
    signal: int
    reason: str
    started_at: _timestamp_pb2.Timestamp
    finished_at: _timestamp_pb2.Timestamp
    image: str
    effort: Effort
    ran_for: _duration_pb2.Duration
    def __init__(self, id: _Optional[int] = ..., outcome: _Optional[_Union[Attempt.Outcome, str]] = ..., agent: _Optional[str] = ..., exit_code: _Optional[int] = ..., signal: _Optional[int] = ..., reason: _Optional[str] = ..., started_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., finished_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., image: _Optional[str] = ..., effort: _Optional[_Union[Effort, _Mapping]] = ..., ran_for: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class Effort(_message.Message):
    __slots__ = ("entries", "bytes", "hashed_bytes", "sent_bytes", "saved_bytes", "received_bytes", "local_bytes", "checkout", "scan", "upload", "direct_bytes")
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    HASHED_BYTES_FIELD_NUMBER: _ClassVar[int]
    SENT_BYTES_FIELD_NUMBER: _ClassVar[int]
    SAVED_BYTES_FIELD_NUMBER: _ClassVar[int]
    RECEIVED_BYTES_FIELD_NUMBER: _ClassVar[int]
    LOCAL_BYTES_FIELD_NUMBER: _ClassVar[int]
    CHECKOUT_FIELD_NUMBER: _ClassVar[int]
    SCAN_FIELD_NUMBER: _ClassVar[int]
    UPLOAD_FIELD_NUMBER: _ClassVar[int]
    DIRECT_BYTES_FIELD_NUMBER: _ClassVar[int]
    entries: int
    bytes: int
    hashed_bytes: int
    sent_bytes: int
    saved_bytes: int
    received_bytes: int
    local_bytes: int
    checkout: _duration_pb2.Duration
    scan: _duration_pb2.Duration
    upload: _duration_pb2.Duration
    direct_bytes: int
    def __init__(self, entries: _Optional[int] = ..., bytes: _Optional[int] = ..., hashed_bytes: _Optional[int] = ..., sent_bytes: _Optional[int] = ..., saved_bytes: _Optional[int] = ..., received_bytes: _Optional[int] = ..., local_bytes: _Optional[int] = ..., checkout: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., scan: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., upload: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., direct_bytes: _Optional[int] = ...) -> None: ...
