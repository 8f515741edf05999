-- Leases dead letters of `dlq@NAME`, the oldest first. The ended job stays as it is. Called by consume.
create or replace function postq.consume_dead(p_num int, p_queue text, p_tasks text[], p_lease interval, p_filter jsonpath)
returns table (
    id uuid, attempt bigint, task text, arguments jsonb, attributes jsonb, priority int,
    attempts int, max_attempts int, created_at timestamptz, lease_until timestamptz
)
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
as $$
#variable_conflict use_column
declare
    v_count bigint;
begin
    return query
        with leased as (
            update postq.dead_letter d
            set attempt = nextval('postq.attempt_id'), lease_until = postq.now() + coalesce(p_lease, '60 s')
            where d.ctid = any (array(
                select d.ctid from postq.dead_letter d
                where d.queue = substr(p_queue, 5) and (d.lease_until is null or d.lease_until <= postq.now())
                  and (p_tasks is null or d.task like any (p_tasks))
                  and (p_filter is null or exists (
                      select from postq.job_spec x where x.job = d.job and x.attributes @@ p_filter))
                order by d.died_at, d.job, d.n limit p_num for update skip locked))
            returning d.*
        )
        select d.job, d.attempt, d.task, s.spec -> 'arguments', js.attributes, j.priority, d.attempts,
               s.max_attempts, j.created_at, d.lease_until
        from leased d
        join postq.task_spec s on s.job = d.job and s.n = d.n
        join postq.job_spec js on js.job = d.job
        join postq.job j on j.id = d.job
        order by d.died_at, d.job, d.n;
    get diagnostics v_count = row_count;
    if v_count > 0 then
        perform postq.stay_awake(p_queue);
    end if;
end;
$$;
revoke all on function postq.consume_dead(int, text, text[], interval, jsonpath) from public;
