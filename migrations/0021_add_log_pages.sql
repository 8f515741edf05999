-- Long output of attempts that have ended moves to the blob store; its end stays in log_chunk.

-- Chunks that were moved, many in one blob. A page begins behind the last chunk of another one of its attempt, or with
-- the first chunk, so reading on with the page that has the lowest last chunk behind what was read misses nothing, also
-- where two coordinators have cut differently.
create table postq.log_page (
    attempt bigint,
    -- The number of its last chunk.
    last bigint,
    -- Output in it.
    size_bytes bigint not null check (size_bytes > 0),
    digest bytea not null check (length(digest) = 32),
    primary key (attempt, last)
);

-- Attempts with more than one chunk, whose output has not been looked through.
create table postq.long_log (
    attempt bigint primary key,
    -- When a coordinator began to.
    taken_at timestamptz
);
insert into postq.long_log (attempt) select c.attempt from postq.log_chunk c where c.number = 2;
