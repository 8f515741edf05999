-- Applies one row of the inbox. o_is_done is false where somebody has its job at hand.
create or replace function postq.apply_request(
    p_job uuid, p_kind text, p_n int, p_reason text,
    out o_is_done boolean, out o_ready jsonb, out o_ended uuid[]
)
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
set jit = off
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
declare
    v_settled record;
begin
    o_ready := '[]';
    o_ended := '{}';
    if p_kind = 'cancel' then
        select c.o_is_done, c.o_ended into o_is_done, o_ended from postq.apply_cancel(p_job, p_reason) c;
        return;
    end if;
    if p_kind = 'after' then
        select a.* into o_is_done, o_ready, o_ended from postq.apply_after(p_job) a;
        return;
    end if;
    perform 1 from postq.job j where j.id = p_job for update skip locked;
    o_is_done := found or not exists (select from postq.job j where j.id = p_job);
    if not found then
        return;
    end if;
    update postq.job j set state = 'running', started_at = t.started_at
    from postq.task t
    where j.id = p_job and j.state in ('scheduled', 'queued') and t.job = p_job and t.n = p_n
      and t.started_at is not null;
    if found then
        perform postq.limit_run(array[p_job]);
    end if;
    -- Where a consumer has it in an open transaction, that will make a note of its own.
    update postq.task t set revision = postq.next_revision(p_job)
    where t.ctid = any (array(select t.ctid from postq.task t
                              where t.job = p_job and t.n = p_n for update skip locked));
    if p_kind = 'note' then
        o_ended := postq.advance(array[p_job], '{}', '{}');
        return;
    end if;
    select * into v_settled from postq.settle(array[p_job], array[p_n], array[null::uuid]);
    o_ready := v_settled.o_ready;
    o_ended := postq.advance(array[p_job], v_settled.o_ended_job, v_settled.o_ended_n);
end;
$$;
revoke all on function postq.apply_request(uuid, text, int, text) from public;
