-- Folds twin lanes into the one with the lowest id, in three steps that may lie far apart: notes it, so
-- that nothing more becomes ready in the twin (enter_lanes, park); forgets the twin once nothing is left
-- in it; and puts it back where somebody whose transaction had begun before has put something in after
-- all. Blocked tasks keep the twin's id; it is looked up when they are ready. Called by sweep_lanes.
-- Returns how many lanes it forgot.
create or replace function postq.fold_lanes() returns int
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
set jit = off
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
declare
    -- Transactions that last so long are few.
    c_rest constant interval := '1 min';
    v_twin record;
    v_gone int;
begin
    for v_twin in
        select l.id, k.first
        from (select l.id, min(l.id) over (partition by l.queue, l.priority, l.executor, l.handler, l.needs) as first
              from postq.lane l) k
        join postq.lane l on l.id = k.id
        left join postq.lane_fold f on f.lane = l.id
        where k.id > k.first and f.into_lane is distinct from k.first
        for update of l skip locked
    loop
        insert into postq.lane_fold (lane, into_lane, since) values (v_twin.id, v_twin.first, postq.now())
        on conflict (lane) do update set into_lane = excluded.into_lane;
        update postq.lane_fold f set into_lane = v_twin.first where f.into_lane = v_twin.id;
    end loop;

    -- One statement, so one snapshot: what goes from one table to another is seen in either.
    delete from postq.lane l where l.ctid = any (array(
        select l.ctid from postq.lane_fold f join postq.lane l on l.id = f.lane
        where f.since <= postq.now() - c_rest and not postq.is_lane_used(l.id)
          and not exists (select from postq.open_attempt o join postq.task t on t.job = o.job and t.n = o.n
                          where t.lane = l.id)
        for update of l skip locked));
    get diagnostics v_gone = row_count;

    insert into postq.lane (id, queue, priority, executor, handler, needs)
    select f.lane, l.queue, l.priority, l.executor, l.handler, l.needs
    from postq.lane_fold f join postq.lane l on l.id = f.into_lane
    where not exists (select from postq.lane x where x.id = f.lane) and postq.is_lane_used(f.lane)
    on conflict do nothing;
    return v_gone;
end;
$$;
revoke all on function postq.fold_lanes() from public;
