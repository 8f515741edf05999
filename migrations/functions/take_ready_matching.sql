-- Takes up to p_limit ready tasks of jobs whose attributes p_filter holds for, among the p_window ones
-- behind p_after in each lane; null: none of that lane. Called by take_matching.
create or replace function postq.take_ready_matching(
    p_lane bigint[], p_after bigint[], p_window int, p_limit int, p_filter jsonpath, out o_job uuid[], out o_n int[]
)
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
as $$
declare
    v_row tid[];
    v_seq bigint[];
    v_job uuid[];
    v_n int[];
    v_held record;
begin
    select array_agg(d.ctid), array_agg(d.seq), array_agg(d.job), array_agg(d.n)
    into v_row, v_seq, v_job, v_n
    from (select r.ctid, r.seq, r.job, r.n from postq.ready r
          where r.ctid = any (array(
              select x.ctid
              from unnest(p_lane, p_after) as l (lane, after)
              cross join lateral (
                  select r.ctid, r.job from postq.ready r
                  where r.lane = l.lane and r.seq > l.after order by r.seq limit p_window) x
              where (select js.attributes @@ p_filter from postq.job_spec js where js.job = x.job)))
          order by r.since, r.seq limit p_limit for update skip locked) d;
    select * into v_held from postq.hold_tasks(v_job, v_n, v_seq, '{}');
    delete from postq.ready r where r.ctid = any (array(select v_row[i] from unnest(v_held.o_ord || v_held.o_gone) as i));
    o_job := array(select v_job[i] from unnest(v_held.o_ord) as i);
    o_n := array(select v_n[i] from unnest(v_held.o_ord) as i);
end;
$$;
revoke all on function postq.take_ready_matching(bigint[], bigint[], int, int, jsonpath) from public;
