-- Forgets a declared queue: its name goes by the defaults from then on. Refused (PQ012) while it has jobs
-- that have not ended, unless force, which asks for their end as cancel does. Its dead letters stay.
-- Returns whether there was such a queue.
create or replace function postq.delete_queue(queue text, force boolean default false) returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, postq, pg_temp
set enable_seqscan = off
as $$
declare
    v_open bigint;
begin
    perform postq.check_queue(delete_queue.queue, '{}');
    perform 1 from postq.queue q where q.name = delete_queue.queue for update;
    if not found then
        return false;
    end if;
    if coalesce(delete_queue.force, false) then
        insert into postq.inbox (job, kind, reason)
        select j.id, 'cancel', format('queue "%s" was deleted', delete_queue.queue)
        from postq.job j where j.queue = delete_queue.queue and j.finished_at is null;
        if found then
            perform postq.hint('inbox');
        end if;
    else
        select count(*) into v_open from postq.job j
        where j.queue = delete_queue.queue and j.finished_at is null;
        if v_open > 0 then
            raise exception using errcode = 'PQ012',
                message = format('queue "%s" has %s jobs that have not ended', postq.shown(delete_queue.queue), v_open),
                hint = 'Wait for them, cancel them, or delete it by force.';
        end if;
    end if;
    delete from postq.queue q where q.name = delete_queue.queue;
    perform postq.hint_queue(delete_queue.queue);
    return true;
end;
$$;
revoke all on function postq.delete_queue(text, boolean) from public;
