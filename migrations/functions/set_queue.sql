-- Writes settings of a queue, which is declared where it was not: those that p_settings (checked, see
-- check_queue) names; null takes the default again. What follows from them is done as well: a bound
-- counts the jobs that are there, a limit the tasks that run, a queue that is resumed is told of. Held
-- open, it keeps nobody but those who set the same queue: it writes rows that nobody else has.
create or replace function postq.set_queue(p_queue text, p_settings jsonb) returns void
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
set enable_seqscan = off
as $$
declare
    c_slots constant int := 1000;
    v_old postq.queue;
    v_new postq.queue;
begin
    insert into postq.queue (name, created_at) values (p_queue, postq.now()) on conflict do nothing;
    select * into v_old from postq.queue q where q.name = p_queue for update;
    update postq.queue q
    set description = case when p_settings ? 'description' then coalesce(p_settings ->> 'description', '') else q.description end,
        is_paused = case when p_settings ? 'paused' then coalesce((p_settings ->> 'paused')::boolean, false) else q.is_paused end,
        max_running = case when p_settings ? 'max_running' then nullif((p_settings ->> 'max_running')::int, 0) else q.max_running end,
        rate_limit = case when p_settings ? 'rate' then (p_settings #>> '{rate,limit}')::int else q.rate_limit end,
        rate_period_ms = case when p_settings ? 'rate' then postq.some_ms(p_settings #>> '{rate,period}') else q.rate_period_ms end,
        max_jobs = case when p_settings ? 'max_jobs' then nullif((p_settings ->> 'max_jobs')::int, 0) else q.max_jobs end,
        retry = case when p_settings ? 'retry' then nullif(p_settings -> 'retry', 'null') else q.retry end,
        timeout_ms = case when p_settings ? 'timeout' then postq.some_ms(p_settings ->> 'timeout') else q.timeout_ms end,
        expires_after_ms = case when p_settings ? 'expires_after' then postq.some_ms(p_settings ->> 'expires_after') else q.expires_after_ms end,
        has_dead_letters = case when p_settings ? 'dead_letters' then coalesce((p_settings ->> 'dead_letters')::boolean, true) else q.has_dead_letters end,
        aging = case when p_settings ? 'aging' then coalesce((p_settings ->> 'aging')::double precision, 0) else q.aging end,
        retain_ms = case when p_settings ? 'retention' then postq.some_ms(p_settings #>> '{retention,age}') else q.retain_ms end,
        retain_jobs = case when p_settings ? 'retention' then nullif((p_settings #>> '{retention,jobs}')::int, 0) else q.retain_jobs end,
        has_notify = case when p_settings ? 'notify' then coalesce((p_settings ->> 'notify')::boolean, false) else q.has_notify end,
        webhook = case when p_settings ? 'webhook' then postq.webhook_of(p_settings -> 'webhook') else q.webhook end
    where q.name = p_queue
    returning * into v_new;
    if v_new.max_jobs is not null and v_old.max_jobs is null then
        perform postq.count_jobs(p_queue, '0');
    end if;
    if v_new.max_running is not null and v_old.max_running is null then
        perform postq.count_running(p_queue);
    end if;
    -- Made now, so that the first consumer, whose transaction may stay open, does not have to.
    if v_new.max_running > coalesce(v_old.max_running, 0) then
        perform postq.make_slots('queue:' || p_queue, v_new.max_running, c_slots);
    end if;
    if v_new.rate_limit > coalesce(v_old.rate_limit, 0) then
        perform postq.make_slots('starts:' || p_queue, v_new.rate_limit, c_slots);
    end if;
    if v_old.is_paused and not v_new.is_paused
       or coalesce(v_new.max_running > v_old.max_running, v_old.max_running is not null)
       or v_old.rate_limit is not null
          and (v_new.rate_limit, v_new.rate_period_ms) is distinct from (v_old.rate_limit, v_old.rate_period_ms) then
        perform postq.hint_queue(p_queue);
    end if;
end;
$$;
revoke all on function postq.set_queue(text, jsonb) from public;
