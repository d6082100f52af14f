//! Data directories: which machine has them, and when a process in one was last there.

use sqlx::PgConnection;

use crate::model::ids::DatasetId;
use crate::store::Result;

/// Notes that a process is there in a data directory, and on which machine, where the store knows the directory.
pub async fn note(conn: &mut PgConnection, home: &str, machine: &str) -> Result<()> {
    sqlx::query!(
        "insert into homes (home, machine) select $1, $2 where exists (select from jobs where home = $1)
         on conflict (home) do update set machine = excluded.machine, seen_at = clock_timestamp()",
        home,
        machine,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Whether a dataset of this store was ever restored, or is to be restored, in a data directory. A store that knows of none
/// is the wrong one to say which can be removed there; other work of it may be done anywhere.
pub async fn is_known(conn: &mut PgConnection, home: &str) -> Result<bool> {
    sqlx::query_scalar!(r#"select exists (select from jobs where home = $1) as "knows!""#, home,)
        .fetch_one(conn)
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
