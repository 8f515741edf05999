//! Whatever users pass, the functions answer with a SQLSTATE of their own or do as they say: never with an error
//! from inside, and nothing is half done.

use std::collections::{BTreeMap, BTreeSet};

use postq_tests::{Database, Session};

use crate::{
    consumer::{publish, take},
    sql_catalog::FOR_USERS,
};

/// What `docs/sql.md` lists.
const DOCUMENTED: [&str; 9] =
    ["PQ001", "PQ002", "PQ003", "PQ004", "PQ005", "PQ006", "PQ010", "PQ011", "PQ012"];

const JOB: &str = r#"'{"tasks": {"a": {"handler": "h"}}}'"#;

/// A call of each function that is fine, with all its arguments. `{taken}` is being worked on by `{attempt}`,
/// `{dead}` is a dead letter, `{ended}` has succeeded.
const FINE: [(&str, &[&str]); 34] = [
    ("ack", &["'{taken}'", "{attempt}", "'{}'"]),
    ("ack_many", &["array['{taken}'::uuid]", "array[{attempt}::bigint]", "array['{}'::jsonb]"]),
    ("alter_queue", &["'q'", "'{\"aging\": 1}'"]),
    ("cancel", &["'{taken}'", "'no more'"]),
    ("cancel_many", &["array['{taken}'::uuid]", "'no more'"]),
    ("cancel_matching", &["'$.a == 1'", "'q'", "false", "'no more'", "10"]),
    ("consume", &["1", "'q'", "array['h']", "'1 min'", "'at_least_once'", "'$.a == 1'"]),
    ("create_queue", &["'new'", "'{\"max_jobs\": 5}'"]),
    ("delete_queue", &["'q'", "true"]),
    (
        "find_jobs",
        &["'$.a == 1'", "'q'", "array['queued']", "array['{taken}'::uuid]", "10", "'{taken}'"],
    ),
    ("job_state", &["'{taken}'"]),
    ("listen", &["'q'"]),
    ("nack", &["'{taken}'", "{attempt}", "'no'", "null", "false"]),
    ("pause", &["'q'"]),
    ("pause_schedule", &["'s'"]),
    (
        "publish",
        &[
            "'h'",
            "'[1]'",
            "null",
            "'1 min'",
            "1",
            "3",
            "'q'",
            "'{\"a\": 1}'",
            "'1 s'",
            "2",
            "'1 min'",
            "postq.new_id()",
            "'key'",
            "false",
            "'0 s'",
            "true",
        ],
    ),
    ("publish_bulk", &["array[row('h', null, null, null, null, null, 'q', null)::postq.bulk_job]"]),
    ("purge", &["'q'"]),
    ("queue_depth", &["'q'"]),
    ("redeliver", &["'{ended}'"]),
    ("redrive", &["'{dead}'"]),
    ("redrive_all", &["'q'", "10", "'$.a == 1'", "2"]),
    ("release", &["'{taken}'", "{attempt}"]),
    ("renew", &["'{taken}'", "{attempt}", "'1 min'"]),
    ("resume", &["'q'"]),
    ("resume_schedule", &["'s'"]),
    ("retry", &["'{ended}'", "array['ended']", "postq.new_id()"]),
    ("retry_matching", &["'$.a == 1'", "'q'", "array['failed']", "10", "2"]),
    ("schedule", &["'s'", JOB, "null", "'1 min'", "'UTC'", "'skip'", "'all'", "10"]),
    ("submit", &[JOB, "postq.new_id()", "null", "'0 s'", "false"]),
    (
        "submit_many",
        &["array['{\"tasks\": {\"a\": {\"handler\": \"h\"}}}'::jsonb]", "array[postq.new_id()]"],
    ),
    ("submit_unique", &[JOB, "'key'", "postq.new_id()"]),
    ("trigger_schedule", &["'s'"]),
    ("unschedule", &["'s'"]),
];

