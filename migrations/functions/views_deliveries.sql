-- What webhooks have not been told yet, or never will be. Columns are added at the end only.
create or replace view postq.deliveries as
select d.job as id, j.queue, d.url, d.created_at, d.attempts, d.next_at, d.error, d.next_at is null as is_given_up
from postq.delivery d
join postq.job j on j.id = d.job;

revoke all on postq.deliveries from public;
