-- Writes what is to be sent of those of the jobs that have a webhook; all of them have just ended, or
-- ended before and are told of again. Called by job_ended and redeliver, in whatever transaction.
create or replace function postq.deliver(p_job uuid[]) returns void
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
set jit = off
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
begin
    insert into postq.delivery (job, origin, url, secret, body, created_at, next_at)
    select s.job, substring(s.webhook ->> 'url' from '^[a-z]+://[^/]+'), s.webhook ->> 'url', s.webhook ->> 'secret',
           jsonb_build_object('type', 'job.' || j.state, 'timestamp', postq.utc(j.finished_at), 'job', jsonb_build_object(
               'id', j.id, 'name', s.name, 'queue', j.queue, 'state', j.state, 'reason', j.reason,
               'priority', j.priority, 'attributes', s.attributes, 'retry_of', s.retry_of,
               'created_at', postq.utc(j.created_at), 'started_at', postq.utc(j.started_at),
               'finished_at', postq.utc(j.finished_at)))::text,
           postq.now(), postq.now()
    from postq.job_spec s join postq.job j on j.id = s.job
    where s.job = any (p_job) and s.webhook is not null
    on conflict (job) do nothing;
    if found then
        perform postq.hint('delivery');
    end if;
end;
$$;
revoke all on function postq.deliver(uuid[]) from public;
