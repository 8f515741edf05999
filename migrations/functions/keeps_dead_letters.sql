-- Whether tasks of a queue that failed for good are kept as dead letters.
create or replace function postq.keeps_dead_letters(p_queue text) returns boolean
language sql stable
set search_path = pg_catalog, postq, pg_temp
as $$
    select coalesce((select q.has_dead_letters from postq.queue q where q.name = p_queue), true);
$$;
revoke all on function postq.keeps_dead_letters(text) from public;
