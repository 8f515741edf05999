-- Whole pages of jobs are started at once, before their older rows can be cleared away: half a page lets all
-- of these updates stay on it. 70 and 65 left some 30 of 100 rows to other pages, with new entries in every index.
alter table postq.job set (fillfactor = 50);
alter table postq.task set (fillfactor = 50);
