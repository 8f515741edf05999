-- Notes pages of output whose blobs are durable, and deletes the chunks that are in them. The pages of one attempt
-- come in their order, all or the first ones; p_is_last where no more follow. What has been noted already stays as
-- it is, and an attempt that is forgotten meanwhile is left alone. Called by coordinators, which have called take_logs.
create or replace function postq.move_logs(
    p_attempt bigint[], p_last bigint[], p_size bigint[], p_digest bytea[], p_is_last boolean[]
) returns void
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
set jit = off
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
declare
    v_there bigint[];
begin
    -- Held, so that forget_jobs finds the pages.
    select coalesce(array_agg(h.id), '{}') into v_there
    from (select a.id from postq.attempt a where a.id = any (p_attempt) order by a.id for key share) h;
    insert into postq.log_page (attempt, last, size_bytes, digest)
    select x.attempt, x.last, x.size, x.digest
    from unnest(p_attempt, p_last, p_size, p_digest) as x (attempt, last, size, digest)
    where x.attempt = any (v_there)
    order by x.attempt, x.last
    on conflict (attempt, last) do nothing;
    delete from postq.log_chunk c
    using (select x.attempt, max(x.last) as last from unnest(p_attempt, p_last) as x (attempt, last) group by x.attempt) m
    where c.attempt = m.attempt and c.number <= m.last and c.attempt = any (v_there);
    delete from postq.long_log l
    using unnest(p_attempt, p_is_last) as x (attempt, is_last)
    where l.attempt = x.attempt and x.is_last;
end;
$$;
revoke all on function postq.move_logs(bigint[], bigint[], bigint[], bytea[], boolean[]) from public;
