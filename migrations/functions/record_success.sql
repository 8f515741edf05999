-- What record does where all attempts have succeeded, as most do: nothing of their jobs or of what is
-- retried has to be looked up for it. p_row: the rows of the attempts, locked. Called by record.
create or replace function postq.record_success(
    p_row tid[], p_attempt bigint[], p_session bigint[], p_job uuid[], p_n int[], p_exit_code int[], p_signal int[],
    p_reason text[], p_results bytea[], p_errors bytea[], p_content bytea[], p_provenance bytea[],
    p_times bytea[], p_ran_ms bigint[], p_log_chunks bigint[], p_result jsonb[], p_image text[], p_effort jsonb[],
    out o_attempt bigint[], out o_job uuid[], out o_n int[], out o_agent uuid[], out o_next postq.task_state[]
)
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
set jit = off
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
begin
    with input as (
        select * from unnest(
            p_attempt, p_session, p_job, p_n, p_exit_code, p_signal, p_reason, p_results, p_errors, p_content,
            p_provenance, p_times, p_ran_ms, p_log_chunks, p_result, p_image, p_effort, p_row
        ) with ordinality as u (attempt, session, job, n, exit_code, signal, reason, results, errors, content,
             provenance, times, ran_ms, log_chunks, result, image, effort, row, ord)
    ), closed as materialized (
        select i.*, o.agent, o.started_at
        from (select distinct on (i.job, i.n, i.attempt) i.* from input i where i.row is not null
              order by i.job, i.n, i.attempt, i.ord) i
        cross join lateral (select o.agent, o.started_at from postq.open_attempt o where o.ctid = i.row offset 0) o
    ), deleted as (
        delete from postq.open_attempt o where o.ctid = any (p_row)
    ), recorded as (
        insert into postq.attempt (id, job, n, agent, session, started_at, finished_at, outcome,
            exit_code, signal, reason, results, errors, ran_ms, log_chunks, result, image, effort)
        select c.attempt, c.job, c.n, c.agent, c.session, c.started_at, postq.now(), 'succeeded',
            c.exit_code, c.signal, c.reason, c.results, c.errors, c.ran_ms, c.log_chunks, c.result, c.image, c.effort
        from closed c
    ), kept as (
        insert into postq.snapshot (job, n, content, provenance, times)
        select c.job, c.n, c.content, c.provenance, c.times from closed c where c.content is not null
    ), moved as (
        update postq.task t
        set state = 'succeeded', attempts = t.attempts + 1, run_at = null, finished_at = postq.now(), reason = null,
            -- As next_revision has it; a function in each row takes longer than all the rest.
            revision = p.revision + 1
        from closed c cross join lateral postq.progress_of(c.job) p
        where t.job = c.job and t.n = c.n
        returning t.job, t.n, c.attempt, c.agent, c.ord
    )
    select coalesce(array_agg(m.attempt order by m.ord), '{}'), coalesce(array_agg(m.job order by m.ord), '{}'),
           coalesce(array_agg(m.n order by m.ord), '{}'), coalesce(array_agg(m.agent order by m.ord), '{}'),
           coalesce(array_agg('succeeded'::postq.task_state), '{}')
    into o_attempt, o_job, o_n, o_agent, o_next
    from moved m;
end;
$$;
revoke all on function postq.record_success(
    tid[], bigint[], bigint[], uuid[], int[], int[], int[], text[], bytea[], bytea[], bytea[], bytea[], bytea[],
    bigint[], bigint[], jsonb[], text[], jsonb[]) from public;
