-- Takes the tasks of an ended job that do not run again into the job of its retry: succeeded, each with
-- the execution that ended it, under a number of its own. Called by copy_job.
create or replace function postq.carry_over(p_job uuid, p_id uuid, p_rerun int[]) returns void
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
set jit = off
set enable_seqscan = off
as $$
begin
    with kept as materialized (
        select t.n, t.gate, t.lane, t.attempt as old, t.started_at, t.finished_at,
               case when t.attempt is not null then nextval('postq.attempt_id') end as attempt
        from postq.task t
        where t.job = p_job and t.n <> all (p_rerun)
        order by t.n
    ), entered as (
        insert into postq.task (job, n, state, gate, lane, attempt, attempts, revision, started_at, finished_at)
        select p_id, k.n, 'succeeded', k.gate, k.lane, k.attempt, (k.attempt is not null)::int, 1,
               k.started_at, k.finished_at
        from kept k
    )
    insert into postq.attempt
    select r.*
    from kept k
    join postq.attempt a on a.id = k.old
    cross join lateral jsonb_populate_record(a, jsonb_build_object('id', k.attempt, 'job', p_id)) r;
end;
$$;
revoke all on function postq.carry_over(uuid, uuid, int[]) from public;
