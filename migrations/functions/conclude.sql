-- Ends an attempt in its consumer's own transaction, which may stay open for long. A job of one task
-- is nobody else's, so it ends here as well; of any other job nothing but the task is touched, and
-- what follows waits in the inbox for the commit.
-- Called by ack, nack, release and expire_now. Returns false where no such attempt is open.
create or replace function postq.conclude(
    p_job uuid, p_attempt bigint, p_outcome text, p_reason text, p_errors bytea default null,
    p_result jsonb default null, p_retry_at timestamptz default null, p_is_final boolean default false
) returns boolean
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
set jit = off
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
declare
    v_is_single boolean;
    v_n int;
    v_closed record;
    v_has_ended boolean;
begin
    select o.n, s.task_count = 1 into v_n, v_is_single
    from postq.open_attempt o join postq.job_spec s on s.job = o.job
    where o.job = p_job and o.attempt = p_attempt and o.lease_until is not null;
    if not found then
        return false;
    end if;
    if v_is_single then
        perform 1 from postq.job j where j.id = p_job for update;
    end if;
    perform 1 from postq.open_attempt o where o.job = p_job and o.n = v_n and o.attempt = p_attempt for update;
    if not found then
        return false;
    end if;
    select * into v_closed from postq.record(
        array[p_attempt], '{}', array[p_job], array[v_n], array[p_outcome], '{}', '{}', array[p_reason],
        '{}', array[p_errors], '{}', '{}', '{}', '{}', '{}', array[p_is_final], array[p_result], array[p_retry_at]);
    if v_closed.o_next[1] = 'ready' then
        perform postq.make_ready(array[p_job], array[v_n], array[null::uuid]);
    end if;
    v_has_ended := v_closed.o_next[1] in ('succeeded', 'failed', 'cancelled');
    if v_is_single then
        perform postq.advance(array[p_job], case when v_has_ended then array[p_job] else '{}' end,
                              case when v_has_ended then array[v_n] else '{}' end);
    else
        insert into postq.inbox (job, kind, n)
        values (p_job, case when v_has_ended then 'settle' else 'note' end, v_n);
        perform postq.hint('inbox');
    end if;
    if v_closed.o_due is not null then
        perform postq.hint('due');
    end if;
    if exists (select from postq.task t where t.job = p_job and t.n = v_n and t.has_key) then
        perform postq.hint('parked');
    end if;
    return true;
end;
$$;
revoke all on function postq.conclude(uuid, bigint, text, text, bytea, jsonb, timestamptz, boolean) from public;
