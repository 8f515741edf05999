-- Ends jobs of one task each whose attempts have succeeded: what record and advance do for any attempts
-- of any jobs, in one statement, because this is what consumers tell most often. The caller holds the
-- jobs' rows. Tells the attempts that were open and are ended, and whether any of their tasks has a key.
-- Called by conclude_all.
create or replace function postq.succeed_singles(
    p_job uuid[], p_attempt bigint[], p_result jsonb[], out o_job uuid[], out o_attempt bigint[], out o_has_key boolean
)
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
set jit = off
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
declare
    v_row tid[];
    v_ended uuid[];
begin
    -- A statement of its own, as in record.
    select array_agg(x.row order by x.ord) into v_row
    from (select u.ord, (select o.ctid from postq.open_attempt o
                         where o.job = u.job and o.n = 0 and o.attempt = u.attempt for update) as row
          from (select * from unnest(p_job, p_attempt) with ordinality as u (job, attempt, ord) order by u.job) u) x;
    with closed as materialized (
        select g.job, g.attempt, g.result, g.ord, o.started_at, p.revision + 1 as revision, p.open - 1 as open, p.failed, p.cancelled
        from (select distinct on (u.job) u.*
              from unnest(p_job, p_attempt, p_result, v_row) with ordinality as u (job, attempt, result, row, ord)
              where u.row is not null order by u.job, u.ord) g
        cross join lateral (select o.started_at from postq.open_attempt o where o.ctid = g.row offset 0) o
        cross join lateral postq.progress_of(g.job) p
    ), deleted as (
        delete from postq.open_attempt o where o.ctid = any (v_row)
    ), recorded as (
        insert into postq.attempt (id, job, n, started_at, finished_at, outcome, result)
        select c.attempt, c.job, 0, c.started_at, postq.now(), 'succeeded', c.result from closed c
    ), moved as (
        update postq.task t
        set state = 'succeeded', attempts = t.attempts + 1, run_at = null, finished_at = postq.now(), reason = null,
            revision = c.revision
        from closed c where t.job = c.job and t.n = 0
        returning t.has_key
    ), noted as (
        insert into postq.job_progress (job, revision, open, failed, cancelled)
        select c.job, c.revision, c.open, c.failed, c.cancelled from closed c
    ), done as (
        update postq.job j
        set state = case when j.overdue is null then 'succeeded' else 'failed' end::postq.state_of_job,
            finished_at = postq.now(), reason = j.overdue
        from closed c where j.id = c.job and j.finished_at is null
        returning j.id
    )
    select coalesce(array_agg(c.job order by c.ord), '{}'), coalesce(array_agg(c.attempt order by c.ord), '{}'),
           (select bool_or(m.has_key) from moved m), coalesce((select array_agg(d.id) from done d), '{}')
    into o_job, o_attempt, o_has_key, v_ended
    from closed c;
    perform postq.leave_slots(o_attempt);
    perform postq.job_ended(v_ended);
end;
$$;
revoke all on function postq.succeed_singles(uuid[], bigint[], jsonb[]) from public;
