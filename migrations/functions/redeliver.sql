-- Tells the webhook of a job that has ended once more, or again after it was given up; whatever it was
-- told before. Raises PQ003, PQ006 (it has not ended) and PQ005 (it has no webhook).
create or replace function postq.redeliver(id uuid) returns void
language plpgsql volatile security definer
set search_path = pg_catalog, postq, pg_temp
as $$
#variable_conflict use_column
declare
    v_job record;
begin
    select j.finished_at, s.webhook into v_job
    from postq.job j join postq.job_spec s on s.job = j.id where j.id = redeliver.id;
    if not found then
        raise exception using errcode = 'PQ003', message = format('there is no job %s', redeliver.id);
    end if;
    perform postq.check_argument('id', case when v_job.webhook is null then 'is of a job without a webhook' end);
    if v_job.finished_at is null then
        raise exception using errcode = 'PQ006', message = format('job %s has not ended', redeliver.id);
    end if;
    update postq.delivery d set attempts = 0, next_at = postq.now(), error = null where d.job = redeliver.id;
    if found then
        perform postq.hint('delivery');
    else
        perform postq.deliver(array[redeliver.id]);
    end if;
end;
$$;
revoke all on function postq.redeliver(uuid) from public;
