-- Takes up to num tasks of a queue for the caller to work on: ready ones, due ones, and those of
-- consumers whose lease is over; greater priorities first, in the order in which they became available
-- within one. `dlq@NAME` gives the dead letters of a queue. tasks chooses handlers by LIKE.
--
-- Each task is the caller's until it is acked, nacked or released by its (id, attempt), or until its
-- lease ends: lease, or else its timeout, or else 60 s. With delivery `at_most_once` it is not tried
-- again, however it ends.
--
-- Of a queue that is paused nothing is taken, and no more than its limit on running tasks and its rate allow.
-- With a filter (see filter_path) only jobs whose attributes it holds for; take_matching says how far it
-- looks.
--
-- Takes what nobody else has at hand, waits for nobody, and writes to nothing but what it returns;
-- cancels of its queue's one-task jobs are applied before.
create or replace function postq.consume(
    num int default 1, queue text default 'default', tasks text[] default null,
    lease interval default null, delivery text default 'at_least_once', filter text default null
) returns table (
    id uuid, attempt bigint, task text, arguments jsonb, attributes jsonb, priority int,
    attempts int, max_attempts int, created_at timestamptz, lease_until timestamptz
)
language plpgsql volatile security definer
set search_path = pg_catalog, postq, pg_temp
set jit = off
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
#variable_conflict use_column
declare
    v_now timestamptz;
    v_level record;
    v_taken record;
    v_job uuid[] := '{}';
    v_n int[] := '{}';
    v_queue record;
    v_room record;
    v_num int;
    v_many int;
    -- So many of those that are due it may let wait for a slot of their key instead, more or less.
    v_park int := 1000;
    v_aging double precision;
    v_path jsonpath := postq.filter_path(consume.filter);
begin
    -- The empty name is another one of the default queue, as in a job document.
    consume.queue := case when consume.queue = '' then 'default' else consume.queue end;
    perform postq.check_consume(num, consume.queue, consume.tasks, consume.lease, consume.delivery);
    if consume.queue like 'dlq@%' then
        return query select * from postq.consume_dead(num, consume.queue, consume.tasks, consume.lease, v_path);
        return;
    end if;
    -- Before the time is read and before the first nextval: the floors rest on it.
    perform pg_current_xact_id();
    v_now := postq.lease_start();
    perform postq.apply_cancels_of(consume.queue);
    select q.aging, q.is_paused or q.max_running is not null or q.rate_limit is not null as is_limited into v_queue
    from postq.queue q where q.name = consume.queue;
    v_aging := coalesce(v_queue.aging, 0);
    v_num := num;
    if v_queue.is_limited then
        v_room := postq.consume_room(consume.queue, num, v_now);
        v_num := least(num, v_room.o_room);
    end if;
    loop
        -- Where tasks gain priority while they wait, the next one may be of any lane.
        v_many := case when v_aging > 0 then least(cardinality(v_n) + 1, v_num) else v_num end;
        for v_level in
            select l.priority, array_agg(l.id) as lane, array_agg(l.floor) as floor,
                   array_agg(l.due_floor) as due_floor, array_agg(l.lease_floor) as lease_floor
            from postq.lane l
            -- Who asks for resources or labels asks for an agent.
            where l.queue = consume.queue and l.executor = 'handler' and l.needs = '{}'
              and (consume.tasks is null or l.handler like any (consume.tasks))
            group by l.priority
            -- Asked only where it counts: a function in SQL is planned anew by each statement.
            order by l.priority + case when v_aging > 0 then v_aging * postq.lanes_wait(
                array_agg(l.id), array_agg(l.floor), array_agg(l.due_floor), v_now) else 0 end desc
        loop
            exit when cardinality(v_n) >= v_many;
            if v_path is not null then
                v_taken := postq.take_matching(v_level.lane, v_level.floor, v_level.due_floor,
                    v_level.lease_floor, v_now, v_many - cardinality(v_n), v_park, v_path);
                v_park := v_park - v_taken.o_parked;
                v_job := v_job || v_taken.o_job;
                v_n := v_n || v_taken.o_n;
                continue;
            end if;
            v_taken := postq.take_level(v_level.lane, v_level.floor, v_level.due_floor,
                v_level.lease_floor, v_now, v_many - cardinality(v_n), v_park);
            v_park := v_park - v_taken.o_parked;
            v_job := v_job || v_taken.o_job;
            v_n := v_n || v_taken.o_n;
            if cardinality(v_n) < v_many and exists (select from postq.parked k where k.lane = any (v_level.lane)) then
                v_taken := postq.take_parked(v_level.lane, v_many - cardinality(v_n));
                v_job := v_job || v_taken.o_job;
                v_n := v_n || v_taken.o_n;
            end if;
        end loop;
        exit when v_many >= v_num or cardinality(v_n) < v_many;
    end loop;
    if v_park <= 0 and cardinality(v_n) < v_num then
        -- What stands behind them is for the next call, and nobody else tells of it.
        perform postq.wake(consume.queue, 1);
    end if;
    if v_n = '{}' then
        return;
    end if;
    perform postq.stay_awake(consume.queue);
    return query select * from postq.start_leased(v_job, v_n, consume.lease, consume.delivery = 'at_most_once');
    if v_queue.is_limited then
        perform postq.take_slots(v_room.o_pool, v_room.o_slot, v_job, v_n);
    end if;
end;
$$;
revoke all on function postq.consume(int, text, text[], interval, text, text) from public;
