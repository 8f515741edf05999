-- Notes how a delivery went: without an error it has arrived and is gone, else it is tried again after
-- p_pause_ms, or given up where that is null. p_lease_until is what take_deliveries has told: where it is
-- somebody else's by now, or to be sent anew (redeliver), nothing happens. What somebody has at hand is
-- left, and sent once more. Returns whether it was noted.
create or replace function postq.settle_delivery(
    p_job uuid, p_lease_until timestamptz, p_error text, p_pause_ms bigint
) returns boolean
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
begin
    perform 1 from postq.delivery d where d.job = p_job and d.next_at = p_lease_until for update skip locked;
    if not found then
        return false;
    end if;
    if p_error is null then
        delete from postq.delivery d where d.job = p_job;
    else
        update postq.delivery d
        set attempts = d.attempts + 1, error = p_error, next_at = postq.now() + make_interval(secs => p_pause_ms / 1000.0)
        where d.job = p_job;
    end if;
    return true;
end;
$$;
revoke all on function postq.settle_delivery(uuid, timestamptz, text, bigint) from public;