/// Values of each type that somebody will pass.
const NASTY: [(&str, &[&str]); 12] = [
    ("integer", &["-1", "0", "-2147483648", "2147483647"]),
    ("bigint", &["-1", "0", "9223372036854775807"]),
    ("boolean", &["true", "false"]),
    ("double precision", &["-1", "0", "'NaN'", "'Infinity'", "1e308"]),
    ("uuid", &["'00000000-0000-0000-0000-000000000000'", "'ffffffff-ffff-ffff-ffff-ffffffffffff'"]),
    (
        "interval",
        &[
            "'-1 s'",
            "'0'",
            "'1 us'",
            "'178000000 years'",
            "'-178000000 years'",
            "'1 month -30 days'",
        ],
    ),
    (
        "timestamp with time zone",
        &["'infinity'", "'-infinity'", "'294276-12-31'", "'4713-01-01 BC'", "'1970-01-01'"],
    ),
    (
        "text",
        &[
            "''",
            "' '",
            r"'x\'",
            "'%'",
            "'dlq@'",
            "'dlq@q'",
            "'dlq@dlq@q'",
            "repeat('x', 256)",
            "repeat('x', 100000)",
            "'a/b'",
            "e'a\\nb'",
            "'\"; drop table x; --'",
            "'\u{1F4A5}'",
            "'$.a =='",
            "'$x == 1'",
            "'$.a'",
            "repeat('(', 5000)",
            "'$.a like_regex \"(\"'",
            "'$.a.datetime() < 1'",
            "'strict $.a.b == 1'",
            "'* * * *'",
            "'99 99 99 99 99'",
            "'Mars/Base'",
        ],
    ),
    (
        "jsonb",
        &[
            "'null'",
            "'[]'",
            "'1'",
            "'\"x\"'",
            "'{}'",
            "'{\"tasks\": null}'",
            "'{\"tasks\": {\"a\": null}}'",
            "'{\"tasks\": {\"a\": {\"handler\": 1e400}}}'",
            "'{\"max_jobs\": -1}'",
            "'{\"max_jobs\": 1e400}'",
            "'{\"paused\": \"x\"}'",
            "'{\"aging\": null, \"retry\": []}'",
            "'{\"nothing\": 1}'",
            "'9007199254740993'",
            "(repeat('[', 2000) || repeat(']', 2000))::jsonb",
            "to_jsonb(repeat('x', 3000000))",
        ],
    ),
    (
        "text[]",
        &[
            "'{}'",
            "'{NULL}'",
            "array[array['h', 'x'], array['y', 'z']]",
            r"array['x\']",
            "array['']",
        ],
    ),
    (
        "uuid[]",
        &[
            "'{}'",
            "'{NULL}'",
            "array[array['{taken}'::uuid]]",
            "array['{taken}'::uuid, '{taken}']",
            "array_fill('{taken}'::uuid, array[10001])",
        ],
    ),
    (
        "bigint[]",
        &["'{}'", "'{NULL}'", "array[array[{attempt}::bigint]]", "array[1, 2, 3]::bigint[]"],
    ),
];

const NASTY_LISTS: [(&str, &[&str]); 2] = [
    (
        "jsonb[]",
        &["'{}'", "'{NULL}'", "array[array['{}'::jsonb]]", "array['null'::jsonb, '1', '[]']"],
    ),
    (
        "postq.bulk_job[]",
        &[
            "'{}'",
            "'{NULL}'",
            "array[array[row('h', null, null, null, null, null, null, null)::postq.bulk_job]]",
            "array[row(null, null, null, null, null, null, null, null)::postq.bulk_job]",
            "array[row('h', null, 'infinity', null, null, null, null, null)::postq.bulk_job]",
            "array[row('h', null, null, '-1 s', null, null, null, null)::postq.bulk_job]",
            "array[row('h', null, null, '178000000 years', null, null, null, null)::postq.bulk_job]",
            "array[row('h', null, null, null, 5000, null, null, null)::postq.bulk_job]",
            "array[row('h', null, null, null, null, 0, null, null)::postq.bulk_job]",
            "array[row('h', null, null, null, null, null, 'dlq@q', null)::postq.bulk_job]",
            "array[row('h', null, null, null, null, null, null, '[]')::postq.bulk_job]",
        ],
    ),
];

