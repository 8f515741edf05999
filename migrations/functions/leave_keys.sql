-- Whatever ends a task or its attempt, or takes it back from its lane, hands on its slots: that of its
-- concurrency key when it neither runs nor is about to, that of its rate when it has been started (free
-- again a period later) or is not about to be any more.
create or replace function postq.leave_keys() returns trigger
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
set enable_seqscan = off
as $$
declare
    v_spec postq.task_spec;
begin
    select * into v_spec from postq.task_spec s where s.job = new.job and s.n = new.n;
    if old.token is not null and new.state not in ('parked', 'ready', 'running') then
        update postq.slot s set is_taken = false
        where s.pool = 'key:' || v_spec.concurrency_key and s.n = old.token;
        insert into postq.vacancy (pool) values ('key:' || v_spec.concurrency_key);
        new.token := null;
    end if;
    if old.rate_token is not null and new.state <> 'ready' then
        update postq.slot s
        set is_taken = false,
            free_at = case when new.state = 'running'
                           then postq.now() + make_interval(secs => v_spec.rate_period_ms / 1000.0) else s.free_at end
        where s.pool = 'rate:' || v_spec.rate_key and s.n = old.rate_token;
        insert into postq.vacancy (pool) values ('rate:' || v_spec.rate_key);
        new.rate_token := null;
    end if;
    return new;
end;
$$;
revoke all on function postq.leave_keys() from public;
create or replace trigger leave_keys before update on postq.task
    for each row
    when (old.token is not null and new.state not in ('parked', 'ready', 'running')
          or old.rate_token is not null and new.state <> 'ready')
    execute function postq.leave_keys();
