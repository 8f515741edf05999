-- Gives what runs without a slot in a queue with a limit a slot that knows its attempt, so that it counts: it
-- began when nobody saw the limit. Nothing of the attempts is written, so that nobody's end waits for
-- this. Where somebody is just making slots of the queue, it is left to the next sweep. Called by set_queue
-- and sweep_limits.
create or replace function postq.count_running(p_queue text) returns void
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
set jit = off
set enable_seqscan = off
as $$
declare
    v_pool text := 'queue:' || p_queue;
begin
    if not pg_try_advisory_xact_lock(hashtextextended('postq.slot ' || v_pool, 0)) then
        return;
    end if;
    insert into postq.slot (pool, n, is_taken, job, attempt)
    select v_pool, coalesce((select max(s.n) from postq.slot s where s.pool = v_pool), 0)
                   + row_number() over (order by o.attempt), true, o.job, o.attempt
    from postq.open_attempt o join postq.job j on j.id = o.job
    where j.queue = p_queue and o.slot is null
      and not exists (select from postq.slot s where s.attempt = o.attempt)
    on conflict do nothing;
end;
$$;
revoke all on function postq.count_running(text) from public;
