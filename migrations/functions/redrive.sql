-- Tries a dead letter once more: as a new job of the same task, arguments, attributes, queue and
-- priority with all its attempts before it, whose retry_of is the old one. The dead letter is gone.
-- Returns the new job's id. Raises PQ003 (no such job, or no dead letter of it) and PQ006 (the job has
-- more tasks, or the dead letter is being consumed).
create or replace function postq.redrive(id uuid) returns uuid
language plpgsql volatile security definer
set search_path = pg_catalog, postq, pg_temp
as $$
#variable_conflict use_column
declare
    v_letter record;
begin
    select s.task_count, d.lease_until > postq.now() and d.attempt is not null as is_consumed into v_letter
    from postq.dead_letter d join postq.job_spec s on s.job = d.job
    where d.job = redrive.id
    order by d.n limit 1
    for update of d skip locked;
    if not found and not exists (select from postq.dead_letter d where d.job = redrive.id) then
        raise exception using errcode = 'PQ003', message = format('there is no dead letter of a job %s', redrive.id);
    elsif v_letter.task_count > 1 then
        raise exception using errcode = 'PQ006',
            message = format('job %s has %s tasks; a dead letter of it is not tried alone', redrive.id, v_letter.task_count),
            hint = 'Retry the job (RetryJob): that runs what failed again, and all that waits for it.';
    elsif coalesce(v_letter.is_consumed, true) then
        raise exception using errcode = 'PQ006',
            message = format('the dead letter of job %s is being consumed', redrive.id),
            hint = 'Wait until it was acked, nacked or released, or until its lease ends.';
    end if;
    return postq.redrive_one(redrive.id);
end;
$$;
revoke all on function postq.redrive(uuid) from public;
