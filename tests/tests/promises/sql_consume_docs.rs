//! What `docs/sql.md` says is so: its examples run in the order given, and it names all there is.

use std::fs;

use postq_tests::Database;

use crate::house::root;

fn document() -> String {
    fs::read_to_string(root().join("docs/sql.md")).unwrap()
}

/// The blocks of SQL in the document.
fn examples(document: &str) -> Vec<String> {
    let blocks = document.split("```").skip(1).step_by(2);
    blocks.filter_map(|block| block.strip_prefix("sql\n").map(str::to_owned)).collect()
}

#[tokio::test]
async fn the_examples_of_the_document_run() {
    let database = Database::create().await;
    let role = format!("shop_{}", std::process::id());
    let mut session = database.session().await;
    let examples = examples(&document());
    assert!(examples.len() > 10);
    for example in examples {
        session.execute(&example.replace("my_shop", &role)).await;
    }
    session.execute(&format!("drop owned by {role}; drop role {role}")).await;
    assert_eq!(database.value::<i64>("select cents from balance").await, 500);
    let redriven = "select count(*) from postq.jobs where retry_of is not null";
    assert_eq!(database.value::<i64>(redriven).await, 2, "one redriven, one retried");
}

#[tokio::test]
async fn the_document_names_every_function_view_and_refusal() {
    let database = Database::create().await;
    let document = document();
    let functions: Vec<String> = database
        .value(
            "select array_agg(distinct p.proname::text) from pg_proc p
             where p.pronamespace = 'postq'::regnamespace and p.prosecdef",
        )
        .await;
    let views: Vec<String> = database
        .value(
            "select array_agg(c.relname::text) from pg_class c
             where c.relnamespace = 'postq'::regnamespace and c.relkind = 'v' and c.relname <> 'spec_field'",
        )
        .await;
    for name in functions.iter().chain(&views) {
        assert!(document.contains(&format!("postq.{name}")), "postq.{name} is not documented");
    }
    let codes: Vec<String> = database
        .value(
            "select array_agg(distinct m[1]) from pg_proc p
             cross join lateral regexp_matches(p.prosrc, 'PQ[0-9]{3}', 'g') m
             where p.pronamespace = 'postq'::regnamespace",
        )
        .await;
    for code in codes {
        assert!(document.contains(&format!("| `{code}` |")), "{code} is not documented");
    }
}

/// PJ3: as PostgREST and other drivers call functions: by the names of their arguments, with types that
/// JSON has; names tell overloads apart.
#[tokio::test]
async fn the_functions_for_users_can_be_called_with_named_arguments() {
    let database = Database::create().await;
    let strange: Vec<String> = database
        .value(
            "select coalesce(array_agg(p.oid::regprocedure::text), '{}') from pg_proc p
             where p.pronamespace = 'postq'::regnamespace and p.prosecdef and p.proname <> 'publish_bulk'
               and (p.pronargs > 0 and (p.proargnames is null or '' = any (p.proargnames))
                    or exists (select from unnest(p.proargtypes) t
                               where t not in ('text'::regtype, 'uuid'::regtype, 'bigint'::regtype, 'int'::regtype,
                                   'jsonb'::regtype, 'interval'::regtype, 'timestamptz'::regtype,
                                   'text[]'::regtype, 'float8'::regtype, 'boolean'::regtype, 'uuid[]'::regtype,
                                   'jsonb[]'::regtype, 'bigint[]'::regtype)))",
        )
        .await;
    assert_eq!(strange, [""; 0]);
    // What comes back, too: results, columns of results and columns of views. Bytes are for drivers.
    let strange: Vec<String> = database
        .value(
            "select coalesce(array_agg(x.what || ' ' || x.type::regtype), '{}') from (
                 select p.oid::regprocedure::text as what, t.type from pg_proc p
                 cross join lateral unnest(coalesce(p.proallargtypes, '{}') || p.prorettype) as t (type)
                 where p.pronamespace = 'postq'::regnamespace and p.prosecdef and p.proname <> 'publish_bulk'
                 union all
                 select c.relname || '.' || a.attname, a.atttypid from pg_class c join pg_attribute a on a.attrelid = c.oid
                 where c.relnamespace = 'postq'::regnamespace and c.relkind = 'v' and a.attnum > 0 and not a.attisdropped
                   and a.attname not in ('results_raw', 'errors_raw')) x
             where x.type not in ('text'::regtype, 'uuid'::regtype, 'bigint'::regtype, 'int'::regtype, 'jsonb'::regtype,
                 'interval'::regtype, 'timestamptz'::regtype, 'text[]'::regtype, 'float8'::regtype, 'boolean'::regtype,
                 'uuid[]'::regtype, 'jsonb[]'::regtype, 'bigint[]'::regtype, 'void'::regtype, 'record'::regtype,
                 'timestamptz[]'::regtype)
               and not exists (select from pg_type t where t.oid = x.type and t.typtype = 'e')",
        )
        .await;
    assert_eq!(strange, [""; 0]);
    let twins: Vec<String> = database
        .value(
            "select coalesce(array_agg(a.oid::regprocedure::text), '{}') from pg_proc a join pg_proc b
               on b.proname = a.proname and b.pronamespace = a.pronamespace and b.oid <> a.oid
             where a.pronamespace = 'postq'::regnamespace
               and a.proargnames[:a.pronargs] && b.proargnames[:b.pronargs]",
        )
        .await;
    assert_eq!(twins, [""; 0]);
}
