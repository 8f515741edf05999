-- Raises PQ011 where no queue of that name is declared.
create or replace function postq.need_queue(p_queue text) returns void
language plpgsql stable
set search_path = pg_catalog, postq, pg_temp
as $$
begin
    if not exists (select from postq.queue q where q.name = p_queue) then
        raise exception using errcode = 'PQ011', message = format('there is no queue "%s"', postq.shown(p_queue)),
            hint = 'Declare it by create_queue.';
    end if;
end;
$$;
revoke all on function postq.need_queue(text) from public;
