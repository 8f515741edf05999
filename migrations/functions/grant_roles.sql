-- Which role may do what, each by functions and views only: no role sees a table. Grants to those of
-- the roles that exist, so that it can run after every change of the functions; `postq migrate
-- --roles` makes the roles. A function that users call and that is missing here is nobody's.
create or replace function postq.grant_roles() returns void
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
as $$
declare
    c_submitter constant text[] := array['submit', 'submit_many', 'submit_unique', 'publish', 'publish_bulk',
        'cancel', 'cancel_many', 'retry', 'job_state', 'queue_depth'];
    c_consumer constant text[] := array['consume', 'ack', 'ack_many', 'nack', 'renew', 'release', 'listen', 'job_state',
        'queue_depth'];
    c_reader constant text[] := array['find_jobs', 'job_state', 'queue_depth'];
    c_admin constant text[] := array['redrive', 'redrive_all', 'purge', 'cancel_matching', 'retry_matching', 'create_queue',
        'alter_queue', 'delete_queue', 'pause', 'resume', 'schedule', 'unschedule', 'pause_schedule',
        'resume_schedule', 'trigger_schedule', 'redeliver'];
    c_views constant text[] := array['jobs', 'tasks', 'running', 'expired', 'dead_letters', 'queue_stats', 'queues',
        'schedules', 'deliveries'];
    v_role record;
    v_one record;
begin
    for v_role in
        select r.name, r.functions, r.reads
        from (values
            ('postq_submitter', c_submitter, false),
            ('postq_consumer', c_consumer, false),
            ('postq_reader', c_reader, true),
            ('postq_admin', c_submitter || c_consumer || c_reader || c_admin, true)
        ) as r (name, functions, reads)
        join pg_roles g on g.rolname = r.name
    loop
        execute format('grant usage on schema postq to %I', v_role.name);
        for v_one in
            select p.oid::regprocedure as signature from pg_proc p
            where p.pronamespace = 'postq'::regnamespace and p.proname = any (v_role.functions)
        loop
            execute format('grant execute on function %s to %I', v_one.signature, v_role.name);
        end loop;
        for v_one in
            select c.oid::regclass as name from pg_class c
            where v_role.reads and c.relnamespace = 'postq'::regnamespace and c.relname = any (c_views)
        loop
            execute format('grant select on %s to %I', v_one.name, v_role.name);
        end loop;
    end loop;
end;
$$;
revoke all on function postq.grant_roles() from public;
