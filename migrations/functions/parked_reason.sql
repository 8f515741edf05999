-- What a parked task shows: what it waits for.
create or replace function postq.parked_reason(p_spec postq.task_spec, p_has_token boolean default false) returns text
language sql stable
set search_path = pg_catalog, postq, pg_temp
as $$
    select case
        when (p_spec).concurrency_key is not null and not p_has_token then
            format('waits for its concurrency key "%s", of which %s may run at a time',
                postq.shown((p_spec).concurrency_key), (p_spec).concurrency_limit)
        else format('waits for its rate "%s", of which %s may start within %s s', postq.shown((p_spec).rate_key),
                (p_spec).rate_limit, trim_scale((p_spec).rate_period_ms / 1000.0)) end;
$$;
revoke all on function postq.parked_reason(postq.task_spec, boolean) from public;