/// One of each kind of job in the queue `q`, and a schedule; fills in what calls are about.
struct Scene {
    database: Database,
    session: Session,
    known: Vec<(&'static str, String)>,
}

impl Scene {
    async fn set() -> Self {
        let database = Database::create().await;
        database.execute("select postq.create_queue('q', '{\"max_jobs\": 1000}')").await;
        database.execute(&format!("select postq.schedule('s', {JOB}, every => '1 min')")).await;
        publish(&database, "'ended', queue => 'q'").await;
        let ended = take(&database, "1, 'q'").await;
        database.execute(&ended.ack()).await;
        publish(&database, "'dead', queue => 'q', max_retries => 1").await;
        let dead = take(&database, "1, 'q'").await;
        database.execute(&dead.nack("no")).await;
        publish(&database, "'taken', queue => 'q'").await;
        let taken = take(&database, "1, 'q'").await;
        for delay in ["null", "now() + interval '1 day'"] {
            publish(
                &database,
                &format!(
                    "'h', queue => 'q', attributes => '{{\"a\": 1}}', scheduled_at => {delay}"
                ),
            )
            .await;
        }
        let session = database.session().await;
        let known = vec![
            ("{ended}", ended.id.to_string()),
            ("{dead}", dead.id.to_string()),
            ("{taken}", taken.id.to_string()),
            ("{attempt}", taken.attempt.to_string()),
        ];
        Self { database, session, known }
    }

    /// What a call answers: none where it does what it is asked for. It is undone.
    async fn answer(&mut self, name: &str, arguments: &[&str]) -> Option<(String, String)> {
        let mut call = format!("select * from postq.{name}({})", arguments.join(", "));
        for (word, value) in &self.known {
            call = call.replace(word, value);
        }
        self.session.execute("begin; set local statement_timeout = '5s'").await;
        let done = self.session.try_execute(&call).await;
        self.session.execute("rollback").await;
        let error = done.err()?;
        let error = error.as_database_error().unwrap_or_else(|| panic!("{call}: {error}"));
        Some((error.code().unwrap().into_owned(), error.message().to_owned()))
    }

    /// How many rows each table has.
    async fn counts(&self) -> BTreeMap<String, i64> {
        let tables: Vec<String> = self
            .database
            .value("select array_agg(oid::regclass::text) from pg_class where relnamespace = 'postq'::regnamespace and relkind = 'r'")
            .await;
        let mut counts = BTreeMap::new();
        for table in tables {
            let count = self.database.value(&format!("select count(*) from {table}")).await;
            counts.insert(table, count);
        }
        counts
    }

