//! Applications use PostQ by roles that see functions and views, never a table.

use postq_tests::{Database, Session};
use sqlx::{AssertSqlSafe, PgConnection};

const ROLES: [&str; 4] = ["postq_submitter", "postq_consumer", "postq_reader", "postq_admin"];

async fn with_roles() -> Database {
    let database = Database::create().await;
    postq_coordinator::store::create_roles(database.options()).await.unwrap();
    database
}

async fn as_role(database: &Database, role: &str) -> Session {
    let mut session = database.session().await;
    session.execute(&format!("set role {role}")).await;
    session
}

/// The SQLSTATE it was refused with, if it was.
async fn refused(connection: &mut PgConnection, statement: &str) -> Option<String> {
    let error = sqlx::raw_sql(AssertSqlSafe(statement)).execute(connection).await.err()?;
    error.as_database_error()?.code().map(|code| code.into_owned())
}

const NO_RIGHT: Option<&str> = Some("42501");

#[tokio::test]
async fn each_role_may_do_its_own_and_nothing_else() {
    let database = with_roles().await;
    let publish = "select postq.publish('greet')";
    let submit = r#"select postq.submit('{"tasks": {"a": {"command": "true"}}}')"#;
    let consume = "select * from postq.consume(1)";
    let look = "select * from postq.jobs";
    let purge = "select postq.purge('default')";
    for (role, may, may_not) in [
        ("postq_submitter", vec![publish, submit], vec![consume, look, purge]),
        ("postq_consumer", vec![consume], vec![publish, submit, look, purge]),
        ("postq_reader", vec![look], vec![publish, submit, consume, purge]),
        ("postq_admin", vec![publish, submit, consume, look, purge], vec![]),
    ] {
        let mut session = as_role(&database, role).await;
        for statement in may {
            assert_eq!(
                refused(&mut session.connection, statement).await,
                None,
                "{role}: {statement}"
            );
        }
        for statement in may_not {
            let code = refused(&mut session.connection, statement).await;
            assert_eq!(code.as_deref(), NO_RIGHT, "{role}: {statement}");
        }
    }
}

#[tokio::test]
async fn no_role_reaches_a_table_or_an_inner_function() {
    let database = with_roles().await;
    let tables: Vec<String> = database
        .value(
            "select array_agg(c.oid::regclass::text) from pg_class c
             where c.relnamespace = 'postq'::regnamespace and c.relkind in ('r', 'p')",
        )
        .await;
    assert!(tables.len() > 15);
    for role in ROLES {
        let mut session = as_role(&database, role).await;
        for table in &tables {
            for statement in [format!("select from {table}"), format!("delete from {table}")] {
                let code = refused(&mut session.connection, &statement).await;
                assert_eq!(code.as_deref(), NO_RIGHT, "{role}: {statement}");
            }
        }
        let inner = "select postq.advance('{}', '{}', '{}')";
        assert_eq!(refused(&mut session.connection, inner).await.as_deref(), NO_RIGHT, "{role}");
    }
}

#[tokio::test]
async fn what_users_call_and_see_is_somebodys() {
    let database = with_roles().await;
    let nobodys: Vec<String> = database
        .value(
            "select coalesce(array_agg(p.oid::regprocedure::text), '{}') from pg_proc p
             where p.pronamespace = 'postq'::regnamespace and p.prosecdef
               and not has_function_privilege('postq_admin', p.oid, 'execute')",
        )
        .await;
    assert!(nobodys.is_empty(), "grant_roles.sql misses {nobodys:?}");
    let unseen: Vec<String> = database
        .value(
            "select coalesce(array_agg(c.relname::text), '{}') from pg_class c
             where c.relnamespace = 'postq'::regnamespace and c.relkind = 'v' and c.relname <> 'spec_field'
               and not has_table_privilege('postq_reader', c.oid, 'select')",
        )
        .await;
    assert!(unseen.is_empty(), "grant_roles.sql misses {unseen:?}");
}
