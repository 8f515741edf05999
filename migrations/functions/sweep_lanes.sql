-- Moves the floors of the lanes, in two steps. A first pass notes the newest seq as a candidate,
-- together with a transaction id made after it was read: whoever took a seq up to the candidate had
-- an id before that, so a smaller one. A later pass applies the candidate once every smaller id has
-- ended, at most to the smallest seq that is still there. (The xmax of a snapshot would not do: it
-- lies just behind the newest id that has *ended*, so running ones may be beyond it.)
-- Beside it the floors of times move, below which no task is scheduled and no lease ends in the lane:
-- what has an id behind the horizon writes no time from before it (see lease_start), with some seconds to
-- spare. Times that appear below nevertheless, after a step of the clock, are found by promote and
-- expire_leases as they look from the beginning now and then.
-- Twin lanes are folded besides (fold_lanes).
-- Must be the first statement of its transaction. Returns how many floors were applied.
create or replace function postq.sweep_lanes() returns int
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
set jit = off
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
declare
    c_spare constant interval := '10 s';
    c_instant constant interval := '1 us';
    v_newest bigint;
    v_horizon xid8;
    v_lane record;
    v_lowest bigint;
    v_first_due timestamptz;
    v_first_lease timestamptz;
    v_moved int := 0;
begin
    if pg_current_xact_id_if_assigned() is not null then
        raise exception using errcode = 'invalid_transaction_state',
            message = 'sweep_lanes must be the first statement of its transaction';
    end if;
    -- Of a sequence that was never used, the last value is the first one still to come.
    select case when s.is_called then s.last_value else 0 end into v_newest from postq.ready_seq s;
    v_horizon := pg_current_xact_id();
    for v_lane in
        select l.id, l.floor, l.floor_candidate, l.floor_horizon, l.due_floor, l.lease_floor, l.time_candidate
        from postq.lane l
        order by l.id for update skip locked
    loop
        -- An id from the future was noted on another server, and came with a dump.
        if v_lane.floor_candidate is null or v_lane.floor_horizon > v_horizon then
            update postq.lane l
            set floor_candidate = v_newest, floor_horizon = v_horizon, time_candidate = postq.now() - c_spare
            where l.id = v_lane.id and l.floor < v_newest;
        elsif pg_snapshot_xmin(pg_current_snapshot()) >= v_lane.floor_horizon then
            select r.seq into v_lowest from postq.ready r
            where r.lane = v_lane.id and r.seq > v_lane.floor order by r.seq limit 1;
            select s.run_at into v_first_due from postq.scheduled s
            where s.lane = v_lane.id and s.run_at > v_lane.due_floor order by s.run_at limit 1;
            select o.lease_until into v_first_lease from postq.open_attempt o
            where o.lane = v_lane.id and o.lease_until > v_lane.lease_floor order by o.lease_until limit 1;
            update postq.lane l
            set floor = greatest(l.floor, least(v_lane.floor_candidate, v_lowest - 1)),
                due_floor = greatest(l.due_floor, least(l.time_candidate, v_first_due - c_instant)),
                lease_floor = greatest(l.lease_floor, least(l.time_candidate, v_first_lease - c_instant)),
                floor_candidate = null, floor_horizon = null, time_candidate = null
            where l.id = v_lane.id;
            v_moved := v_moved + 1;
        end if;
    end loop;
    perform postq.fold_lanes();
    return v_moved;
end;
$$;
revoke all on function postq.sweep_lanes() from public;
