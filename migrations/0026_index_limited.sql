-- Every claim asks whether any queue is limited; there may be one queue for each tenant, and most are not.
create index queue_limited on postq.queue (name) where is_paused or max_running is not null or rate_limit is not null;
