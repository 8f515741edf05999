-- Takes for a task that is parked or due, which the caller holds, the slots that it wants and that are free: of its
-- concurrency key first, then of its rate. With p_is_start it is about to be started in this transaction.
-- o_is_ready: it has all of them. Else o_pool is what it waits for; o_has_changed: no longer what it
-- waited for before.
create or replace function postq.take_keys(
    p_job uuid, p_n int, p_is_start boolean, out o_is_ready boolean, out o_has_changed boolean, out o_pool text
)
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
set jit = off
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
declare
    v_spec postq.task_spec;
    v_token int;
    v_has_token boolean;
    v_rate int;
begin
    select * into v_spec from postq.task_spec s where s.job = p_job and s.n = p_n;
    select t.token into v_token from postq.task t where t.job = p_job and t.n = p_n;
    v_has_token := v_token is not null;
    o_is_ready := false;
    o_has_changed := false;
    if v_spec.concurrency_key is not null and v_token is null then
        o_pool := 'key:' || v_spec.concurrency_key;
        v_token := (postq.free_slots(o_pool, v_spec.concurrency_limit, 1))[1];
        if v_token is null then
            return;
        end if;
    end if;
    if v_spec.rate_key is not null then
        o_pool := 'rate:' || v_spec.rate_key;
        v_rate := (postq.free_slots(o_pool, v_spec.rate_limit, 1))[1];
        -- Whoever starts it at once keeps no key meanwhile.
        if v_rate is null and (p_is_start or v_has_token or v_token is null) then
            return;
        end if;
    end if;
    o_is_ready := v_spec.rate_key is null or v_rate is not null;
    o_has_changed := true;
    if v_token is not null then
        update postq.slot s set is_taken = true where s.pool = 'key:' || v_spec.concurrency_key and s.n = v_token;
    end if;
    if v_rate is not null then
        update postq.slot s
        set is_taken = not p_is_start,
            free_at = case when p_is_start then postq.now() + make_interval(secs => v_spec.rate_period_ms / 1000.0)
                           else s.free_at end
        where s.pool = o_pool and s.n = v_rate;
    end if;
    update postq.task t
    set token = v_token, rate_token = case when not p_is_start then v_rate end, revision = postq.next_revision(p_job),
        reason = case when not o_is_ready then postq.parked_reason(v_spec, true) end
    where t.job = p_job and t.n = p_n;
end;
$$;
revoke all on function postq.take_keys(uuid, int, boolean) from public;
