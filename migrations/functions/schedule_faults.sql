-- What is wrong with a schedule, as far as it shows without a calendar: what a cron expression means is
-- looked at by a coordinator, which notes its error in the schedule. Null where nothing is.
-- Returns {"field", "message"}.
create or replace function postq.schedule_faults(
    p_name text, p_cron text, p_every interval, p_time_zone text, p_overlap text, p_catch_up text,
    p_catch_up_limit int
) returns table (field text, message text)
language plpgsql stable
set search_path = pg_catalog, postq, pg_temp
as $$
declare
    c_name constant int := 255;
    c_cron constant text := '^\s*(@[a-z]+|(\S+\s+){4,5}\S+)\s*$';
    c_signs constant text := '^[0-9A-Za-z*/,#?@\s-]+$';
begin
    return query
    select r.field, r.message from (values
        ('name', case when coalesce(p_name, '') = '' then 'is empty; name the schedule'
            else postq.name_fault('schedule', p_name, c_name) end),
        ('cron', case when (p_cron is null) = (p_every is null) then
            'and every say when it fires; set one of them' end),
        ('cron', case when p_cron !~ c_cron or p_cron !~ c_signs then format(
            '%s is no cron expression; write 5 fields (minute hour day month weekday), or 6 with seconds first',
            quote_literal(p_cron)) end),
        ('every', case when extract(epoch from p_every) < 1 then 'is shorter than a second'
            when extract(epoch from p_every) > 316224000 then 'is longer than 10 years' end),
        ('time_zone', case when not postq.is_time_zone(p_time_zone) then
            format('%s is no time zone; write a name as Europe/Berlin', quote_nullable(p_time_zone)) end),
        ('overlap', case when coalesce(p_overlap, '') not in ('allow', 'skip', 'queue') then
            format('is %s; write allow, skip or queue', quote_nullable(p_overlap)) end),
        ('catch_up', case when coalesce(p_catch_up, '') not in ('none', 'last', 'all') then
            format('is %s; write none, last or all', quote_nullable(p_catch_up)) end),
        ('catch_up_limit', case when coalesce(p_catch_up_limit, 0) not between 1 and 1000 then
            format('is %s; write 1 to 1000', coalesce(p_catch_up_limit::text, 'null')) end)
    ) as r (field, message)
    where r.message is not null;
end;
$$;
revoke all on function postq.schedule_faults(text, text, interval, text, text, text, int) from public;
