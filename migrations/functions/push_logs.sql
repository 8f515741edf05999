-- Stores chunks of output. A chunk counts once by (attempt, number); one of an attempt that does not
-- exist is dropped.
create or replace function postq.push_logs(
    p_attempt bigint[], p_job uuid[], p_n int[], p_number bigint[], p_stream smallint[], p_data bytea[]
) returns void
language sql volatile
set search_path = pg_catalog, postq, pg_temp
set jit = off
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
    insert into postq.log_chunk (attempt, number, stream, data)
    select x.attempt, x.number, x.stream, x.data
    from unnest(p_attempt, p_job, p_n, p_number, p_stream, p_data)
        as x (attempt, job, n, number, stream, data)
    where exists (select from postq.open_attempt o
                  where o.job = x.job and o.n = x.n and o.attempt = x.attempt)
       or exists (select from postq.attempt a where a.id = x.attempt)
    order by x.attempt, x.number
    on conflict (attempt, number) do nothing;
$$;
revoke all on function postq.push_logs(bigint[], uuid[], int[], bigint[], smallint[], bytea[]) from public;
