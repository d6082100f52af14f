//! Statistics files of datasets.

use sqlx::PgConnection;
use sqlx::types::Json;

use crate::model::ids::DatasetId;
use crate::model::ids::StatisticsFileId;
use crate::model::statistics_file::FileFormat;
use crate::model::statistics_file::NewStatisticsFile;
use crate::model::statistics_file::StatisticsFile;
use crate::model::statistics_file::StatisticsFileInfo;
use crate::model::user::Viewer;
use crate::store::Result;
use crate::store::to_i64;
use crate::store::to_u64;

/// Selects files without their contents; the tail says which.
macro_rules! select_files {
    ($tail:literal, $($bind:expr),* $(,)?) => {
        sqlx::query_as!(
            FileRow,
            r#"select f.id as "id: StatisticsFileId", f.name, f.format, f.size_bytes, f.sha256, f.created_at,
                      f.server_version_num, f.exported_at, f.n_relations, f.n_columns
               from statistics_files f join datasets d on d.id = f.dataset_id "# + $tail,
            $($bind),*
        )
    };
}

struct FileRow {
    id: StatisticsFileId,
    name: String,
    format: String,
    size_bytes: i64,
    sha256: String,
    created_at: chrono::DateTime<chrono::Utc>,
    server_version_num: Option<i32>,
    exported_at: Option<chrono::DateTime<chrono::Utc>>,
    n_relations: i64,
    n_columns: i64,
}

impl From<FileRow> for StatisticsFileInfo {
    fn from(row: FileRow) -> Self {
        Self {
            id: row.id,
            name: row.name,
            // Only words of ours are stored.
            format: FileFormat::of_word(&row.format).unwrap_or(FileFormat::Json),
            size_bytes: to_u64(row.size_bytes),
            sha256: row.sha256,
            created_at: row.created_at,
            server_version_num: row.server_version_num.and_then(|version| u32::try_from(version).ok()),
            exported_at: row.exported_at,
            n_relations: to_u64(row.n_relations),
            n_columns: to_u64(row.n_columns),
        }
    }
}

/// Keeps a file for a dataset; a name that is taken there gets a number behind it.
///
/// The caller has seen to it that the dataset is the viewer's.
pub async fn insert(
    conn: &mut PgConnection,
    dataset_id: DatasetId,
    new: &NewStatisticsFile,
) -> Result<StatisticsFileId> {
    let taken = sqlx::query_scalar!("select name from statistics_files where dataset_id = $1", dataset_id.0)
        .fetch_all(&mut *conn)
        .await?;
    sqlx::query_scalar!(
        r#"insert into statistics_files (dataset_id, request_id, name, format, size_bytes, sha256, server_version_num,
                                         exported_at, n_relations, n_columns, contents)
           values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) returning id as "id: StatisticsFileId""#,
        dataset_id.0,
        new.request_id,
        free_name(&new.name, &taken),
        new.format.word(),
        to_i64(new.size_bytes),
        new.sha256,
        new.contents
            .server_version_num
            .and_then(|version| i32::try_from(version).ok()),
        new.contents.exported_at,
        to_i64(new.contents.relations.len() as u64),
        to_i64(new.contents.columns.len() as u64),
        Json(&new.contents) as Json<&StatisticsFile>,
    )
    .fetch_one(conn)
    .await
}

/// The name itself, or the first free one of `name (2)`, `name (3)`, ...
fn free_name(name: &str, taken: &[String]) -> String {
    let numbered = (2..).map(|n| format!("{name} ({n})"));
    let mut names = std::iter::once(name.to_owned()).chain(numbered);
    names.find(|name| !taken.contains(name)).expect("numbers do not end")
}

/// The file that an earlier sending of the same form made.
pub async fn find_by_request(
    conn: &mut PgConnection,
    dataset_id: DatasetId,
    request_id: &str,
) -> Result<Option<StatisticsFileId>> {
    sqlx::query_scalar!(
        r#"select id as "id: StatisticsFileId" from statistics_files where dataset_id = $1 and request_id = $2"#,
        dataset_id.0,
        request_id,
    )
    .fetch_optional(conn)
    .await
}

