-- Why the tasks of a lane wait that no connected agent could run; null where one could. The turn of its last
-- change lets watchers be told: the newest turn is a fact, written by note_waiting alone.
alter table postq.lane
    add waiting text,
    add waiting_turn bigint not null default 0;
