-- The first tasks that wait in each of some lanes, from behind p_after, as far as they start from files:
-- what agents without room for them may fetch ahead. Of a lane no more than p_limit rows are looked at, of
-- a queue that is paused none. It changes nothing. Called by the dispatcher while agents are full, about
-- once a second.
create or replace function postq.upcoming(
    p_lane bigint[], p_after bigint[], p_limit int
) returns table (lane bigint, seq bigint, job uuid, n int, prefer uuid)
language sql stable
set search_path = pg_catalog, postq, pg_temp
set jit = off
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
    select r.lane, r.seq, r.job, r.n, r.prefer
    from unnest(p_lane, p_after) as x (lane, after)
    join postq.lane l on l.id = x.lane
    left join postq.queue q on q.name = l.queue
    cross join lateral (
        select r.lane, r.seq, r.job, r.n, r.prefer
        from postq.ready r where r.lane = x.lane and r.seq > x.after order by r.seq limit p_limit
    ) r
    join postq.task_spec s on s.job = r.job and s.n = r.n
    where q.is_paused is not true and s.has_workspace;
$$;
revoke all on function postq.upcoming(bigint[], bigint[], int) from public;
