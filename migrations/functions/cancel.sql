-- Asks for the end of a job, from anybody's transaction: it takes effect after the commit, when a
-- coordinator applies the inbox. Unknown and ended jobs are left alone. Raises PQ005.
create or replace function postq.cancel(p_id uuid, p_reason text default null) returns void
language plpgsql volatile security definer
set search_path = pg_catalog, postq, pg_temp
as $$
begin
    perform postq.check_argument('p_id', case when p_id is null then 'is null; name the job' end);
    insert into postq.inbox (job, kind, reason) values (p_id, 'cancel', p_reason);
    perform postq.hint('inbox');
end;
$$;
revoke all on function postq.cancel(uuid, text) from public;
