-- What is parked is found by its task, too: a cancelled one leaves the line at once.
create index parked_by_task on postq.parked (job, n);
