-- Refuses (PQ005) what consume cannot do.
create or replace function postq.check_consume(
    p_num int, p_queue text, p_tasks text[], p_lease interval, p_delivery text
) returns void
language plpgsql stable
set search_path = pg_catalog, postq, pg_temp
as $$
begin
    if p_num is null or p_num not between 1 and 10000 then
        perform postq.check_argument('num', format('is %s; it may be 1 to 10000', coalesce(p_num::text, 'null')));
    end if;
    if p_queue is null then
        perform postq.check_argument('queue', 'is null; name the queue to consume from');
    end if;
    if postq.queue_fault(p_queue) is not null then
        perform postq.check_argument('queue', postq.queue_fault(p_queue));
    end if;
    if p_tasks = '{}' or array_ndims(p_tasks) > 1 or array_position(p_tasks, null) is not null then
        perform postq.check_argument('tasks', 'is empty, holds a null, or is no list; leave it out to consume all tasks');
    end if;
    if p_tasks is not null then
        -- An odd number of them at the end: LIKE would fail at some handler, sooner or later.
        perform postq.check_argument('tasks', format('holds "%s", which ends with an escape; double its last \', postq.shown(t.pattern)))
        from unnest(p_tasks) as t (pattern) where t.pattern ~ '(^|[^\\])(\\\\)*\\$';
    end if;
    if postq.lease_fault(p_lease) is not null then
        perform postq.check_argument('lease', postq.lease_fault(p_lease));
    end if;
    if p_delivery is null or p_delivery not in ('at_least_once', 'at_most_once') then
        perform postq.check_argument('delivery', format('is "%s"; it may be at_least_once or at_most_once',
            postq.shown(p_delivery)));
    end if;
end;
$$;
revoke all on function postq.check_consume(int, text, text[], interval, text) from public;
