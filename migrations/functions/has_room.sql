-- Whether a queue with a bound seems to have room for one more job; whoever wants it makes sure.
create or replace function postq.has_room(p_queue text, p_max int) returns boolean
language sql volatile
set search_path = pg_catalog, postq, pg_temp
set enable_seqscan = off
as $$
    select coalesce((select b.jobs - (select count(*) from postq.departure d where d.queue = p_queue) < p_max
                     from postq.bound b where b.queue = p_queue), true);
$$;
revoke all on function postq.has_room(text, int) from public;
