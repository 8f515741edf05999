-- Forgets a schedule; the jobs it has made go on. False where there was none of that name. Raises PQ005.
create or replace function postq.unschedule(name text) returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, postq, pg_temp
as $$
begin
    perform postq.check_argument('name', case when unschedule.name is null then 'is null; name the schedule' end);
    delete from postq.schedule s where s.name = unschedule.name;
    return found;
end;
$$;
revoke all on function postq.unschedule(text) from public;
