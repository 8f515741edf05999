-- Takes ready tasks for agents with free slots and makes their attempts. Called by the dispatcher.
-- Each lane is read from behind its cursor (p_after), so that dead rows at its head, which a held
-- horizon keeps from being vacuumed, are not walked again and again. Every element of
-- p_slot_lane/p_slot_session is one free slot, offered to one lane; a slot whose session is not its
-- agent's current one takes nothing. Tasks go first to the agent that they prefer.
-- A task that is no longer ready (cancelled meanwhile) is dropped from its lane here.
-- Of a queue that is paused nothing is taken; where it has a limit on running tasks or a rate, as many as
-- there are slots that are free.
-- A claim writes a job only at its first start and raises no revision.
create or replace function postq.claim(
    p_lane bigint[], p_after bigint[], p_slot_lane bigint[], p_slot_session bigint[]
) returns table (attempt bigint, session bigint, job uuid, n int, lane bigint, seq bigint)
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
set jit = off
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
#variable_conflict use_column
declare
    v_lane bigint[];
    v_seq bigint[];
    v_job uuid[];
    v_n int[];
    v_prefer uuid[];
    v_session bigint[];
    v_agent uuid[];
    v_slot_lane bigint[];
    v_slot_session bigint[];
    v_slot_agent uuid[];
    v_room record;
    v_begun uuid[];
    v_now timestamptz;
begin
    v_room := postq.claim_room(p_lane, p_after, p_slot_lane);
    select array_agg(s.lane order by s.ord), array_agg(s.session order by s.ord), array_agg(a.id order by s.ord)
    into v_slot_lane, v_slot_session, v_slot_agent
    from unnest(p_slot_lane, p_slot_session) with ordinality as s (lane, session, ord)
    join postq.agent a on a.session = s.session and a.coordinator is not null and a.drain_requested_at is null;

    with want as materialized (
        select l.lane, l.after,
               least((select count(*) from unnest(v_slot_lane) as s (lane) where s.lane = l.lane), r.room) as wanted
        from unnest(p_lane, p_after) as l (lane, after)
        left join unnest(v_room.o_lane, v_room.o_room) as r (lane, room) on r.lane = l.lane
    ), picked as materialized (
        select r.row, r.lane, r.seq, r.job, r.n, r.prefer
        from want w
        cross join lateral (
            select r.ctid as row, r.lane, r.seq, r.job, r.n, r.prefer
            from postq.ready r
            where r.lane = w.lane and r.seq > w.after
            order by r.seq
            limit w.wanted
            for update skip locked
        ) r
    ), gone as (
        delete from postq.ready r where r.ctid = any (array(select p.row from picked p))
    )
    select array_agg(p.lane order by p.lane, p.seq), array_agg(p.seq order by p.lane, p.seq),
           array_agg(p.job order by p.lane, p.seq), array_agg(p.n order by p.lane, p.seq),
           array_agg(p.prefer order by p.lane, p.seq)
    into v_lane, v_seq, v_job, v_n, v_prefer
    from picked p;
    if v_job is null then
        return;
    end if;
    -- By job and number from here on: the order of all locks.
    select array_agg(v_lane[x.task] order by v_job[x.task], v_n[x.task]),
           array_agg(v_seq[x.task] order by v_job[x.task], v_n[x.task]),
           array_agg(v_job[x.task] order by v_job[x.task], v_n[x.task]),
           array_agg(v_n[x.task] order by v_job[x.task], v_n[x.task]),
           array_agg(v_slot_session[x.slot] order by v_job[x.task], v_n[x.task]),
           array_agg(v_slot_agent[x.slot] order by v_job[x.task], v_n[x.task])
    into v_lane, v_seq, v_job, v_n, v_session, v_agent
    from postq.pair_slots(v_lane, v_prefer, v_slot_lane, v_slot_agent) x;
    -- What was picked may have become ready after this statement began: it starts now, not then.
    v_now := postq.now() + (clock_timestamp() - statement_timestamp());

    with begun as (
        update postq.job j set state = 'running', started_at = v_now
        from (select q.id from postq.job q
              where q.id = any (v_job) and q.state = 'queued' order by q.id for update) q
        where j.id = q.id and j.state = 'queued'
        returning j.id
    )
    select array_agg(b.id) into v_begun from begun b;
    if v_begun is not null then
        perform postq.limit_run(v_begun);
    end if;

    return query
    with started as (
        update postq.task t
        set state = 'running', attempt = nextval('postq.attempt_id'), seq = null,
            started_at = coalesce(t.started_at, v_now)
        from unnest(v_lane, v_seq, v_job, v_n, v_session, v_agent) as x (lane, seq, job, n, session, agent)
        where t.job = x.job and t.n = x.n and t.state = 'ready' and t.seq = x.seq
        returning t.attempt, x.session, x.agent, t.job, t.n, x.lane, x.seq
    ), held as (
        select s.attempt, h.queue, h.pool, h.slot
        from (select s.attempt, l.queue, row_number() over (partition by l.queue order by s.seq) as k
              from started s join postq.lane l on l.id = s.lane where l.queue = any (v_room.o_queue)) s
        join (select h.queue, h.pool, h.slot, row_number() over (partition by h.pool order by h.slot) as k
              from unnest(v_room.o_queue, v_room.o_pool, v_room.o_slot) as h (queue, pool, slot)) h
            on h.queue = s.queue and h.k = s.k
    ), taken as (
        update postq.slot p
        set is_taken = p.pool = 'queue:' || h.queue,
            used_at = case when p.pool = 'starts:' || h.queue then v_now else p.used_at end
        from held h where p.pool = h.pool and p.n = h.slot
    ), opened as (
        insert into postq.open_attempt (job, n, attempt, agent, session, started_at, is_final, slot)
        select s.job, s.n, s.attempt, s.agent, s.session, v_now, p.at_most_once, h.slot
        from started s join postq.task_spec p on p.job = s.job and p.n = s.n
        left join held h on h.attempt = s.attempt and h.pool = 'queue:' || h.queue
    )
    select s.attempt, s.session, s.job, s.n, s.lane, s.seq from started s;
end;
$$;
revoke all on function postq.claim(bigint[], bigint[], bigint[], bigint[]) from public;
