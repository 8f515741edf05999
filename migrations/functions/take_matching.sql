-- Takes up to p_limit tasks of jobs whose attributes p_filter holds for, from lanes of one priority, in
-- the order in which they became available: due ones (those of consumers whose lease is over among
-- them), ready ones, parked ones. It parks as take_due does.
--
-- It looks at the first c_window of each lane and kind. Where these are not enough, it looks at c_jump
-- more of each lane from a place by chance behind them, so that what stands far behind is found too, by
-- one call or another, though not in order: nobody has to take what stands before it. Called by consume.
create or replace function postq.take_matching(
    p_lane bigint[], p_floor bigint[], p_due_floor timestamptz[], p_lease_floor timestamptz[],
    p_now timestamptz, p_limit int, p_park int, p_filter jsonpath,
    out o_job uuid[], out o_n int[], out o_parked int
)
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
as $$
declare
    c_window constant int := 1000;
    c_jump constant int := 4000;
    v_more record;
    v_from bigint[];
begin
    perform postq.expire_now(p_lane, p_lease_floor, p_now, p_limit, p_filter);
    select * into v_more from postq.take_due(p_lane, p_due_floor, p_now, p_limit, p_park, p_filter);
    o_job := v_more.o_job;
    o_n := v_more.o_n;
    o_parked := v_more.o_parked;
    select * into v_more from postq.take_ready_matching(p_lane, p_floor, c_window, p_limit - cardinality(o_n), p_filter);
    o_job := o_job || v_more.o_job;
    o_n := o_n || v_more.o_n;
    if cardinality(o_n) < p_limit then
        select * into v_more from postq.take_parked(p_lane, p_limit - cardinality(o_n), p_filter);
        o_job := o_job || v_more.o_job;
        o_n := o_n || v_more.o_n;
    end if;
    if cardinality(o_n) < p_limit then
        v_from := array(
            select b.seq - 1 + floor(random() * (e.seq - b.seq + 1))::bigint
            from unnest(p_lane, p_floor) with ordinality as l (lane, floor, ord)
            left join lateral (select r.seq from postq.ready r where r.lane = l.lane and r.seq > l.floor
                               order by r.seq offset c_window limit 1) b on true
            left join lateral (select r.seq from postq.ready r where r.lane = l.lane
                               order by r.seq desc limit 1) e on b.seq is not null
            order by l.ord);
        select * into v_more from postq.take_ready_matching(p_lane, v_from, c_jump, p_limit - cardinality(o_n), p_filter);
        o_job := o_job || v_more.o_job;
        o_n := o_n || v_more.o_n;
    end if;
end;
$$;
revoke all on function postq.take_matching(
    bigint[], bigint[], timestamptz[], timestamptz[], timestamptz, int, int, jsonpath) from public;
