-- Limits that are set beside open transactions, and a queue's rate.

-- A queue's bound counts without a mark on its jobs: whoever ends one notes it.
drop trigger if exists leave_queue on postq.job;
drop function if exists postq.leave_queue();
drop function if exists postq.count_jobs(text);
drop function if exists postq.count_running(text);
drop function if exists postq.consume_room(text, int, timestamptz);
drop function if exists postq.take_slots(text, int[], uuid[], int[]);
drop function if exists postq.free_slots(text, int, int);
alter table postq.job drop column is_counted;
-- Its jobs are to be counted once more, when everybody has ended who did not see that it is bounded: all
-- transactions up to this one. 0: that one is still to be noted. Null: they have been counted.
alter table postq.bound add noted xid8;
update postq.bound set noted = '0';

alter table postq.slot
    -- The attempt that has it without knowing, because it began before its queue got the limit.
    add job uuid,
    add attempt bigint,
    -- Of a queue's rate: when a task was last started by it.
    add used_at timestamptz;
create unique index slot_by_attempt on postq.slot (attempt) where attempt is not null;

alter table postq.queue
    -- Tasks that may be started in any time of this length; null: any number.
    add rate_limit int check (rate_limit > 0),
    add rate_period_ms bigint check (rate_period_ms > 0),
    add check ((rate_limit is null) = (rate_period_ms is null));
