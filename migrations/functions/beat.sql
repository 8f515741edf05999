-- A coordinator's sign of life, and all it asks while idle. Returns null where it is not registered
-- (any more), else {"beats": [[coordinator, beat]], "due_ms": milliseconds until the next task falls
-- due or null, "submissions": bool, "inbox": bool, "parked": bool, "openings": bool, "orphans": bool, "leases_ms":
-- milliseconds until the next lease of a consumer ends or null, "deadlines_ms": until the next deadline
-- of a job, not above zero where one has passed, or null, "schedules_ms": the same of the next time of
-- a schedule, "deliveries_ms": the same of what a webhook is to be told, "cancels": [[agent, attempt]], "drains": [[agent, timeout_ms]],
-- "agents": [[agent, session]]} with the requests to cancel that concern its own agents, and the
-- agents that are connected to it as far as the database knows.
create or replace function postq.beat(p_coordinator uuid) returns jsonb
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
set jit = off
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
begin
    update postq.coordinator c set beat = c.beat + 1 where c.id = p_coordinator;
    if not found then
        return null;
    end if;
    return jsonb_build_object(
        'beats', (select jsonb_agg(jsonb_build_array(c.id, c.beat)) from postq.coordinator c),
        'due_ms', (select (extract(epoch from min(s.run_at) - postq.now()) * 1000)::bigint
                   from postq.scheduled s),
        'submissions', exists (select from postq.submission),
        'inbox', exists (select from postq.inbox),
        'parked', exists (select from postq.parked) or exists (select from postq.vacancy)
            or exists (select from postq.queue q where q.rate_limit is not null),
        'openings', exists (select from postq.opening),
        'orphans', exists (select from postq.orphans()),
        'leases_ms', postq.next_lease_ms(),
        'deadlines_ms', (select (extract(epoch from min(d.at) - postq.now()) * 1000)::bigint from postq.deadline d),
        'schedules_ms', postq.next_schedule_ms(),
        'deliveries_ms', (select (extract(epoch from min(d.next_at) - postq.now()) * 1000)::bigint
                          from postq.delivery d where d.next_at is not null),
        'cancels', postq.cancels(p_coordinator),
        'drains', postq.drains(p_coordinator),
        'agents', (select coalesce(jsonb_agg(jsonb_build_array(a.id, a.session)), '[]')
                   from postq.agent a where a.coordinator = p_coordinator));
end;
$$;
revoke all on function postq.beat(uuid) from public;
