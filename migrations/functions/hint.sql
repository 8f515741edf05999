-- Tells sleeping coordinators that something is there to be done; does nothing while none sleeps.
-- A topic is told once per transaction: NOTIFY serialises commits, so it is never sent per row.
-- Topics: "ready:LANE:SEQ", "due", "submission", "inbox", "cancel",
-- "deadline", "schedule", "delivery".
create or replace function postq.hint(p_topic text, p_detail text default '') returns void
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
as $$
declare
    v_told text := coalesce(current_setting('postq.told', true), '');
begin
    -- The setting outlives its transaction as an empty or stale text in some poolers, so it names
    -- the transaction it was made in.
    if v_told not like pg_current_xact_id()::text || ' %' then
        v_told := pg_current_xact_id()::text || ' ';
    end if;
    if v_told like '% ' || p_topic || ' %' then
        return;
    end if;
    if not exists (select from postq.coordinator c where c.is_sleeping)
       or pg_notification_queue_usage() > 0.5 then
        return;
    end if;
    perform set_config('postq.told', v_told || ' ' || p_topic || ' ', true);
    perform pg_notify('postq_hint', p_topic || p_detail);
end;
$$;
revoke all on function postq.hint(text, text) from public;