    /// The types of each function's arguments.
    async fn types(&self) -> BTreeMap<String, Vec<String>> {
        let rows: Vec<(String, Vec<String>)> = sqlx::query_as(
            "select p.proname::text, array(select t::regtype::text from unnest(p.proargtypes) with ordinality a (t, n) order by n)
             from pg_proc p where p.pronamespace = 'postq'::regnamespace and p.prosecdef",
        )
        .fetch_all(&self.database.pool)
        .await
        .unwrap();
        rows.into_iter().collect()
    }
}

#[tokio::test]
async fn no_argument_of_any_function_brings_an_error_from_inside() {
    let mut scene = Scene::set().await;
    let before = scene.counts().await;
    let types = scene.types().await;
    assert_eq!(FINE.map(|(name, _)| name), FOR_USERS);
    let nasty: BTreeMap<&str, &[&str]> = NASTY.into_iter().chain(NASTY_LISTS).collect();
    let has_endless_intervals =
        scene.database.value::<i32>("select current_setting('server_version_num')::int").await
            >= 170_000;
    let mut faults = Vec::new();
    for (name, fine) in FINE {
        assert_eq!(types[name].len(), fine.len(), "the arguments of {name}");
        let answer = scene.answer(name, fine).await;
        let is_fine = answer.is_none() || name == "redeliver";
        assert!(is_fine, "{name} {fine:?}: {answer:?}");
        for (place, of_type) in types[name].iter().enumerate() {
            let mut values = vec!["null"];
            values.extend(
                *nasty.get(of_type.as_str()).unwrap_or_else(|| panic!("values of {of_type}")),
            );
            if has_endless_intervals && of_type == "interval" {
                values.extend(["'infinity'", "'-infinity'"]);
            }
            for value in values {
                let mut arguments = fine.to_vec();
                arguments[place] = value;
                if let Some((code, message)) = scene.answer(name, &arguments).await
                    && !DOCUMENTED.contains(&code.as_str())
                {
                    let value: String = value.chars().take(80).collect();
                    faults.push(format!("{name}, argument {place} is {value}: {code} {message}"));
                }
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert_eq!(scene.counts().await, before, "nothing is half done");
}

/// What cannot be meant, and what says so.
const REFUSED: [(&str, &[&str], &str); 40] = [
    ("ack", &["null", "1"], "PQ003"),
    ("ack", &["'{taken}'", "null"], "PQ004"),
    ("ack", &["'{taken}'", "{attempt} + 1"], "PQ004"),
    ("ack", &["'{ended}'", "{attempt}"], "PQ004"),
    ("ack_many", &["array['{taken}'::uuid]", "'{}'"], "PQ005"),
    ("alter_queue", &["'unknown'", "'{}'"], "PQ011"),
    ("alter_queue", &["null", "'{}'"], "PQ005"),
    ("alter_queue", &["'q'", "null"], "PQ005"),
    ("cancel", &["null"], "PQ005"),
    ("cancel_matching", &["null", "null"], "PQ005"),
    ("consume", &["0"], "PQ005"),
    ("consume", &["1", "null"], "PQ005"),
    ("consume", &["1", "'q'", r"array['x\']"], "PQ005"),
    ("consume", &["1", "'q'", "null", "'-1 s'"], "PQ005"),
    ("create_queue", &["''"], "PQ005"),
    ("delete_queue", &["'q'"], "PQ012"),
    ("delete_queue", &["null"], "PQ005"),
    ("find_jobs", &["'$.a'"], "PQ005"),
    ("find_jobs", &["null", "null", "array['odd']"], "PQ005"),
    ("listen", &["null"], "PQ005"),
    ("nack", &["'{taken}'", "{attempt}", "null", "'infinity'"], "PQ005"),
    ("pause", &["null"], "PQ005"),
    ("pause_schedule", &["null"], "PQ003"),
    ("publish", &["null"], "PQ005"),
    ("publish", &["'h'", "null", "'infinity'"], "PQ005"),
    ("publish", &["'h'", "queue => 'unknown'", "require_queue => true"], "PQ011"),
    ("publish", &["'h'", "backoff => '178000000 years'"], "PQ005"),
    (
        "publish_bulk",
        &["array[row('h', null, 'infinity', null, null, null, null, null)::postq.bulk_job]"],
        "PQ005",
    ),
    ("purge", &["null"], "PQ005"),
    ("redeliver", &["'{ended}'"], "PQ005"),
    ("redrive", &["'{ended}'"], "PQ003"),
    ("redrive_all", &["null"], "PQ005"),
    ("redrive_all", &["'q'", "0"], "PQ005"),
    ("renew", &["'{taken}'", "{attempt}", "null"], "PQ005"),
    ("retry", &["'{taken}'"], "PQ006"),
    ("retry", &["'{dead}'", "array['odd']"], "PQ005"),
    ("schedule", &["'x'", "null", "'* * * * *'"], "PQ002"),
    ("submit", &["null"], "PQ002"),
    ("submit_many", &["array[null]::jsonb[]"], "PQ002"),
    ("unschedule", &["null"], "PQ005"),
];

#[tokio::test]
async fn what_cannot_be_meant_is_refused_with_its_own_code() {
    let mut scene = Scene::set().await;
    for (name, arguments, wanted) in REFUSED {
        let answer = scene.answer(name, arguments).await;
        let code = answer.as_ref().map(|(code, _)| code.as_str());
        assert_eq!(code, Some(wanted), "{name} {arguments:?}: {answer:?}");
    }
}

#[tokio::test]
async fn the_documents_list_every_code_that_is_raised() {
    let database = Database::create().await;
    let raised: BTreeSet<String> = sqlx::query_scalar(
        "select distinct m[1] from pg_proc p, regexp_matches(p.prosrc, '(PQ\\d{3})', 'g') m
         where p.pronamespace = 'postq'::regnamespace",
    )
    .fetch_all(&database.pool)
    .await
    .unwrap()
    .into_iter()
    .collect();
    assert_eq!(raised, DOCUMENTED.map(str::to_owned).into_iter().collect());
    let page = include_str!("../../../docs/sql.md");
    for code in DOCUMENTED {
        assert!(page.contains(&format!("| `{code}` |")), "docs/sql.md does not tell of {code}");
    }
}
