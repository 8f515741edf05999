-- Begins to count the jobs of a queue that has got a bound: those that are there and have not ended. One
-- that somebody has at hand just now is left out. Called by set_queue.
create or replace function postq.count_jobs(p_queue text) returns void
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
as $$
declare
    v_count bigint;
begin
    insert into postq.bound (queue, jobs) values (p_queue, 0) on conflict do nothing;
    perform 1 from postq.bound b where b.queue = p_queue for update;
    delete from postq.departure d where d.queue = p_queue;
    with counted as (
        update postq.job j set is_counted = true
        where j.id = any (array(select j.id from postq.job j where j.queue = p_queue and j.finished_at is null
                                order by j.id for update skip locked))
        returning 1
    )
    select count(*) into v_count from counted;
    update postq.bound b set jobs = v_count where b.queue = p_queue;
end;
$$;
revoke all on function postq.count_jobs(text) from public;
