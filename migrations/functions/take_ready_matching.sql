-- Takes up to p_limit ready tasks of jobs whose attributes p_filter holds for, among the p_window ones
-- behind p_after in each lane; null: none of that lane. Called by take_matching.
create or replace function postq.take_ready_matching(
    p_lane bigint[], p_after bigint[], p_window int, p_limit int, p_filter jsonpath, out o_job uuid[], out o_n int[]
)
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
as $$
declare
    v_lane bigint[];
    v_seq bigint[];
    v_job uuid[];
    v_n int[];
    v_held record;
begin
    select array_agg(d.lane), array_agg(d.seq), array_agg(d.job), array_agg(d.n)
    into v_lane, v_seq, v_job, v_n
    from (select r.lane, r.seq, r.job, r.n
          from unnest(p_lane, p_after) as l (lane, after)
          cross join lateral (
              select r.seq, r.job from postq.ready r
              where r.lane = l.lane and r.seq > l.after order by r.seq limit p_window) x
          join postq.job_spec js on js.job = x.job and js.attributes @@ p_filter
          join postq.ready r on r.lane = l.lane and r.seq = x.seq
          order by r.since, r.seq limit p_limit for update of r skip locked) d;
    select * into v_held from postq.hold_tasks(v_job, v_n, v_seq, '{}');
    delete from postq.ready r using unnest(v_lane, v_seq) with ordinality as x (lane, seq, ord)
    where r.lane = x.lane and r.seq = x.seq and x.ord = any (v_held.o_ord || v_held.o_gone);
    o_job := array(select v_job[i] from unnest(v_held.o_ord) as i);
    o_n := array(select v_n[i] from unnest(v_held.o_ord) as i);
end;
$$;
revoke all on function postq.take_ready_matching(bigint[], bigint[], int, int, jsonpath) from public;
