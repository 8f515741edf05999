-- An attempt that has ended leaves its slot of its queue to the next one, whoever ended it.
create or replace function postq.leave_slot() returns trigger
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
set enable_seqscan = off
as $$
declare
    v_queue text;
begin
    select j.queue into v_queue from postq.job j where j.id = old.job;
    update postq.slot s set is_taken = false where s.pool = 'queue:' || v_queue and s.n = old.slot;
    perform postq.hint_queue(v_queue);
    return null;
end;
$$;
revoke all on function postq.leave_slot() from public;
create or replace trigger leave_slot after delete on postq.open_attempt
    for each row when (old.slot is not null) execute function postq.leave_slot();
