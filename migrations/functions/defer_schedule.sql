-- Notes why a schedule whose time has come cannot fire now, a queue that is full for instance; it is
-- tried again after a while, and what comes meanwhile is made up for as its catch_up says. Only where the
-- schedule is still as the caller has read it; waits for nobody. Called by coordinators.
create or replace function postq.defer_schedule(p_name text, p_version bigint, p_error text) returns void
language sql volatile
set search_path = pg_catalog, postq, pg_temp
as $$
    update postq.schedule s set error = p_error, retry_at = postq.now() + interval '5 s'
    where s.ctid = any (array(
        select s.ctid from postq.schedule s
        where s.name = p_name and s.version = p_version and not s.is_paused for update skip locked));
$$;
revoke all on function postq.defer_schedule(text, bigint, text) from public;
