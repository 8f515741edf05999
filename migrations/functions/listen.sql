-- Registers this connection as waiting for work in a queue (`dlq@NAME`: for its dead letters), until
-- it is woken or consumes something, and returns the channel it is to LISTEN on: the same one for
-- all queues, with the queue as the payload. Register, LISTEN, consume once more, then wait: but not
-- for ever, because what looked for sleepers before and commits later wakes nobody.
create or replace function postq.listen(queue text) returns text
language plpgsql volatile security definer
set search_path = pg_catalog, postq, pg_temp
as $$
#variable_conflict use_column
begin
    perform postq.check_argument('queue', coalesce(postq.queue_fault(listen.queue),
        case when listen.queue is null then 'is null; name the queue to listen on' end));
    perform postq.stay_awake(listen.queue);
    insert into postq.sleeper (queue, backend, backend_start, since)
    select listen.queue, a.pid, a.backend_start, postq.now()
    from pg_stat_get_activity(pg_backend_pid()) a;
    return postq.channel_of(pg_backend_pid());
end;
$$;
revoke all on function postq.listen(text) from public;
