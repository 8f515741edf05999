-- Applies what users' transactions asked for or left to do, oldest first, looking at p_limit rows
-- behind p_after at most; those that another caller has at hand are left to it. A row stays while a
-- part of its job is in a user's open transaction: nobody waits for that, but a tenth of a second in
-- all, which is enough where it was only a coordinator's.
-- Returns {"applied": rows looked at, "last": the last of them, "ready": [[lane, seq]], "ended": [job]}.
create or replace function postq.apply_inbox(p_after bigint, p_limit int) returns jsonb
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
set jit = off
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
declare
    v_one record;
    v_applied record;
    v_looked int := 0;
    v_last bigint := p_after;
    v_is_patient boolean := true;
    v_ready jsonb := '[]';
    v_ended uuid[] := '{}';
begin
    for v_one in
        select i.seq, i.job, i.kind, i.n, i.reason from postq.inbox i where i.seq > p_after
        order by i.seq limit p_limit for update skip locked
    loop
        v_looked := v_looked + 1;
        v_last := v_one.seq;
        select * into v_applied from postq.apply_request(v_one.job, v_one.kind, v_one.n, v_one.reason);
        v_ended := v_ended || v_applied.o_ended;
        if not v_applied.o_is_done and v_is_patient then
            v_is_patient := postq.await_job(v_one.job);
            if v_is_patient then
                select * into v_applied from postq.apply_request(v_one.job, v_one.kind, v_one.n, v_one.reason);
                v_ended := v_ended || v_applied.o_ended;
            end if;
        end if;
        v_ready := v_ready || v_applied.o_ready;
        if v_applied.o_is_done then
            delete from postq.inbox i where i.seq = v_one.seq;
        end if;
    end loop;
    v_ready := v_ready || postq.grant_vacant();
    return jsonb_build_object('applied', v_looked, 'last', v_last, 'ready', v_ready, 'ended', to_jsonb(v_ended));
end;
$$;
revoke all on function postq.apply_inbox(bigint, int) from public;
