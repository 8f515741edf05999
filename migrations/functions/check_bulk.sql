-- Refuses (PQ005) what publish would, naming the job by its place, from 1. What is the same in many jobs is
-- looked at once, and of documents only those that look as if something might be wrong with them.
create or replace function postq.check_bulk(p_jobs postq.bulk_job[]) returns void
language plpgsql immutable
set search_path = pg_catalog, postq, pg_temp
as $$
declare
    -- Less than the limit by far, because it is of the text as Postgres writes it.
    c_small constant int := 500000;
    v_place bigint;
    v_one record;
begin
    for v_one in
        select min(j.ord) as ord, j.task, coalesce(j.timeout, '60 s') as timeout, coalesce(j.priority, 0) as priority,
               coalesce(j.max_retries, 3) as max_retries, coalesce(j.queue, 'default') as queue, j.odd_arguments, j.odd_attributes,
               postq.time_fault(j.scheduled_at) as time_fault
        from (select j.*, case when j.arguments is not null and (octet_length(j.arguments::text) > c_small
                         or j.arguments::text ~ '[0-9]{16}') then j.arguments end as odd_arguments,
                     case when j.attributes is not null and (octet_length(j.attributes::text) > c_small
                         or j.attributes::text ~ '[0-9]{16}' or jsonb_typeof(j.attributes) <> 'object')
                         then j.attributes end as odd_attributes
              from unnest(p_jobs) with ordinality as j (task, arguments, scheduled_at, timeout, priority,
                  max_retries, queue, attributes, ord)) j
        group by 2, 3, 4, 5, 6, 7, 8, 9 order by 1
    loop
        v_place := v_one.ord;
        perform postq.check_publish(v_one.task, v_one.odd_arguments, v_one.timeout, v_one.priority, v_one.max_retries,
            v_one.queue, v_one.odd_attributes, 3000, null, 3600000);
        perform postq.check_argument('scheduled_at', v_one.time_fault);
    end loop;
exception when sqlstate 'PQ005' then
    raise exception using errcode = 'PQ005', message = format('jobs[%s].%s', v_place, sqlerrm);
end;
$$;
revoke all on function postq.check_bulk(postq.bulk_job[]) from public;
