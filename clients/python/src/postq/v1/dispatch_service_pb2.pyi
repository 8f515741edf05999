import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import struct_pb2 as _struct_pb2
from postq.v1 import job_pb2 as _job_pb2
from postq.v1 import job_service_pb2 as _job_service_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ConnectRequest(_message.Message):
    __slots__ = ("hello", "report", "holding", "more")
    HELLO_FIELD_NUMBER: _ClassVar[int]
    REPORT_FIELD_NUMBER: _ClassVar[int]
    HOLDING_FIELD_NUMBER: _ClassVar[int]
    MORE_FIELD_NUMBER: _ClassVar[int]
    hello: Hello
    report: Report
    holding: Holding
    more: _containers.RepeatedCompositeFieldContainer[ConnectRequest]
    def __init__(self, hello: _Optional[_Union[Hello, _Mapping]] = ..., report: _Optional[_Union[Report, _Mapping]] = ..., holding: _Optional[_Union[Holding, _Mapping]] = ..., more: _Optional[_Iterable[_Union[ConnectRequest, _Mapping]]] = ...) -> None: ...

class ConnectResponse(_message.Message):
    __slots__ = ("welcome", "assignment", "cancel", "abandon", "recorded", "what_do_you_hold", "drain", "prefetch", "more")
    WELCOME_FIELD_NUMBER: _ClassVar[int]
    ASSIGNMENT_FIELD_NUMBER: _ClassVar[int]
    CANCEL_FIELD_NUMBER: _ClassVar[int]
    ABANDON_FIELD_NUMBER: _ClassVar[int]
    RECORDED_FIELD_NUMBER: _ClassVar[int]
    WHAT_DO_YOU_HOLD_FIELD_NUMBER: _ClassVar[int]
    DRAIN_FIELD_NUMBER: _ClassVar[int]
    PREFETCH_FIELD_NUMBER: _ClassVar[int]
    MORE_FIELD_NUMBER: _ClassVar[int]
    welcome: Welcome
    assignment: Assignment
    cancel: Cancel
    abandon: Abandon
    recorded: Recorded
    what_do_you_hold: WhatDoYouHold
    drain: Drain
    prefetch: Prefetch
    more: _containers.RepeatedCompositeFieldContainer[ConnectResponse]
    def __init__(self, welcome: _Optional[_Union[Welcome, _Mapping]] = ..., assignment: _Optional[_Union[Assignment, _Mapping]] = ..., cancel: _Optional[_Union[Cancel, _Mapping]] = ..., abandon: _Optional[_Union[Abandon, _Mapping]] = ..., recorded: _Optional[_Union[Recorded, _Mapping]] = ..., what_do_you_hold: _Optional[_Union[WhatDoYouHold, _Mapping]] = ..., drain: _Optional[_Union[Drain, _Mapping]] = ..., prefetch: _Optional[_Union[Prefetch, _Mapping]] = ..., more: _Optional[_Iterable[_Union[ConnectResponse, _Mapping]]] = ...) -> None: ...

class Hello(_message.Message):
    __slots__ = ("agent_id", "boot_id", "name", "host", "version", "slots", "executors", "handlers", "labels", "held", "resources", "fetches_ahead", "reads_more")
    class LabelsEntry(_message.Message):
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
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    AGENT_ID_FIELD_NUMBER: _ClassVar[int]
    BOOT_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    SLOTS_FIELD_NUMBER: _ClassVar[int]
    EXECUTORS_FIELD_NUMBER: _ClassVar[int]
    HANDLERS_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    HELD_FIELD_NUMBER: _ClassVar[int]
    RESOURCES_FIELD_NUMBER: _ClassVar[int]
    FETCHES_AHEAD_FIELD_NUMBER: _ClassVar[int]
    READS_MORE_FIELD_NUMBER: _ClassVar[int]
    agent_id: str
    boot_id: str
    name: str
    host: str
    version: str
    slots: int
    executors: _containers.RepeatedScalarFieldContainer[str]
    handlers: _containers.RepeatedScalarFieldContainer[str]
    labels: _containers.ScalarMap[str, str]
    held: _containers.RepeatedCompositeFieldContainer[Held]
    resources: _containers.ScalarMap[str, int]
    fetches_ahead: bool
    reads_more: bool
    def __init__(self, agent_id: _Optional[str] = ..., boot_id: _Optional[str] = ..., name: _Optional[str] = ..., host: _Optional[str] = ..., version: _Optional[str] = ..., slots: _Optional[int] = ..., executors: _Optional[_Iterable[str]] = ..., handlers: _Optional[_Iterable[str]] = ..., labels: _Optional[_Mapping[str, str]] = ..., held: _Optional[_Iterable[_Union[Held, _Mapping]]] = ..., resources: _Optional[_Mapping[str, int]] = ..., fetches_ahead: bool = ..., reads_more: bool = ...) -> None: ...

