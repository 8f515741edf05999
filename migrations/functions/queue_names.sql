-- The queues that are declared or in use, by name, behind p_after.
create or replace function postq.queue_names(p_after text, p_limit int) returns setof text
language sql stable
set search_path = pg_catalog, postq, pg_temp
as $$
    select n.name
    from (select q.name from postq.queue q union select l.queue from postq.lane l) n (name)
    where p_after is null or n.name > p_after
    order by n.name limit p_limit;
$$;
revoke all on function postq.queue_names(text, int) from public;
