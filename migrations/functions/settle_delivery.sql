-- Notes how a delivery went: without an error it has arrived and is gone, else it is tried again after
-- p_pause_ms, or given up where that is null. What somebody has at hand is left, and sent once more.
create or replace function postq.settle_delivery(p_job uuid, p_error text, p_pause_ms bigint) returns void
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
begin
    perform 1 from postq.delivery d where d.job = p_job for update skip locked;
    if not found then
        return;
    end if;
    if p_error is null then
        delete from postq.delivery d where d.job = p_job;
    else
        update postq.delivery d
        set attempts = d.attempts + 1, error = p_error, next_at = postq.now() + make_interval(secs => p_pause_ms / 1000.0)
        where d.job = p_job;
    end if;
end;
$$;
revoke all on function postq.settle_delivery(uuid, text, bigint) from public;
