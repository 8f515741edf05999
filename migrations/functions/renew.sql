-- Lets the lease of a consumed task (or dead letter) end so much later than now. Tells when, and
-- whether somebody has asked for the end of its job meanwhile. A lease that is over is renewed as long
-- as nobody has ended it. Raises PQ003 and PQ004 (see refuse_stale).
create or replace function postq.renew(
    id uuid, attempt bigint, lease interval default '60 s',
    out lease_until timestamptz, out cancel_requested boolean
)
language plpgsql volatile security definer
set search_path = pg_catalog, postq, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
#variable_conflict use_column
begin
    perform postq.check_argument('lease', coalesce(postq.lease_fault(renew.lease),
        case when renew.lease is null then 'is null; say for how long' end));
    -- Before the time is read: the floors of the leases rest on it.
    perform pg_current_xact_id();
    update postq.open_attempt o set lease_until = postq.lease_start() + renew.lease
    where o.job = renew.id and o.attempt = renew.attempt and o.lease_until is not null
    returning o.lease_until, o.cancel_requested_at is not null
    into renew.lease_until, renew.cancel_requested;
    if found then
        return;
    end if;
    update postq.dead_letter d set lease_until = postq.now() + renew.lease
    where d.job = renew.id and d.attempt = renew.attempt
    returning d.lease_until, false into renew.lease_until, renew.cancel_requested;
    if not found then
        perform postq.refuse_stale(renew.id, renew.attempt);
    end if;
end;
$$;
revoke all on function postq.renew(uuid, bigint, interval) from public;
