-- It is asked only where tasks gain priority while they wait, so it need not be told.
drop function if exists postq.lanes_wait(bigint[], bigint[], timestamptz[], timestamptz, double precision);
