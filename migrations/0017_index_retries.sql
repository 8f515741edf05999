-- Which jobs have been retried already.
create index job_spec_by_retry_of on postq.job_spec (retry_of) where retry_of is not null;

drop function if exists postq.redrive_all(text, int);
drop function if exists postq.redrive_some(text, uuid[], int);
drop function if exists postq.redrive_one(uuid);
drop function if exists postq.copy_job(uuid, uuid, int[]);
drop function if exists postq.start_again(uuid, uuid, int[]);
