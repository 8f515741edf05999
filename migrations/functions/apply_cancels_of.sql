-- Applies the cancels of a queue's one-task jobs that have not started, so that no coordinator is
-- needed for them; at most 100. Called by consume, whose transaction may stay open: so each row is
-- locked in the order that everybody takes them in who would wait for the next (where the task is
-- queued, the task, the job), and what somebody else has at hand is left for later.
create or replace function postq.apply_cancels_of(p_queue text) returns void
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
as $$
declare
    v_one record;
    v_row tid;
begin
    if not exists (select from postq.inbox) then
        return;
    end if;
    for v_one in
        select i.seq, i.job, i.reason, j.finished_at is not null as is_over
        from postq.inbox i
        join postq.job j on j.id = i.job
        join postq.job_spec s on s.job = i.job
        where i.kind = 'cancel' and j.queue = p_queue and s.task_count = 1
        order by i.seq limit 100
        for update of i skip locked
    loop
        if not v_one.is_over then
            select r.ctid into v_row from postq.task t
            join postq.ready r on r.lane = t.lane and r.seq = t.seq
            where t.job = v_one.job and t.n = 0 and t.state = 'ready' for update of r skip locked;
            if not found then
                select s.ctid into v_row from postq.task t
                join postq.scheduled s on s.run_at = t.run_at and s.job = t.job and s.n = t.n
                where t.job = v_one.job and t.n = 0 and t.state = 'scheduled' for update of s skip locked;
                continue when not found;
            end if;
            perform 1 from postq.task t where t.job = v_one.job and t.n = 0 for update skip locked;
            continue when not found;
            continue when not (select c.o_is_done from postq.apply_cancel(v_one.job, v_one.reason) c);
        end if;
        delete from postq.inbox i where i.seq = v_one.seq;
    end loop;
end;
$$;
revoke all on function postq.apply_cancels_of(text) from public;
