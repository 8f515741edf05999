-- Makes dead letters of those tasks of an expired job that could have begun. Called by apply_deadline.
create or replace function postq.bury_expired(p_job uuid, p_n int[]) returns void
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
as $$
declare
    v_queue text;
    v_count bigint;
begin
    select j.queue into v_queue from postq.job j where j.id = p_job;
    insert into postq.dead_letter (job, n, queue, task, reason, attempts, died_at)
    select t.job, t.n, v_queue, coalesce(s.spec ->> 'handler', s.name), t.reason, t.attempts + t.crashes, postq.now()
    from postq.task t join postq.task_spec s on s.job = t.job and s.n = t.n
    where t.job = p_job and t.n = any (p_n) and t.gate is null and postq.keeps_dead_letters(v_queue)
    on conflict do nothing;
    get diagnostics v_count = row_count;
    if v_count > 0 then
        perform postq.wake('dlq@' || v_queue, v_count::int);
    end if;
end;
$$;
revoke all on function postq.bury_expired(uuid, int[]) from public;
