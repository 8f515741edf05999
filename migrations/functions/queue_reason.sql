-- Why a task waits that could be started: the queue that keeps it. Null where nothing does.
create or replace function postq.queue_reason(p_job uuid) returns text
language sql stable
set search_path = pg_catalog, postq, pg_temp
as $$
    select case
        when q.is_paused then format('its queue "%s" is paused', postq.shown(q.name))
        when (select count(*) from postq.slot s where s.pool = 'queue:' || q.name and s.is_taken) >= q.max_running then
            format('its queue "%s" runs %s tasks, which is its limit', postq.shown(q.name), q.max_running) end
    from postq.job j join postq.queue q on q.name = j.queue
    where j.id = p_job and (q.is_paused or q.max_running is not null);
$$;
revoke all on function postq.queue_reason(uuid) from public;
