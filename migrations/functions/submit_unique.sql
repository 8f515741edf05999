-- Submits a job that has a unique key (the document's, or unique_key, which is shorter to write), and
-- tells whether it is new: created is false where another job holds the key, whose id is returned.
-- Of two transactions with one key, the second waits for the end of the first. See submit.
create or replace function postq.submit_unique(
    job jsonb, unique_key text default null, job_id uuid default null
) returns table (id uuid, created boolean)
language plpgsql volatile security definer
set search_path = pg_catalog, postq, pg_temp
as $$
#variable_conflict use_variable
declare
    v_job jsonb := job;
begin
    if jsonb_typeof(job) = 'object' then
        if (unique_key is null) = (coalesce(jsonb_typeof(job -> 'unique'), 'null') = 'null') then
            perform postq.check_argument('unique_key', case when unique_key is null
                then 'is missing, and so is unique in the document; give one of them'
                else 'is set beside unique in the document; give one of them' end);
        elsif unique_key is not null then
            v_job := job || jsonb_build_object('unique', jsonb_build_object('key', unique_key));
        end if;
    end if;
    return query select e.o_id, e.o_created from postq.enter_job(v_job, job_id, null, '{}') e;
end;
$$;
revoke all on function postq.submit_unique(jsonb, text, uuid) from public;
