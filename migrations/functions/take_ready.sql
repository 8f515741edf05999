-- Takes up to p_limit ready tasks from lanes of one priority, in the order in which they became ready,
-- from behind the lanes' floors. Locks nothing but what it takes; of rows whose task is not ready any
-- more it clears the lane. Called by consume.
create or replace function postq.take_ready(
    p_lane bigint[], p_floor bigint[], p_limit int, out o_job uuid[], out o_n int[]
)
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
as $$
declare
    -- Of several lanes so many rows are merged; what others have locked may fill this, so it grows.
    v_window int := p_limit + 8;
    v_row tid[];
    v_seq bigint[];
    v_job uuid[];
    v_n int[];
    v_busy bigint[] := '{}';
    v_held record;
    v_is_all boolean;
begin
    o_job := '{}';
    o_n := '{}';
    loop
        if cardinality(p_lane) = 1 then
            select array_agg(r.ctid), array_agg(r.seq), array_agg(r.job), array_agg(r.n)
            into v_row, v_seq, v_job, v_n
            from (select r.ctid, r.seq, r.job, r.n from postq.ready r
                  where r.lane = p_lane[1] and r.seq > p_floor[1] and r.seq <> all (v_busy)
                  order by r.seq limit p_limit - cardinality(o_n) for update skip locked) r;
            v_is_all := true;
        else
            with near as materialized (
                select r.ctid as row, r.place
                from unnest(p_lane, p_floor) as l (lane, floor)
                cross join lateral (
                    select r.ctid, row_number() over (order by r.seq) as place
                    from postq.ready r where r.lane = l.lane and r.seq > l.floor
                    order by r.seq limit v_window
                ) r
            )
            select array_agg(r.ctid), array_agg(r.seq), array_agg(r.job), array_agg(r.n),
                   not exists (select from near x where x.place = v_window)
            into v_row, v_seq, v_job, v_n, v_is_all
            from (select r.ctid, r.seq, r.job, r.n from postq.ready r
                  where r.ctid = any (array(select x.row from near x)) and r.seq <> all (v_busy)
                  order by r.since, r.seq limit p_limit - cardinality(o_n) for update skip locked) r;
            v_window := v_window * 4;
        end if;
        if v_seq is not null then
            v_held := postq.hold_tasks(v_job, v_n, v_seq, '{}');
            delete from postq.ready r where r.ctid = any (array(select v_row[i] from unnest(v_held.o_ord || v_held.o_gone) as i));
            o_job := o_job || array(select v_job[i] from unnest(v_held.o_ord) as i);
            o_n := o_n || array(select v_n[i] from unnest(v_held.o_ord) as i);
            v_busy := v_busy || v_seq;
        end if;
        exit when cardinality(o_n) >= p_limit or v_is_all and v_seq is null;
    end loop;
end;
$$;
revoke all on function postq.take_ready(bigint[], bigint[], int) from public;
