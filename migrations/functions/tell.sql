-- Notifies a channel of what happened to those of the jobs that ask for it (notify): a JSON list of
-- ids, at most 190 in one notification, which takes less than 8000 bytes. Nothing while nobody
-- reads what was notified before.
-- Channels: postq_queued, postq_picked (first start), postq_completed.
create or replace function postq.tell(p_channel text, p_job uuid[]) returns void
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
set jit = off
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
declare
    c_page constant int := 190;
    v_job uuid[];
begin
    select array_agg(s.job) into v_job from postq.job_spec s where s.job = any (p_job) and s.notify;
    if v_job is null or pg_notification_queue_usage() > 0.5 then
        return;
    end if;
    for v_first in 1 .. cardinality(v_job) by c_page loop
        perform pg_notify(p_channel, to_jsonb(v_job[v_first : v_first + c_page - 1])::text);
    end loop;
end;
$$;
revoke all on function postq.tell(text, uuid[]) from public;
