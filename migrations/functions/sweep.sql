-- All that has to be done now and then in a database without coordinators (with them it is harmless):
-- applies the inbox, makes ready what is due, ends leases that are over and jobs whose time is over, opens
-- wide gates, moves the floors of the lanes, forgets consumers that slept and are gone. Jobs that need a plan still wait for
-- a coordinator. For the owner of the schema, every minute or so, as a statement of its own: inside a
-- transaction that has written something the floors stay where they are.
-- Returns {"applied": count, "promoted": count, "expired": count, "overdue": count, "opened": count}.
create or replace function postq.sweep(p_limit int default 1000) returns jsonb
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
as $$
declare
    v_applied jsonb;
    v_expired jsonb;
    v_promoted jsonb;
    v_overdue jsonb;
    v_opened jsonb;
begin
    if pg_current_xact_id_if_assigned() is null then
        perform postq.sweep_lanes();
    end if;
    perform postq.sweep_keys('', '', p_limit);
    perform postq.sweep_waits('00000000-0000-0000-0000-000000000000', p_limit);
    perform postq.sweep_limits(p_limit);
    v_applied := postq.apply_inbox(0, p_limit);
    v_expired := postq.expire_leases(p_limit, true);
    v_overdue := postq.apply_deadlines('-infinity', p_limit);
    v_promoted := postq.promote('-infinity', p_limit);
    v_opened := postq.release_opening(p_limit);
    perform postq.grant_parked('', p_limit);
    delete from postq.sleeper s
    where s.ctid = any (array(select s.ctid from postq.sleeper s
                              where not postq.is_awaited(s.backend, s.backend_start) for update skip locked));
    return jsonb_build_object(
        'applied', v_applied -> 'applied', 'promoted', v_promoted -> 'moved',
        'expired', v_expired -> 'expired', 'overdue', v_overdue -> 'applied',
        'opened', v_opened -> 'gates');
end;
$$;
revoke all on function postq.sweep(int) from public;
