-- Who is told of the end of jobs by HTTP, and what of that has not arrived yet.

-- {url, secret}: where to, and the name of the secret that it is signed with, which coordinators know.
alter table postq.job_spec add webhook jsonb;
alter table postq.queue add webhook jsonb;
-- Which jobs have one, among all others.
create index job_spec_by_webhook on postq.job_spec (job) where webhook is not null;

-- Written by the transition that ends the job, gone once it has arrived.
create table postq.delivery (
    job uuid primary key,
    -- Scheme, host and port of the url.
    origin text not null,
    url text not null,
    secret text not null,
    -- The same at each try.
    body text not null,
    created_at timestamptz not null,
    attempts int not null default 0,
    -- Not before; null once it was given up.
    next_at timestamptz,
    -- How the last try failed.
    error text
) with (fillfactor = 70);
create index delivery_by_next on postq.delivery (next_at) where next_at is not null;