class Held(_message.Message):
    __slots__ = ("attempt", "job_id", "task")
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    attempt: int
    job_id: str
    task: int
    def __init__(self, attempt: _Optional[int] = ..., job_id: _Optional[str] = ..., task: _Optional[int] = ...) -> None: ...

class Welcome(_message.Message):
    __slots__ = ("session", "coordinator", "reads_more")
    SESSION_FIELD_NUMBER: _ClassVar[int]
    COORDINATOR_FIELD_NUMBER: _ClassVar[int]
    READS_MORE_FIELD_NUMBER: _ClassVar[int]
    session: int
    coordinator: str
    reads_more: bool
    def __init__(self, session: _Optional[int] = ..., coordinator: _Optional[str] = ..., reads_more: bool = ...) -> None: ...

class Assignment(_message.Message):
    __slots__ = ("attempt", "job_id", "task", "task_name", "job_name", "queue", "attempt_number", "executor", "command", "image", "handler", "arguments", "env", "timeout", "grace", "input", "traceparent", "spec", "attributes", "data", "inputs", "resources", "is_exclusive", "ignore")
    class Executor(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        UNSPECIFIED: _ClassVar[Assignment.Executor]
        SHELL: _ClassVar[Assignment.Executor]
        DOCKER: _ClassVar[Assignment.Executor]
        HANDLER: _ClassVar[Assignment.Executor]
    UNSPECIFIED: Assignment.Executor
    SHELL: Assignment.Executor
    DOCKER: Assignment.Executor
    HANDLER: Assignment.Executor
    class EnvEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class InputsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: Input
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[Input, _Mapping]] = ...) -> None: ...
    class ResourcesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    TASK_NAME_FIELD_NUMBER: _ClassVar[int]
    JOB_NAME_FIELD_NUMBER: _ClassVar[int]
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_NUMBER_FIELD_NUMBER: _ClassVar[int]
    EXECUTOR_FIELD_NUMBER: _ClassVar[int]
    COMMAND_FIELD_NUMBER: _ClassVar[int]
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    HANDLER_FIELD_NUMBER: _ClassVar[int]
    ARGUMENTS_FIELD_NUMBER: _ClassVar[int]
    ENV_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    GRACE_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_NUMBER: _ClassVar[int]
    TRACEPARENT_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    RESOURCES_FIELD_NUMBER: _ClassVar[int]
    IS_EXCLUSIVE_FIELD_NUMBER: _ClassVar[int]
    IGNORE_FIELD_NUMBER: _ClassVar[int]
    attempt: int
    job_id: str
    task: int
    task_name: str
    job_name: str
    queue: str
    attempt_number: int
    executor: Assignment.Executor
    command: str
    image: str
    handler: str
    arguments: _struct_pb2.Value
    env: _containers.ScalarMap[str, str]
    timeout: _duration_pb2.Duration
    grace: _duration_pb2.Duration
    input: Snapshot
    traceparent: str
    spec: _job_pb2.TaskSpec
    attributes: _struct_pb2.Struct
    data: _struct_pb2.Value
    inputs: _containers.MessageMap[str, Input]
    resources: _containers.ScalarMap[str, int]
    is_exclusive: bool
    ignore: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, attempt: _Optional[int] = ..., job_id: _Optional[str] = ..., task: _Optional[int] = ..., task_name: _Optional[str] = ..., job_name: _Optional[str] = ..., queue: _Optional[str] = ..., attempt_number: _Optional[int] = ..., executor: _Optional[_Union[Assignment.Executor, str]] = ..., command: _Optional[str] = ..., image: _Optional[str] = ..., handler: _Optional[str] = ..., arguments: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ..., env: _Optional[_Mapping[str, str]] = ..., timeout: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., grace: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., input: _Optional[_Union[Snapshot, _Mapping]] = ..., traceparent: _Optional[str] = ..., spec: _Optional[_Union[_job_pb2.TaskSpec, _Mapping]] = ..., attributes: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., data: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ..., inputs: _Optional[_Mapping[str, Input]] = ..., resources: _Optional[_Mapping[str, int]] = ..., is_exclusive: bool = ..., ignore: _Optional[_Iterable[str]] = ...) -> None: ...

class Input(_message.Message):
    __slots__ = ("state", "output", "results")
    STATE_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    state: _job_pb2.Task.State
    output: _struct_pb2.Value
    results: str
    def __init__(self, state: _Optional[_Union[_job_pb2.Task.State, str]] = ..., output: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ..., results: _Optional[str] = ...) -> None: ...

