-- Takes a unique key for a job that is about to be stored. Returns false where another job holds it;
-- which one, job_of tells. Of two transactions that want a free key, the second waits for the end of
-- the first, and only of that: a key that somebody holds already is read, and nothing is locked.
-- p_unique: {key, is_global?, period_ms?, replaces?}. Called by create_job.
create or replace function postq.take_key(p_job uuid, p_queue text, p_unique jsonb) returns boolean
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
as $$
declare
    v_scope text := postq.key_scope(p_queue, p_unique);
    v_key text := p_unique ->> 'key';
    v_until timestamptz := postq.now() + make_interval(secs => (p_unique ->> 'period_ms')::double precision / 1000);
    v_held record;
begin
    loop
        insert into postq.unique_key (scope, key, job, held_until)
        select v_scope, v_key, p_job, v_until
        where not exists (select from postq.unique_key k where k.scope = v_scope and k.key = v_key)
        on conflict do nothing;
        if found then
            return true;
        end if;
        select k.job, k.held_until into v_held
        from postq.unique_key k where k.scope = v_scope and k.key = v_key;
        continue when not found;
        if postq.holds_key(v_held.job, v_held.held_until) then
            if (p_unique ->> 'replaces')::boolean is not true then
                return false;
            end if;
            -- Of several who would replace it each finds the one before.
            perform 1 from postq.unique_key k
            where k.scope = v_scope and k.key = v_key and k.job = v_held.job for update;
            continue when not found;
            if not postq.end_unstarted(v_held.job, format('replaced by job %s', p_job)) then
                return false;
            end if;
        end if;
        update postq.unique_key k set job = p_job, held_until = v_until
        where k.scope = v_scope and k.key = v_key and k.job = v_held.job
          and k.held_until is not distinct from v_held.held_until;
        if found then
            return true;
        end if;
    end loop;
end;
$$;
revoke all on function postq.take_key(uuid, text, jsonb) from public;
