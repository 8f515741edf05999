-- Pauses or resumes a schedule. Called by pause_schedule and resume_schedule.
create or replace function postq.rest_schedule(p_name text, p_is_paused boolean) returns void
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
as $$
begin
    update postq.schedule s
    set is_paused = p_is_paused, version = s.version + 1,
        next_at = null, since = postq.now(), waiting = '{}',
        error = case when s.retry_at is null then s.error end, retry_at = null
    where s.name = p_name and s.is_paused <> p_is_paused;
    if not found and not exists (select from postq.schedule s where s.name = p_name) then
        raise exception using errcode = 'PQ003', message = format('there is no schedule %s', quote_ident(p_name));
    end if;
    perform postq.hint('schedule');
end;
$$;
revoke all on function postq.rest_schedule(text, boolean) from public;
