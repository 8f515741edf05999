-- Stores chunks of output. A chunk counts once by (attempt, number), also where it has moved to the blob
-- store; one of an attempt that does not exist is dropped. Who has more than one is noted for take_logs.
create or replace function postq.push_logs(
    p_attempt bigint[], p_job uuid[], p_n int[], p_number bigint[], p_stream smallint[], p_data bytea[]
) returns void
-- Not in SQL: that would be planned anew by every call.
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
set jit = off
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
begin
    with stored as (
        insert into postq.log_chunk (attempt, number, stream, data)
        select x.attempt, x.number, x.stream, x.data
        from unnest(p_attempt, p_job, p_n, p_number, p_stream, p_data)
            as x (attempt, job, n, number, stream, data)
        where (exists (select from postq.open_attempt o
                       where o.job = x.job and o.n = x.n and o.attempt = x.attempt)
               or exists (select from postq.attempt a where a.id = x.attempt))
          and not exists (select from postq.log_page p where p.attempt = x.attempt and p.last >= x.number)
        order by x.attempt, x.number
        on conflict (attempt, number) do nothing
        returning attempt, number
    )
    insert into postq.long_log (attempt)
    select distinct s.attempt from stored s where s.number > 1 order by s.attempt
    on conflict (attempt) do nothing;
end;
$$;
revoke all on function postq.push_logs(bigint[], uuid[], int[], bigint[], smallint[], bytea[]) from public;
