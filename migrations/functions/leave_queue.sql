-- A job that is counted in its queue's bound has ended, whoever ended it.
create or replace function postq.leave_queue() returns trigger
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
as $$
begin
    insert into postq.departure (queue, job)
    select new.queue, new.id where exists (select from postq.bound b where b.queue = new.queue)
    on conflict do nothing;
    return null;
end;
$$;
revoke all on function postq.leave_queue() from public;
create or replace trigger leave_queue after update on postq.job
    for each row when (new.is_counted and old.finished_at is null and new.finished_at is not null)
    execute function postq.leave_queue();
