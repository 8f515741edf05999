-- How many tasks of a queue wait to be taken now: ready or overdue (`dlq@NAME`: its dead letters that
-- nobody consumes). By index alone.
create or replace function postq.queue_depth(queue text) returns bigint
language sql stable security definer
set search_path = pg_catalog, postq, pg_temp
set jit = off
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
    select case when queue_depth.queue like 'dlq@%' then (
        select count(*) from postq.dead_letter d
        where d.queue = substr(queue_depth.queue, 5) and (d.lease_until is null or d.lease_until <= postq.now()))
    else (
        select coalesce(sum(r.ready + s.due), 0)::bigint
        from postq.lane l
        cross join lateral (select count(*) as ready from postq.ready r
                            where r.lane = l.id and r.seq > l.floor) r
        cross join lateral (select count(*) as due from postq.scheduled s
                            where s.lane = l.id and s.run_at > l.due_floor and s.run_at <= postq.now()) s
        where l.queue = queue_depth.queue) end;
$$;
revoke all on function postq.queue_depth(text) from public;