/// The files of a dataset, newest first.
pub async fn list(conn: &mut PgConnection, viewer: Viewer, dataset_id: DatasetId) -> Result<Vec<StatisticsFileInfo>> {
    let rows = select_files!(
        "where f.dataset_id = $1 and may_see($2, d) order by f.id desc limit 1000",
        dataset_id.0,
        viewer as Viewer,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(StatisticsFileInfo::from).collect())
}

/// One file with the dataset that it is kept for; none when there is no such file for this viewer.
pub async fn get(
    conn: &mut PgConnection,
    viewer: Viewer,
    id: StatisticsFileId,
) -> Result<Option<(DatasetId, StatisticsFileInfo)>> {
    let row = select_files!("where f.id = $1 and may_see($2, d)", id.0, viewer as Viewer)
        .fetch_optional(&mut *conn)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let dataset_id = sqlx::query_scalar!(
        r#"select dataset_id as "id: DatasetId" from statistics_files where id = $1"#,
        id.0
    )
    .fetch_optional(conn)
    .await?;
    Ok(dataset_id.map(|dataset_id| (dataset_id, row.into())))
}

/// What a file says; none when there is no such file for this viewer.
pub async fn contents(conn: &mut PgConnection, viewer: Viewer, id: StatisticsFileId) -> Result<Option<StatisticsFile>> {
    let contents = sqlx::query_scalar!(
        r#"select f.contents as "contents: Json<StatisticsFile>"
           from statistics_files f join datasets d on d.id = f.dataset_id where f.id = $1 and may_see($2, d)"#,
        id.0,
        viewer as Viewer,
    )
    .fetch_optional(conn)
    .await?;
    Ok(contents.map(|contents| contents.0))
}

/// The file of this name that is kept for a dataset, with its checksum; none when it is gone.
pub async fn find_by_name(
    conn: &mut PgConnection,
    viewer: Viewer,
    dataset_id: DatasetId,
    name: &str,
) -> Result<Option<(StatisticsFile, String)>> {
    let row = sqlx::query!(
        r#"select f.contents as "contents: Json<StatisticsFile>", f.sha256
           from statistics_files f join datasets d on d.id = f.dataset_id
           where d.id = $1 and may_see($2, d) and f.name = $3"#,
        dataset_id.0,
        viewer as Viewer,
        name,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| (row.contents.0, row.sha256)))
}

/// Removes a file, unless an experiment or a benchmark that waits or runs names it. Returns false when it is in use or not there.
pub async fn delete_unused(conn: &mut PgConnection, viewer: Viewer, id: StatisticsFileId) -> Result<bool> {
    let done = sqlx::query!(
        "delete from statistics_files f using datasets d
         where f.id = $1 and d.id = f.dataset_id and may_change($2, d) and not exists (
             select from experiments e join jobs j on j.id = e.job_id
             join experiment_sources s on s.experiment_id = e.id
             where e.dataset_id = f.dataset_id and j.status in ('queued', 'running')
               and s.name = 'imported' and s.params ->> 'file' = f.name)
           and not exists (
             select from benchmarks b join jobs j on j.id = b.job_id
             cross join jsonb_array_elements(b.spec -> 'sources') s
             where b.dataset_id = f.dataset_id and j.status in ('queued', 'running')
               and s ->> 'name' = 'imported' and s -> 'params' ->> 'file' = f.name)",
        id.0,
        viewer as Viewer,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_taken_gets_the_first_free_number() {
        let taken = ["a".to_owned(), "a (2)".to_owned(), "b (2)".to_owned()];
        for (name, free) in [("a", "a (3)"), ("b", "b"), ("a (2)", "a (2) (2)")] {
            assert_eq!(free_name(name, &taken), free);
        }
    }
}
