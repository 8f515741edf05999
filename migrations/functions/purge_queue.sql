-- Forgets jobs of a queue that have ended and that it is not to keep (its setting retention): those that
-- ended too long ago, and the oldest where there are too many. Page by page as purge_finished; up_to is
-- what the page before has returned, so that the jobs to be kept are counted once. For the owner of the
-- schema, and for coordinators.
-- Returns {"purged": count, "last": the last id looked at, or null where there are no more, "up_to": of
-- the jobs up to this one too many have ended since; null where it keeps any number}.
create or replace function postq.purge_queue(
    queue text, max_count int default 1000, after uuid default null, up_to uuid default null
) returns jsonb
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
set jit = off
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
declare
    c_none constant uuid := '00000000-0000-0000-0000-000000000000';
    c_last constant uuid := 'ffffffff-ffff-ffff-ffff-ffffffffffff';
    v_queue postq.queue;
    v_until timestamptz;
    v_up_to uuid := purge_queue.up_to;
    v_job uuid[];
    v_last uuid;
    v_held record;
begin
    perform postq.check_argument('max_count', case when coalesce(purge_queue.max_count, 0) < 1 then 'is below one' end);
    select * into v_queue from postq.queue q where q.name = purge_queue.queue;
    v_until := postq.now() - make_interval(secs => v_queue.retain_ms / 1000.0);
    if v_up_to is null and v_queue.retain_jobs is not null then
        select j.id into v_up_to from postq.job j
        where j.queue = purge_queue.queue and j.finished_at is not null
        order by j.id desc offset v_queue.retain_jobs limit 1;
        -- Not too many: not to be counted again for the next page.
        v_up_to := coalesce(v_up_to, c_none);
    end if;
    if v_until is null and v_up_to is null then
        return '{"purged": 0, "last": null, "up_to": null}';
    end if;
    select array_agg(p.id order by p.id) filter (where p.finished_at < v_until or p.finished_at is not null and p.id <= v_up_to),
           case when count(*) = purge_queue.max_count then (array_agg(p.id order by p.id desc))[1] end
    into v_job, v_last
    from (select j.id, j.finished_at from postq.job j
          where j.queue = purge_queue.queue
            and j.id > coalesce(purge_queue.after, c_none)
            and j.id <= case when v_until is null then v_up_to else c_last end
          order by j.id limit purge_queue.max_count) p;
    select * into v_held from postq.hold_ended(coalesce(v_job, '{}'), purge_queue.max_count);
    perform postq.forget_jobs(v_held.o_job);
    return jsonb_build_object('purged', cardinality(v_held.o_job), 'last', coalesce(v_held.o_last, v_last), 'up_to', v_up_to);
end;
$$;
revoke all on function postq.purge_queue(text, int, uuid, uuid) from public;
