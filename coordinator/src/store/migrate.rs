//! Brings a database to this binary's schema: numbered migrations once each, then the functions
//! where this binary carries a newer revision of them. Safe when several start at once.

use sqlx::{
    AssertSqlSafe, Connection, PgConnection, SqlSafeStr,
    migrate::{MigrateError, Migration, MigrationType, Migrator},
    postgres::PgConnectOptions,
};
use tracing::info;

include!(concat!(env!("OUT_DIR"), "/migrations.rs"));

/// Any number that is ours: the advisory lock under which the schema changes.
const LOCK: i64 = 0x706f_7374_7101;

/// Why a database could not be brought up to date.
#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    /// It cannot be reached, or refused a statement.
    #[error("cannot migrate the database")]
    Database(#[from] sqlx::Error),
    /// A numbered migration failed, or differs from the one that was applied.
    #[error("cannot migrate the database")]
    Migration(#[from] MigrateError),
}

/// What a call of [`migrate`] has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Migrated {
    /// Numbered migrations known to this binary, all applied now.
    pub migrations: usize,
    /// Whether the functions were replaced.
    pub functions_replaced: bool,
}

/// Applies what is missing. Twice is as good as once.
pub async fn migrate(options: &PgConnectOptions) -> Result<Migrated, MigrationError> {
    let mut connection = PgConnection::connect_with(options).await?;
    sqlx::query("/* migrate.lock */ select pg_advisory_lock($1)")
        .bind(LOCK)
        .execute(&mut connection)
        .await?;
    let done = under_lock(&mut connection).await;
    // Closing gives the lock back even where the statements above failed.
    connection.close().await?;
    done
}

/// Makes the roles that applications are given, with their rights. For a database that is up to date;
/// whoever does it needs the right to create roles.
pub async fn create_roles(options: &PgConnectOptions) -> Result<(), MigrationError> {
    let mut connection = PgConnection::connect_with(options).await?;
    sqlx::query("/* migrate.roles */ select postq.create_roles()").execute(&mut connection).await?;
    Ok(connection.close().await?)
}

async fn under_lock(connection: &mut PgConnection) -> Result<Migrated, MigrationError> {
    let mut migrator = Migrator::with_migrations(numbered());
    migrator.create_schema("postq");
    migrator.dangerous_set_table_name("postq.migration");
    migrator.set_locking(false);
    migrator.run_direct(None, connection, false).await?;
    let functions_replaced = replace_functions(connection).await?;
    Ok(Migrated { migrations: MIGRATIONS.len(), functions_replaced })
}

fn numbered() -> Vec<Migration> {
    MIGRATIONS
        .iter()
        .map(|(stem, sql)| {
            let (number, name) = stem.split_once('_').expect("invariant: NNNN_verb_object.sql");
            let version = number.parse().expect("invariant: a migration begins with its number");
            Migration::new(version, name.into(), MigrationType::Simple, sql.into_sql_str(), false)
        })
        .collect()
}

async fn replace_functions(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let (ours, digest) = functions();
    let applied: Option<(i64, Option<String>)> = sqlx::query_as(
        "/* migrate.revision */ select r.value::bigint, d.value from postq.fact r
         left join postq.fact d on d.key = 'functions_digest' where r.key = 'functions_revision'",
    )
    .fetch_optional(&mut *connection)
    .await?;
    // Between two releases functions change under one number.
    if let Some((theirs, of)) = applied
        && (theirs > ours || theirs == ours && of.as_deref() == Some(digest))
    {
        return Ok(false);
    }
    let mut transaction = connection.begin().await?;
    sqlx::raw_sql("set local check_function_bodies = off").execute(&mut *transaction).await?;
    for (name, sql) in FUNCTIONS {
        sqlx::raw_sql(AssertSqlSafe(format!("/* functions/{name} */ {sql}")))
            .execute(&mut *transaction)
            .await?;
    }
    sqlx::query(
        "/* migrate.note */ insert into postq.fact (key, value)
         values ('functions_revision', $1), ('functions_digest', $2)
         on conflict (key) do update set value = excluded.value",
    )
    .bind(ours.to_string())
    .bind(digest)
    .execute(&mut *transaction)
    .await?;
    sqlx::query("/* migrate.grant */ select postq.grant_roles()")
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    info!(revision = ours, "functions replaced");
    Ok(true)
}

/// The revision of the functions in this binary.
pub(super) fn functions_revision() -> i64 {
    functions().0
}

/// Their revision and digest, from the line `functions REVISION DIGEST`.
fn functions() -> (i64, &'static str) {
    let read = |line: &'static str| {
        let (revision, digest) = line.strip_prefix("functions ")?.split_once(' ')?;
        Some((revision.parse().ok()?, digest))
    };
    MANIFEST.lines().find_map(read).expect("invariant: the manifest names the functions' revision")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_migration_has_its_own_number() {
        let versions: Vec<i64> = numbered().iter().map(|m| m.version).collect();
        let mut distinct = versions.clone();
        distinct.dedup();
        assert_eq!(versions, distinct);
        assert!(functions_revision() > 0);
    }
}
