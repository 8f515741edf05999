-- Resumes a queue that was paused; any other is left as it is. Raises PQ005.
create or replace function postq.resume(queue text) returns void
language plpgsql volatile security definer
set search_path = pg_catalog, postq, pg_temp
as $$
declare
    v_settings jsonb := postq.check_queue(resume.queue, '{"paused": false}');
begin
    if exists (select from postq.queue q where q.name = resume.queue) then
        perform postq.set_queue(resume.queue, v_settings);
    end if;
end;
$$;
revoke all on function postq.resume(text) from public;
