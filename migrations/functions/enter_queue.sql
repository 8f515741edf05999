-- Counts a new job in its queue's bound. Where the queue holds as many jobs as it may, waits for room up
-- to p_wait_ms, and then refuses it (PQ010). Exact, because whoever counts holds the queue's row of
-- bound until the end of its transaction; but while it waits it holds nothing. The jobs that have ended
-- leave without that lock: they are noted in departure.
create or replace function postq.enter_queue(p_queue text, p_max int, p_wait_ms bigint) returns void
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
declare
    c_look constant double precision := 0.02;
    v_until timestamptz := clock_timestamp() + make_interval(secs => coalesce(p_wait_ms, 0) / 1000.0);
    v_left bigint;
begin
    loop
        if postq.has_room(p_queue, p_max) then
            begin
                perform 1 from postq.bound b where b.queue = p_queue for update;
                with gone as (
                    delete from postq.departure d
                    where d.ctid = any (array(select d.ctid from postq.departure d where d.queue = p_queue for update skip locked))
                    returning 1
                )
                select count(*) into v_left from gone;
                update postq.bound b set jobs = greatest(b.jobs - v_left, 0) + 1 where b.queue = p_queue
                returning b.jobs into v_left;
                -- No row: it is not bounded any more.
                if v_left is null or v_left <= p_max then
                    return;
                end if;
                -- Gives back the lock, for the time of the wait.
                raise exception using errcode = 'PQ010';
            exception when sqlstate 'PQ010' then
                null;
            end;
        end if;
        if clock_timestamp() >= v_until then
            raise exception using errcode = 'PQ010',
                message = format('queue "%s" holds %s jobs, which is its bound', postq.shown(p_queue), p_max),
                hint = 'Submit it later, or say how long it is to wait for room.';
        end if;
        perform pg_sleep(c_look);
    end loop;
end;
$$;
revoke all on function postq.enter_queue(text, int, bigint) from public;
