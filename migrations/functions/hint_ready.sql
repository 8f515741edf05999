-- Tells of new rows in ready, given as [[lane, lowest seq], ...]: sleeping coordinators by a hint,
-- and sleeping consumers of the lanes' queues, at most p_count of them, by waking them.
create or replace function postq.hint_ready(p_ready jsonb, p_count int default 1) returns void
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
as $$
begin
    perform postq.hint('ready:' || (r ->> 0), ':' || (r ->> 1)) from jsonb_array_elements(p_ready) r;
    if exists (select from postq.sleeper) then
        perform postq.wake(q.queue, p_count)
        from (select distinct l.queue from jsonb_array_elements(p_ready) r
              join postq.lane l on l.id = (r ->> 0)::bigint where l.executor = 'handler') q;
    end if;
end;
$$;
revoke all on function postq.hint_ready(jsonb, int) from public;
