-- Whether a job may be stored by add_singles; p_job and p_tasks as create_job and add_tasks take them.
-- Queues that were declared, and ids that are there already, are the caller's to look at.
create or replace function postq.is_single(p_job jsonb, p_tasks jsonb) returns boolean
language sql immutable
set search_path = pg_catalog, postq, pg_temp
as $$
    select jsonb_array_length(p_tasks) = 1
       and p_job #>> '{unique,key}' is null and p_job #>> '{after,jobs}' is null
       and p_job ->> 'require_queue' is null and p_job ->> 'expires_after_ms' is null and p_job ->> 'input' is null
       and p_job ->> 'webhook' is null
       and p_tasks #>> '{0,concurrency}' is null and p_tasks #>> '{0,rate}' is null;
$$;
revoke all on function postq.is_single(jsonb, jsonb) from public;
