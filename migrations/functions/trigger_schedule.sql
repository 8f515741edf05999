-- Makes the job of a schedule now, beside its times; also where it rests, and whatever its overlap.
-- Returns the job's id. Raises PQ003.
create or replace function postq.trigger_schedule(name text) returns uuid
language plpgsql volatile security definer
set search_path = pg_catalog, postq, pg_temp
as $$
declare
    v_job jsonb;
begin
    select s.job into v_job from postq.schedule s where s.name = trigger_schedule.name;
    if not found then
        raise exception using errcode = 'PQ003',
            message = format('there is no schedule %s', quote_ident(trigger_schedule.name));
    end if;
    return postq.submit(v_job);
end;
$$;
revoke all on function postq.trigger_schedule(text) from public;
