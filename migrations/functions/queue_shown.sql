-- A queue as a Queue in proto3-JSON, with what is in it; null where it is neither declared nor in use.
create or replace function postq.queue_shown(p_queue text) returns jsonb
language sql stable
set search_path = pg_catalog, postq, pg_temp
set jit = off
as $$
    select jsonb_strip_nulls(jsonb_build_object(
        'name', p_queue, 'is_declared', q.name is not null, 'created_at', q.created_at,
        'settings', case when q.name is not null then jsonb_build_object(
            'description', q.description, 'paused', q.is_paused, 'max_running', q.max_running, 'max_jobs', q.max_jobs,
            'retry', q.retry,
            'timeout', trim_scale(q.timeout_ms / 1000.0) || 's',
            'expires_after', trim_scale(q.expires_after_ms / 1000.0) || 's',
            'dead_letters', q.has_dead_letters, 'aging', q.aging, 'notify', q.has_notify, 'webhook', q.webhook,
            'rate', case when q.rate_limit is not null then jsonb_build_object(
                'limit', q.rate_limit, 'period', trim_scale(q.rate_period_ms / 1000.0) || 's') end,
            'retention', case when num_nonnulls(q.retain_ms, q.retain_jobs) > 0 then jsonb_build_object(
                'age', trim_scale(q.retain_ms / 1000.0) || 's', 'jobs', q.retain_jobs) end) end,
        'stats', jsonb_build_object(
            'jobs', s.jobs::text, 'ready', s.ready::text, 'scheduled', s.scheduled::text, 'parked', s.parked::text,
            'running', s.running::text, 'dead_letters', s.dead_letters::text, 'oldest_ready_age',
            round(greatest(extract(epoch from postq.now() - s.oldest_ready_at), 0), 3) || 's')))
    from (select p_queue as name) n
    left join postq.queue q on q.name = n.name
    cross join lateral postq.stats_of(n.name) s
    where q.name is not null or exists (select from postq.lane l where l.queue = n.name);
$$;
revoke all on function postq.queue_shown(text) from public;
