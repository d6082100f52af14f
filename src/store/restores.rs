//! What the restores of datasets have found, and their logs.

use sqlx::PgConnection;
use sqlx::types::Json;

use crate::model::dataset::Inventory;
use crate::model::dataset::RestoreNote;
use crate::model::dataset::RestoreNoteKind;
use crate::model::dataset::Restored;
use crate::model::dataset::Table;
use crate::model::ids::DatasetId;
use crate::model::job::Lease;
use crate::model::user::Viewer;
use crate::store::Result;
use crate::store::statistics_files;
use crate::store::to_i64;
use crate::store::to_u64;

/// Records what a restore found. The caller settles the job in the same transaction.
pub async fn record(conn: &mut PgConnection, lease: &Lease, id: DatasetId, restored: &Restored) -> Result<()> {
    sqlx::query!(
        "update datasets set server_version = $3, encoding = $4, locale = $5, database_bytes = $6, restore_ms = $7,
                extensions = $8, settings = $9, has_imported_statistics = $10, inventory = $11
         where id = $1 and job_id = $2",
        id.0,
        lease.job_id.0,
        restored.server_version,
        restored.encoding,
        restored.locale,
        to_i64(restored.database_bytes),
        to_i64(restored.restore_ms),
        &restored.extensions,
        Json(&restored.settings) as _,
        restored.has_imported_statistics,
        Json(&restored.inventory) as Json<&Inventory>,
    )
    .execute(&mut *conn)
    .await?;
    if let Some(statistics) = &restored.statistics
        // An earlier restore of the same dump has brought it.
        && statistics_files::find_by_request(&mut *conn, id, &statistics.request_id).await?.is_none()
    {
        statistics_files::insert(&mut *conn, id, statistics).await?;
    }
    sqlx::query!("delete from dataset_tables where dataset_id = $1", id.0)
        .execute(&mut *conn)
        .await?;
    for (position, table) in (0_i32..).zip(&restored.tables) {
        sqlx::query!(
            "insert into dataset_tables (dataset_id, position, schema_name, table_name, n_rows, size_bytes, n_columns)
             values ($1, $2, $3, $4, $5, $6, $7)",
            id.0,
            position,
            table.schema_name,
            table.table_name,
            to_i64(table.n_rows),
            to_i64(table.size_bytes),
            i32::try_from(table.n_columns).unwrap_or(i32::MAX),
        )
        .execute(&mut *conn)
        .await?;
    }
    Ok(())
}

/// Replaces the restore log.
pub async fn set_notes(conn: &mut PgConnection, id: DatasetId, notes: &[RestoreNote]) -> Result<()> {
    sqlx::query!("delete from restore_notes where dataset_id = $1", id.0)
        .execute(&mut *conn)
        .await?;
    for (position, note) in (0_i32..).zip(notes) {
        sqlx::query!(
            "insert into restore_notes (dataset_id, position, kind, line, statement, reason)
             values ($1, $2, $3, $4, $5, $6)",
            id.0,
            position,
            note.kind as RestoreNoteKind,
            to_i64(note.line),
            note.statement,
            note.reason,
        )
        .execute(&mut *conn)
        .await?;
    }
    Ok(())
}

/// The relations and columns of a dataset; none while they are not known.
pub async fn inventory(conn: &mut PgConnection, viewer: Viewer, id: DatasetId) -> Result<Option<Inventory>> {
    let inventory = sqlx::query_scalar!(
        r#"select inventory as "inventory: Json<Inventory>" from datasets where id = $1 and may_see($2, datasets)"#,
        id.0,
        viewer as Viewer,
    )
    .fetch_optional(conn)
    .await?;
    Ok(inventory.flatten().map(|inventory| inventory.0))
}

