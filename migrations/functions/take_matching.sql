-- Takes up to p_limit ready and due tasks of jobs whose attributes p_filter holds for, from lanes of one
-- priority, in the order in which they became available. Looks at no more than the first 1000 of each
-- lane and of what is due in it: what stands further behind has to wait until these are gone. Called by
-- consume.
create or replace function postq.take_matching(
    p_lane bigint[], p_floor bigint[], p_due_floor timestamptz[], p_now timestamptz, p_limit int, p_filter jsonpath,
    out o_job uuid[], out o_n int[]
)
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
as $$
declare
    c_window constant int := 1000;
    v_lane bigint[];
    v_seq bigint[];
    v_run_at timestamptz[];
    v_job uuid[];
    v_n int[];
    v_held record;
begin
    select array_agg(d.lane), array_agg(d.run_at), array_agg(d.job), array_agg(d.n)
    into v_lane, v_run_at, v_job, v_n
    from (select s.lane, s.run_at, s.job, s.n
          from unnest(p_lane, p_due_floor) as l (lane, floor)
          cross join lateral (
              select s.job, s.n, s.run_at from postq.scheduled s
              where s.lane = l.lane and s.run_at > l.floor and s.run_at <= p_now order by s.run_at limit c_window) x
          join postq.job_spec js on js.job = x.job and js.attributes @@ p_filter
          -- Those that want a slot of a key go the usual way.
          join postq.task t on t.job = x.job and t.n = x.n and not t.has_key
          join postq.scheduled s on s.run_at = x.run_at and s.job = x.job and s.n = x.n
          order by s.run_at limit p_limit for update of s skip locked) d;
    select * into v_held from postq.hold_tasks(v_job, v_n, '{}', v_run_at);
    delete from postq.scheduled s
    using unnest(v_run_at, v_job, v_n) with ordinality as x (run_at, job, n, ord)
    where s.run_at = x.run_at and s.job = x.job and s.n = x.n and x.ord = any (v_held.o_ord || v_held.o_gone);
    o_job := array(select v_job[i] from unnest(v_held.o_ord) as i);
    o_n := array(select v_n[i] from unnest(v_held.o_ord) as i);

    select array_agg(d.lane), array_agg(d.seq), array_agg(d.job), array_agg(d.n)
    into v_lane, v_seq, v_job, v_n
    from (select r.lane, r.seq, r.job, r.n
          from unnest(p_lane, p_floor) as l (lane, floor)
          cross join lateral (
              select r.seq, r.job from postq.ready r
              where r.lane = l.lane and r.seq > l.floor order by r.seq limit c_window) x
          join postq.job_spec js on js.job = x.job and js.attributes @@ p_filter
          join postq.ready r on r.lane = l.lane and r.seq = x.seq
          order by r.since, r.seq limit p_limit - cardinality(o_n) for update of r skip locked) d;
    select * into v_held from postq.hold_tasks(v_job, v_n, v_seq, '{}');
    delete from postq.ready r using unnest(v_lane, v_seq) with ordinality as x (lane, seq, ord)
    where r.lane = x.lane and r.seq = x.seq and x.ord = any (v_held.o_ord || v_held.o_gone);
    o_job := o_job || array(select v_job[i] from unnest(v_held.o_ord) as i);
    o_n := o_n || array(select v_n[i] from unnest(v_held.o_ord) as i);
end;
$$;
revoke all on function postq.take_matching(
    bigint[], bigint[], timestamptz[], timestamptz, int, jsonpath, out uuid[], out int[]) from public;
