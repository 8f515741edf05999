-- Tells coordinators and consumers that tasks which wait in a queue may be taken now: it was resumed, or
-- one of its running tasks has ended.
create or replace function postq.hint_queue(p_queue text) returns void
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
set jit = off
set enable_seqscan = off
as $$
declare
    v_ready jsonb;
begin
    select jsonb_agg(jsonb_build_array(l.id, r.seq)) into v_ready
    from postq.lane l
    cross join lateral (
        select r.seq from postq.ready r where r.lane = l.id and r.seq > l.floor order by r.seq limit 1
    ) r
    where l.queue = p_queue;
    if v_ready is not null then
        perform postq.hint_ready(v_ready);
    end if;
end;
$$;
revoke all on function postq.hint_queue(text) from public;
