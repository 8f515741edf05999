-- Gives what runs in a queue that has got a limit its slots, so that it counts. What somebody has at hand
-- just now is left out. Called by set_queue.
create or replace function postq.count_running(p_queue text) returns void
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
as $$
declare
    v_pool text := 'queue:' || p_queue;
    v_last int;
begin
    select coalesce(max(s.n), 0) into v_last from postq.slot s where s.pool = v_pool;
    -- Locked once and for all: a row that was updated is not locked again when a plan looks twice.
    with held as materialized (
        select o.job, o.n from postq.open_attempt o join postq.job j on j.id = o.job
        where j.queue = p_queue and o.slot is null order by o.job, o.n for update of o skip locked
    ), numbered as materialized (
        select h.job, h.n, row_number() over (order by h.job, h.n)::int as k from held h
    ), given as (
        update postq.open_attempt o set slot = v_last + x.k
        from numbered x where o.job = x.job and o.n = x.n
        returning o.slot
    )
    insert into postq.slot (pool, n, is_taken) select v_pool, g.slot, true from given g;
end;
$$;
revoke all on function postq.count_running(text) from public;