class Snapshot(_message.Message):
    __slots__ = ("content", "provenance", "times")
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    PROVENANCE_FIELD_NUMBER: _ClassVar[int]
    TIMES_FIELD_NUMBER: _ClassVar[int]
    content: bytes
    provenance: bytes
    times: bytes
    def __init__(self, content: _Optional[bytes] = ..., provenance: _Optional[bytes] = ..., times: _Optional[bytes] = ...) -> None: ...

class Cancel(_message.Message):
    __slots__ = ("attempt", "reason")
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    attempt: int
    reason: str
    def __init__(self, attempt: _Optional[int] = ..., reason: _Optional[str] = ...) -> None: ...

class Abandon(_message.Message):
    __slots__ = ("attempt",)
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    attempt: int
    def __init__(self, attempt: _Optional[int] = ...) -> None: ...

class Recorded(_message.Message):
    __slots__ = ("attempt",)
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    attempt: int
    def __init__(self, attempt: _Optional[int] = ...) -> None: ...

class WhatDoYouHold(_message.Message):
    __slots__ = ("question",)
    QUESTION_FIELD_NUMBER: _ClassVar[int]
    question: int
    def __init__(self, question: _Optional[int] = ...) -> None: ...

class Drain(_message.Message):
    __slots__ = ("timeout",)
    TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    timeout: _duration_pb2.Duration
    def __init__(self, timeout: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class Prefetch(_message.Message):
    __slots__ = ("input",)
    INPUT_FIELD_NUMBER: _ClassVar[int]
    input: Snapshot
    def __init__(self, input: _Optional[_Union[Snapshot, _Mapping]] = ...) -> None: ...

class Holding(_message.Message):
    __slots__ = ("question", "held")
    QUESTION_FIELD_NUMBER: _ClassVar[int]
    HELD_FIELD_NUMBER: _ClassVar[int]
    question: int
    held: _containers.RepeatedCompositeFieldContainer[Held]
    def __init__(self, question: _Optional[int] = ..., held: _Optional[_Iterable[_Union[Held, _Mapping]]] = ...) -> None: ...

class Report(_message.Message):
    __slots__ = ("of", "outcome", "exit_code", "signal", "reason", "stdout", "stderr", "output", "ran_for", "log_chunks", "is_final", "result", "image", "effort", "retry_after")
    OF_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    EXIT_CODE_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    STDOUT_FIELD_NUMBER: _ClassVar[int]
    STDERR_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    RAN_FOR_FIELD_NUMBER: _ClassVar[int]
    LOG_CHUNKS_FIELD_NUMBER: _ClassVar[int]
    IS_FINAL_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    EFFORT_FIELD_NUMBER: _ClassVar[int]
    RETRY_AFTER_FIELD_NUMBER: _ClassVar[int]
    of: Held
    outcome: _job_pb2.Attempt.Outcome
    exit_code: int
    signal: int
    reason: str
    stdout: bytes
    stderr: bytes
    output: Snapshot
    ran_for: _duration_pb2.Duration
    log_chunks: int
    is_final: bool
    result: bytes
    image: str
    effort: _job_pb2.Effort
    retry_after: _duration_pb2.Duration
    def __init__(self, of: _Optional[_Union[Held, _Mapping]] = ..., outcome: _Optional[_Union[_job_pb2.Attempt.Outcome, str]] = ..., exit_code: _Optional[int] = ..., signal: _Optional[int] = ..., reason: _Optional[str] = ..., stdout: _Optional[bytes] = ..., stderr: _Optional[bytes] = ..., output: _Optional[_Union[Snapshot, _Mapping]] = ..., ran_for: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., log_chunks: _Optional[int] = ..., is_final: bool = ..., result: _Optional[bytes] = ..., image: _Optional[str] = ..., effort: _Optional[_Union[_job_pb2.Effort, _Mapping]] = ..., retry_after: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class PushLogsRequest(_message.Message):
    __slots__ = ("of", "number", "stream", "data")
    OF_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    STREAM_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    of: Held
    number: int
    stream: _job_service_pb2.ReadLogsResponse.Stream
    data: bytes
    def __init__(self, of: _Optional[_Union[Held, _Mapping]] = ..., number: _Optional[int] = ..., stream: _Optional[_Union[_job_service_pb2.ReadLogsResponse.Stream, str]] = ..., data: _Optional[bytes] = ...) -> None: ...

class PushLogsResponse(_message.Message):
    __slots__ = ("attempt", "number")
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    attempt: int
    number: int
    def __init__(self, attempt: _Optional[int] = ..., number: _Optional[int] = ...) -> None: ...
