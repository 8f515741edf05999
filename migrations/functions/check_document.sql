-- Raises PQ002 with all that is wrong with a job document; see submit.
create or replace function postq.check_document(p_job jsonb) returns void
language plpgsql stable
set search_path = pg_catalog, postq, pg_temp
as $$
begin
    perform postq.refuse_document('the job', postq.document_faults(p_job));
end;
$$;
revoke all on function postq.check_document(jsonb) from public;
