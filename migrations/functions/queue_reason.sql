-- Why a task waits that could be started: the queue that keeps it. Null where nothing does.
create or replace function postq.queue_reason(p_job uuid) returns text
language sql stable
set search_path = pg_catalog, postq, pg_temp
as $$
    select case
        when q.is_paused then format('its queue "%s" is paused', postq.shown(q.name))
        when (select count(*) from postq.slot s where s.pool = 'queue:' || q.name and s.is_taken) >= q.max_running then
            format('its queue "%s" runs %s tasks, which is its limit', postq.shown(q.name), q.max_running)
        when (select count(*) from postq.slot s where s.pool = 'starts:' || q.name
                  and s.used_at > postq.now() - make_interval(secs => q.rate_period_ms / 1000.0)) >= q.rate_limit then
            format('its queue "%s" has started %s tasks in %s s, which is its rate', postq.shown(q.name), q.rate_limit,
                   trim_scale(q.rate_period_ms / 1000.0)) end
    from postq.job j join postq.queue q on q.name = j.queue
    where j.id = p_job and (q.is_paused or q.max_running is not null or q.rate_limit is not null);
$$;
revoke all on function postq.queue_reason(uuid) from public;