/// The tables of a dataset, largest first.
pub async fn list_tables(conn: &mut PgConnection, viewer: Viewer, id: DatasetId) -> Result<Vec<Table>> {
    let rows = sqlx::query!(
        "select t.schema_name, t.table_name, t.n_rows, t.size_bytes, t.n_columns
         from dataset_tables t join datasets d on d.id = t.dataset_id
         where t.dataset_id = $1 and may_see($2, d)
         order by t.size_bytes desc, t.schema_name, t.table_name",
        id.0,
        viewer as Viewer,
    )
    .fetch_all(conn)
    .await?;
    let tables = rows.into_iter().map(|row| Table {
        schema_name: row.schema_name,
        table_name: row.table_name,
        n_rows: to_u64(row.n_rows),
        size_bytes: to_u64(row.size_bytes),
        n_columns: u32::try_from(row.n_columns).unwrap_or(0),
    });
    Ok(tables.collect())
}

/// The restore log, in the order of the file.
pub async fn list_notes(conn: &mut PgConnection, viewer: Viewer, id: DatasetId) -> Result<Vec<RestoreNote>> {
    let rows = sqlx::query!(
        r#"select n.kind as "kind: RestoreNoteKind", n.line, n.statement, n.reason
           from restore_notes n join datasets d on d.id = n.dataset_id
           where n.dataset_id = $1 and may_see($2, d)
           order by n.position"#,
        id.0,
        viewer as Viewer,
    )
    .fetch_all(conn)
    .await?;
    let notes = rows.into_iter().map(|row| RestoreNote {
        kind: row.kind,
        line: to_u64(row.line),
        statement: row.statement,
        reason: row.reason,
    });
    Ok(notes.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::dataset::Setting;
    use crate::model::job::JobStatus;
    use crate::store::datasets;
    use crate::store::queue;
    use crate::testing::world::World;

    fn restored() -> Restored {
        let table = |name: &str, n_rows, size_bytes| Table {
            schema_name: "public".to_owned(),
            table_name: name.to_owned(),
            n_rows,
            size_bytes,
            n_columns: 3,
        };
        Restored {
            server_version: "15.18".to_owned(),
            encoding: "UTF8".to_owned(),
            locale: "C".to_owned(),
            database_bytes: 8 << 20,
            restore_ms: 120,
            extensions: vec!["hstore 1.8".to_owned()],
            settings: vec![Setting {
                name: "work_mem".to_owned(),
                value: "64MB".to_owned(),
            }],
            has_imported_statistics: true,
            statistics: None,
            tables: vec![table("small", 3, 8192), table("large", 10, 65536)],
            inventory: Inventory::default(),
        }
    }

    #[tokio::test]
    async fn a_dataset_comes_back_with_what_its_restore_found() {
        let world = World::new().await;
        let (id, _) = world.dataset("shop").await;
        let lease = world.claim("a").await.unwrap().lease;
        let mut conn = world.conn().await;
        assert_eq!(datasets::get_by_job(&mut conn, &lease).await.unwrap().unwrap().id, id);
        record(&mut conn, &lease, id, &restored()).await.unwrap();
        // A second attempt replaces what the first found.
        record(&mut conn, &lease, id, &restored()).await.unwrap();
        let note = RestoreNote {
            kind: RestoreNoteKind::Skipped,
            line: 7,
            statement: "GRANT ALL ON t TO x".to_owned(),
            reason: "privileges are not restored".to_owned(),
        };
        set_notes(&mut conn, id, std::slice::from_ref(&note)).await.unwrap();
        assert!(
            queue::settle(&mut conn, &lease, JobStatus::Completed, None)
                .await
                .unwrap()
        );

        let dataset = datasets::get(&mut conn, world.viewer, id).await.unwrap().unwrap();
        assert_eq!((dataset.n_tables, dataset.n_rows), (2, 13));
        assert_eq!(
            (dataset.format.as_str(), dataset.compression.as_str()),
            ("custom archive", "zstd")
        );
        assert_eq!(dataset.settings, restored().settings);
        assert_eq!(dataset.job.status, JobStatus::Completed);
        assert_eq!(list_notes(&mut conn, world.viewer, id).await.unwrap(), [note]);
        let tables = list_tables(&mut conn, world.viewer, id).await.unwrap();
        assert_eq!(
            tables.iter().map(|table| table.table_name.as_str()).collect::<Vec<_>>(),
            ["large", "small"]
        );
    }
}
