-- Tries the dead letters of a job once more: as a new job, whose retry_of is the old one, in which all
-- that did not succeed runs again with all its attempts before it (see retry). The dead letters are gone.
-- Returns the new job's id. Raises PQ003 (no such job, or no dead letter of it) and PQ006 (the job has
-- not ended, or the dead letter is being consumed).
create or replace function postq.redrive(id uuid) returns uuid
language plpgsql volatile security definer
set search_path = pg_catalog, postq, pg_temp
as $$
#variable_conflict use_column
declare
    v_letter record;
begin
    select j.finished_at, d.lease_until > postq.now() and d.attempt is not null as is_consumed into v_letter
    from postq.dead_letter d join postq.job j on j.id = d.job
    where d.job = redrive.id
    order by d.n limit 1
    for update of d skip locked;
    if not found and not exists (select from postq.dead_letter d where d.job = redrive.id) then
        raise exception using errcode = 'PQ003', message = format('there is no dead letter of a job %s', redrive.id);
    elsif coalesce(v_letter.is_consumed, true) then
        raise exception using errcode = 'PQ006',
            message = format('the dead letter of job %s is being consumed', redrive.id),
            hint = 'Wait until it was acked, nacked or released, or until its lease ends.';
    elsif v_letter.finished_at is null then
        raise exception using errcode = 'PQ006', message = format('job %s has not ended', redrive.id),
            hint = 'Wait for its end, or cancel it.';
    end if;
    return postq.redrive_one(redrive.id);
end;
$$;
revoke all on function postq.redrive(uuid) from public;
