-- Notes why the tasks of these lanes wait that no agent could run; null: one could. The coordinator works it
-- out (postq_common::waiting). Agents come and go rarely, so a row changes rarely. A lane that somebody has at
-- hand is left to the next pass. Returns how many changed.
create or replace function postq.note_waiting(p_lane bigint[], p_waiting text[]) returns int
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
as $$
declare
    v_turn bigint;
    v_changed int;
begin
    -- Whoever waits here for another coordinator's pass counts behind it, so turns are seen in their order.
    insert into postq.fact (key, value) values ('waiting_turn', '1')
    on conflict (key) do update set value = (fact.value::bigint + 1)::text
    returning value::bigint into v_turn;
    update postq.lane l set waiting = x.waiting, waiting_turn = v_turn
    from unnest(p_lane, p_waiting) as x (lane, waiting)
    where l.id = x.lane and l.waiting is distinct from x.waiting
      and l.ctid = any (array(
          select k.ctid from postq.lane k where k.id = any (p_lane) order by k.id for update skip locked));
    get diagnostics v_changed = row_count;
    return v_changed;
end;
$$;
revoke all on function postq.note_waiting(bigint[], text[]) from public;
