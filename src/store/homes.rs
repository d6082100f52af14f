//! Data directories: which machine has them, when a process in one was last there, and what is kept in them.

use sqlx::PgConnection;

use crate::model::ids::DatasetId;
use crate::store::Result;

/// Notes that work of this store is done in a data directory of a machine.
pub async fn note(conn: &mut PgConnection, home: &str, machine: &str) -> Result<()> {
    sqlx::query!(
        "insert into homes (home, machine) values ($1, $2)
         on conflict (home) do update set machine = excluded.machine, seen_at = clock_timestamp()",
        home,
        machine,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Notes that a process is there in a data directory, if work of this store was ever done in it.
pub async fn note_presence(conn: &mut PgConnection, home: &str, machine: &str) -> Result<()> {
    sqlx::query!(
        "update homes set machine = $2, seen_at = clock_timestamp() where home = $1",
        home,
        machine,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Whether work of this store was ever done, or is to be done, in a data directory. A store that knows nothing of it is the
/// wrong one to say what can be removed there.
pub async fn is_known(conn: &mut PgConnection, home: &str) -> Result<bool> {
    sqlx::query_scalar!(
        r#"select exists (select from homes where home = $1) or exists (select from jobs where home = $1) as "knows!""#,
        home,
    )
    .fetch_one(conn)
    .await
}

/// Those of these datasets of which a data directory has nothing to keep: they are gone, were restored elsewhere, or their
/// restore ended badly.
pub async fn list_strays(conn: &mut PgConnection, home: &str, ids: &[DatasetId]) -> Result<Vec<DatasetId>> {
    let ids: Vec<i64> = ids.iter().map(|id| id.0).collect();
    sqlx::query_scalar!(
        r#"select here.id as "id!: DatasetId" from unnest($2::bigint[]) as here (id)
           where not exists (
               select from datasets d join jobs j on j.id = d.job_id
               where d.id = here.id and j.home = $1 and j.status not in ('failed', 'cancelled'))"#,
        home,
        &ids,
    )
    .fetch_all(conn)
    .await
}

/// Those of these datasets that are gone, wherever they were.
pub async fn list_gone(conn: &mut PgConnection, ids: &[DatasetId]) -> Result<Vec<DatasetId>> {
    let ids: Vec<i64> = ids.iter().map(|id| id.0).collect();
    sqlx::query_scalar!(
        r#"select there.id as "id!: DatasetId" from unnest($1::bigint[]) as there (id)
           where not exists (select from datasets d where d.id = there.id)"#,
        &ids,
    )
    .fetch_all(conn)
    .await
}
