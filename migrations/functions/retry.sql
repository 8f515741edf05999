-- Makes a new job of one that has ended, whose retry_of is the old one: what failed, was skipped, was
-- cancelled or is named in tasks runs again with all that comes after it; the rest is carried over as
-- succeeded, with its results and files. The dead letters of the old job are gone, but those that are
-- being consumed. A new_id may be minted by the caller (a UUIDv7): asking again under it is the same job.
-- Returns the new job's id. Raises PQ003 (no such job), PQ005 (no task of that name, or nothing to run)
-- and PQ006 (the job has not ended, or ended before it was planned, so that it has no tasks).
create or replace function postq.retry(id uuid, tasks text[] default null, new_id uuid default null) returns uuid
language plpgsql volatile security definer
set search_path = pg_catalog, postq, pg_temp
as $$
#variable_conflict use_column
declare
    v_job record;
    v_rerun int[];
begin
    select j.state, j.finished_at into v_job from postq.job j where j.id = retry.id;
    if not found then
        raise exception using errcode = 'PQ003', message = format('there is no job %s', retry.id);
    elsif v_job.finished_at is null then
        raise exception using errcode = 'PQ006', message = format('job %s has not ended, it is %s', retry.id, v_job.state),
            hint = 'Wait for its end, or cancel it.';
    elsif not exists (select from postq.task_spec s where s.job = retry.id) then
        raise exception using errcode = 'PQ006',
            message = format('job %s ended before it was planned, so it has no tasks', retry.id),
            hint = 'Submit it once more.';
    end if;
    perform postq.check_argument('tasks', format('names %s, which job %s does not have', quote_literal(x.name), retry.id))
    from unnest(retry.tasks) as x (name)
    where not exists (select from postq.task_spec s where s.job = retry.id and s.name = x.name);
    v_rerun := postq.rerun_of(retry.id, retry.tasks);
    if v_rerun = '{}' then
        perform postq.check_argument('tasks', format('are needed: job %s has succeeded, so name what is to run again', retry.id));
    end if;
    return postq.copy_job(retry.id, coalesce(retry.new_id, postq.new_id()), v_rerun);
end;
$$;
revoke all on function postq.retry(uuid, text[], uuid) from public;
