-- Whether something in a lane can be taken, is scheduled or parked, or is in the hands of a consumer.
create or replace function postq.is_lane_used(p_lane bigint) returns boolean
language sql stable
set search_path = pg_catalog, postq, pg_temp
as $$
    select exists (select from postq.ready r where r.lane = p_lane)
        or exists (select from postq.scheduled s where s.lane = p_lane)
        or exists (select from postq.parked k where k.lane = p_lane)
        or exists (select from postq.open_attempt o where o.lane = p_lane);
$$;
revoke all on function postq.is_lane_used(bigint) from public;
