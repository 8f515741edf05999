-- What tasks ask of the agents that run them, and what agents have; agents that are told to leave.

-- Tasks of one lane ask for the same: {"resources": {name: amount}, "labels": [rule]}, as needs_of
-- makes it. Without any: {}.
alter table postq.lane add needs jsonb not null default '{}';
drop index postq.lane_by_kind;
-- Needs may be longer than an entry of an index.
create index lane_by_kind on postq.lane (queue, priority, executor, handler, hashtextextended(needs::text, 0));
drop function if exists postq.lane_of(text, int, postq.executor, text);

alter table postq.agent
    -- Amounts by name: cpus in thousandths, memory in bytes, anything else in whole numbers.
    add resources jsonb not null default '{}',
    -- Told to leave; holds for this boot.
    add drain_requested_at timestamptz,
    -- How long what it runs may go on; null: as the agent was told itself.
    add drain_timeout_ms bigint check (drain_timeout_ms >= 0);
