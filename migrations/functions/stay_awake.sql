-- Forgets that this connection sleeps on a queue. A row that somebody is just waking is left to them.
create or replace function postq.stay_awake(p_queue text) returns void
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
as $$
begin
    -- Who takes one thing after the other does not sleep: then this is all.
    if exists (select from postq.sleeper s where s.queue = p_queue and s.backend = pg_backend_pid()) then
        delete from postq.sleeper s
        where s.ctid = any (array(
            select s.ctid from postq.sleeper s
            where s.queue = p_queue and s.backend = pg_backend_pid() for update skip locked));
    end if;
end;
$$;
revoke all on function postq.stay_awake(text) from public;
