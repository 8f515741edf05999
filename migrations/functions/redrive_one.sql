-- Makes the new job of a dead letter, whose row the caller has locked, and removes the row: all of the
-- job that did not succeed runs again, at p_start where that is given.
create or replace function postq.redrive_one(p_job uuid, p_start timestamptz default null) returns uuid
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
as $$
begin
    return postq.copy_job(p_job, postq.new_id(), postq.rerun_of(p_job, null), p_start);
end;
$$;
revoke all on function postq.redrive_one(uuid, timestamptz) from public;
