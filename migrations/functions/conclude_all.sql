-- Ends attempts in their consumers' own transaction, which may stay open for long. A job of one task
-- is nobody else's, so it ends here as well; of any other job nothing but the task is touched, and
-- what follows waits in the inbox for the commit.
-- Called by ack_many, expire_now and, for one, by conclude. Tells the attempts that were open and are ended.
-- An earlier one had one time for all. It goes here, in the transaction that brings this one.
drop function if exists postq.conclude_all(uuid[], bigint[], text, text, bytea, jsonb[], timestamptz, boolean);
create or replace function postq.conclude_all(
    p_job uuid[], p_attempt bigint[], p_outcome text, p_reason text, p_errors bytea default null,
    p_result jsonb[] default '{}', p_retry_at timestamptz[] default '{}', p_is_final boolean default false,
    out o_job uuid[], out o_attempt bigint[]
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
    v_open record;
    v_closed record;
    v_count int;
    v_has_key boolean;
begin
    o_job := '{}';
    o_attempt := '{}';
    -- By look-ups, whatever the planner makes of tables that were empty when they were analysed.
    with given as materialized (
        select o.job, o.n, o.attempt, x.result, x.retry_at,
               (select s.task_count = 1 from postq.job_spec s where s.job = o.job) as is_single
        from unnest(p_job, p_attempt, p_result, p_retry_at) as x (job, attempt, result, retry_at)
        cross join lateral (
            select o.job, o.n, o.attempt from postq.open_attempt o
            where o.job = x.job and o.attempt = x.attempt and o.lease_until is not null offset 0) o
    ), held as materialized (
        select j.id
        from (select distinct g.job from given g where g.is_single order by g.job) g
        cross join lateral (select j.id from postq.job j where j.id = g.job for update) j
    )
    select array_agg(g.job) as jobs, array_agg(g.n) as ns, array_agg(g.attempt) as attempts,
           array_agg(g.result) as results, array_agg(g.retry_at) as retry_ats,
           -- Null: all of them.
           case when not bool_and(g.is_single) then coalesce((select array_agg(h.id) from held h), '{}') end as singles,
           (select count(*) from held) as held
    into v_open from given g;
    if v_open.jobs is null then
        return;
    end if;
    if p_outcome = 'succeeded' and v_open.singles is null then
        v_closed := postq.succeed_singles(v_open.jobs, v_open.attempts, v_open.results);
        v_has_key := v_closed.o_has_key;
    else
        v_count := cardinality(v_open.jobs);
        v_closed := postq.record(
            v_open.attempts, '{}', v_open.jobs, v_open.ns, array_fill(p_outcome, array[v_count]), '{}', '{}',
            array_fill(p_reason, array[v_count]), '{}', array_fill(p_errors, array[v_count]), '{}', '{}', '{}', '{}',
            '{}', array_fill(p_is_final, array[v_count]), v_open.results, v_open.retry_ats);
        perform postq.follow_closed(v_closed.o_job, v_closed.o_n, v_closed.o_next, v_open.singles);
        if v_closed.o_due is not null then
            perform postq.hint('due');
        end if;
        v_has_key := exists (select from unnest(v_closed.o_job, v_closed.o_n) as x (job, n)
                             join postq.task t on t.job = x.job and t.n = x.n where t.has_key);
    end if;
    if v_has_key then
        perform postq.hint('parked');
    end if;
    o_job := v_closed.o_job;
    o_attempt := v_closed.o_attempt;
end;
$$;
revoke all on function postq.conclude_all(
    uuid[], bigint[], text, text, bytea, jsonb[], timestamptz[], boolean) from public;
