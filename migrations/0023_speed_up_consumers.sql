-- Consumers' attempts have no agent.
drop index postq.open_attempt_by_agent;
create index open_attempt_by_agent on postq.open_attempt (agent) where agent is not null;

-- They tell more now.
drop function if exists postq.take_scheduled(timestamptz[], uuid[], int[]);
drop function if exists postq.start_leased(uuid[], int[], interval, boolean);
drop function if exists postq.conclude_all(
    uuid[], bigint[], text, text, bytea, jsonb[], timestamptz, boolean);
