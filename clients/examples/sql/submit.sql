-- Submits a job of two tasks, waits for its end, and prints what its tasks wrote:
--   psql -X -v ON_ERROR_STOP=1 "$DATABASE_URL" -f submit.sql
\set QUIET on
\pset footer off
set client_min_messages = notice;

-- Beside other statements of the same transaction it would exist when, and only when, that commits.
select postq.submit('{
    "name": "from-sql",
    "tasks": {
        "greet": {"command": "echo hello from sql | tee greeting"},
        "shout": {"depends": ["greet"], "command": "tr a-z A-Z < greeting"}
    }
}') as job \gset
\echo submitted :job
select set_config('example.job', :'job', false) as job \gset

-- Each look is a transaction of its own. A program with a driver would sleep until it is notified
-- instead: a job with "notify": true tells its end on the channel postq_completed.
do $$
declare
    found postq.jobs;
    seen bigint := 0;
begin
    for look in 1 .. 600 loop
        select * into found from postq.jobs where id = current_setting('example.job')::uuid;
        if found.revision > seen then
            seen := found.revision;
            raise notice '%: % of % tasks are open', found.state, found.open_tasks, found.task_count;
        end if;
        exit when found.finished_at is not null;
        commit;
        perform pg_sleep(0.1);
    end loop;
    if lower(found.state::text) is distinct from 'succeeded' then
        raise exception 'the job is %: %', found.state, found.reason;
    end if;
end $$;

select name, state, exit_code, results from postq.tasks where job_id = :'job' order by number;
