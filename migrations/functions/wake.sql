-- Wakes up to p_count consumers that sleep on a queue, the one that has slept longest first: one task
-- does not need all of them. Those that are woken are not registered any more once this has
-- committed. Where others are just being woken by a transaction that may still be rolled back, they
-- are told as well.
create or replace function postq.wake(p_queue text, p_count int) returns void
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
as $$
declare
    v_woken int;
begin
    if not exists (select from postq.sleeper s where s.queue = p_queue) then
        return;
    end if;
    with chosen as (
        delete from postq.sleeper s
        where s.ctid = any (array(
            select s.ctid from postq.sleeper s
            where s.queue = p_queue and postq.is_awaited(s.backend, s.backend_start)
            order by s.since limit p_count for update skip locked))
        returning s.backend
    ), told as (
        select pg_notify(postq.channel_of(c.backend), p_queue) from chosen c
    )
    select count(*) into v_woken from told;
    if v_woken < p_count then
        perform pg_notify(postq.channel_of(s.backend), p_queue)
        from postq.sleeper s where s.queue = p_queue;
    end if;
end;
$$;
revoke all on function postq.wake(text, int) from public;
