-- A dead letter as a DeadLetter in proto3-JSON, with its last 100 attempts. Called by the coordinator.
create or replace function postq.letter_shown(p_job uuid, p_n int) returns jsonb
language sql stable
set search_path = pg_catalog, postq, pg_temp
set jit = off
as $$
    -- The free JSON stands apart, because its nulls mean something.
    select jsonb_strip_nulls(jsonb_build_object(
            'job_id', d.job, 'task', s.name, 'handler', s.spec -> 'handler', 'queue', d.queue, 'reason', d.reason,
            'attempts', d.attempts, 'died_at', d.died_at, 'history', h.attempts,
            'leased_until', case when d.attempt is not null and d.lease_until > postq.now() then d.lease_until end))
        || case when s.spec ? 'arguments' then jsonb_build_object('arguments', s.spec -> 'arguments') else '{}' end
        || jsonb_build_object('attributes', js.attributes)
    from postq.dead_letter d
    join postq.task_spec s on s.job = d.job and s.n = d.n
    join postq.job_spec js on js.job = d.job
    cross join lateral (
        select jsonb_agg(jsonb_build_object(
            'id', a.id::text, 'outcome', upper(a.outcome::text), 'agent', g.name, 'exit_code', a.exit_code,
            'signal', a.signal, 'reason', a.reason, 'started_at', a.started_at, 'finished_at', a.finished_at,
            'image', a.image) order by a.id) as attempts
        from (select a.* from postq.attempt a where a.job = d.job and a.n = d.n order by a.id desc limit 100) a
        left join postq.agent g on g.id = a.agent
    ) h
    where d.job = p_job and d.n = p_n;
$$;
revoke all on function postq.letter_shown(uuid, int) from public;
