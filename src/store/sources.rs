//! The sources of an experiment and what preparing them produced.

use sqlx::PgConnection;
use sqlx::types::Json;

use crate::model::experiment::Alteration;
use crate::model::experiment::Params;
use crate::model::experiment::PreparedSource;
use crate::model::experiment::SourceNote;
use crate::model::experiment::SourceSpec;
use crate::model::ids::DatasetId;
use crate::model::ids::ExperimentId;
use crate::model::job::Lease;
use crate::model::snapshot::ColumnTarget;
use crate::model::snapshot::Snapshot;
use crate::model::snapshot::StatisticsObject;
use crate::model::user::Viewer;
use crate::store::Result;
use crate::store::to_i64;
use crate::store::to_u64;

/// Stores the wished sources of a new experiment.
pub(crate) async fn insert_specs(conn: &mut PgConnection, id: ExperimentId, sources: &[SourceSpec]) -> Result<()> {
    for (source_idx, source) in (0_i32..).zip(sources) {
        sqlx::query!(
            "insert into experiment_sources (experiment_id, source_idx, name, label, params) values ($1, $2, $3, $4, $5)",
            id.0,
            source_idx,
            source.name,
            source.label,
            Json(&source.params) as Json<&Params>,
        )
        .execute(&mut *conn)
        .await?;
    }
    Ok(())
}

/// Keeps what preparing a source produced.
pub async fn set_prepared(
    conn: &mut PgConnection,
    lease: &Lease,
    id: ExperimentId,
    prepared: &PreparedSource,
    snapshot: &Snapshot,
) -> Result<()> {
    sqlx::query!(
        "update experiment_sources set snapshot = $3, snapshot_sha256 = $4, targets = $5, apply_ms = $6, notes = $7,
                                       objects = $8, statistics_bytes = $11, alteration = $12
         where experiment_id = $1 and source_idx = $2
           and exists (select from jobs where id = $9 and epoch = $10 and status = 'running')",
        id.0,
        prepared.source_idx,
        Json(snapshot) as Json<&Snapshot>,
        prepared.snapshot_sha256,
        Json(&prepared.targets) as Json<&Vec<ColumnTarget>>,
        prepared.apply_ms,
        Json(&prepared.notes) as Json<&Vec<SourceNote>>,
        Json(&prepared.objects) as Json<&Vec<StatisticsObject>>,
        lease.job_id.0,
        lease.epoch,
        prepared.statistics_bytes.map(to_i64),
        prepared.alteration.as_ref().map(Json) as Option<Json<&Alteration>>,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Keeps a snapshot that a new experiment is given: nothing has to be gathered for this source.
pub async fn set_given(
    conn: &mut PgConnection,
    viewer: Viewer,
    id: ExperimentId,
    given: &PreparedSource,
    snapshot: &Snapshot,
) -> Result<()> {
    sqlx::query!(
        "update experiment_sources s set snapshot = $3, snapshot_sha256 = $4, targets = $5, apply_ms = $6,
                                         statistics_bytes = $7, notes = $8, objects = $9, alteration = $11
         from experiments e
         where s.experiment_id = $1 and s.source_idx = $2 and e.id = s.experiment_id and may_change($10, e)",
        id.0,
        given.source_idx,
        Json(snapshot) as Json<&Snapshot>,
        given.snapshot_sha256,
        Json(&given.targets) as Json<&Vec<ColumnTarget>>,
        given.apply_ms,
        given.statistics_bytes.map(to_i64),
        Json(&given.notes) as Json<&Vec<SourceNote>>,
        Json(&given.objects) as Json<&Vec<StatisticsObject>>,
        viewer as Viewer,
        given.alteration.as_ref().map(Json) as Option<Json<&Alteration>>,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The snapshots of an experiment in the order of its sources, with their checksums; none where a source is not prepared.
pub async fn list_snapshots(conn: &mut PgConnection, id: ExperimentId) -> Result<Vec<Option<(Snapshot, String)>>> {
    let rows = sqlx::query!(
        r#"select snapshot as "snapshot: Json<Snapshot>", snapshot_sha256 from experiment_sources
           where experiment_id = $1 order by source_idx"#,
        id.0,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Some((row.snapshot?.0, row.snapshot_sha256?)))
        .collect())
}

/// The snapshot of one source; none where it is not prepared.
pub async fn get_snapshot(
    conn: &mut PgConnection,
    viewer: Viewer,
    id: ExperimentId,
    source_idx: i32,
) -> Result<Option<Snapshot>> {
    let snapshot = sqlx::query_scalar!(
        r#"select s.snapshot as "snapshot: Json<Snapshot>"
           from experiment_sources s join experiments e on e.id = s.experiment_id
           where s.experiment_id = $1 and may_see($2, e) and s.source_idx = $3"#,
        id.0,
        viewer as Viewer,
        source_idx,
    )
    .fetch_optional(conn)
    .await?;
    Ok(snapshot.flatten().map(|snapshot| snapshot.0))
}

/// The statistics objects that the sources of an experiment need, in the order in which they were made.
pub async fn list_objects(conn: &mut PgConnection, id: ExperimentId) -> Result<Vec<StatisticsObject>> {
    let rows = sqlx::query_scalar!(
        r#"select objects as "objects: Json<Vec<StatisticsObject>>" from experiment_sources
           where experiment_id = $1 order by source_idx"#,
        id.0,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().flat_map(|objects| objects.0).collect())
}

/// What each source changed in an annex; none where it has none or is not prepared.
pub async fn list_alterations(conn: &mut PgConnection, id: ExperimentId) -> Result<Vec<Option<Alteration>>> {
    let rows = sqlx::query_scalar!(
        r#"select alteration as "alteration: Json<Alteration>" from experiment_sources
           where experiment_id = $1 order by source_idx"#,
        id.0,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|alteration| alteration.map(|alteration| alteration.0))
        .collect())
}

/// What preparing each source produced, for pages.
pub async fn list_prepared(conn: &mut PgConnection, viewer: Viewer, id: ExperimentId) -> Result<Vec<PreparedSource>> {
    let rows = sqlx::query!(
        r#"select s.source_idx, s.snapshot_sha256 as "snapshot_sha256!", s.targets as "targets!: Json<Vec<ColumnTarget>>",
                  s.apply_ms as "apply_ms!", jsonb_array_length(s.snapshot -> 'columns') as "n_statistics!",
                  s.statistics_bytes, s.notes as "notes!: Json<Vec<SourceNote>>",
                  s.objects as "objects!: Json<Vec<StatisticsObject>>",
                  s.alteration as "alteration: Json<Alteration>"
           from experiment_sources s join experiments e on e.id = s.experiment_id
           where s.experiment_id = $1 and may_see($2, e) and s.snapshot is not null
           order by s.source_idx"#,
        id.0,
        viewer as Viewer,
    )
    .fetch_all(conn)
    .await?;
    let prepared = rows.into_iter().map(|row| PreparedSource {
        source_idx: row.source_idx,
        snapshot_sha256: row.snapshot_sha256,
        targets: row.targets.0,
        apply_ms: row.apply_ms,
        n_statistics: to_u64(row.n_statistics.into()),
        statistics_bytes: row.statistics_bytes.map(to_u64),
        notes: row.notes.0,
        objects: row.objects.0,
        alteration: row.alteration.map(|alteration| alteration.0),
    });
    Ok(prepared.collect())
}

/// The newest snapshot that the source `built_in` gave of a dataset, with the experiment it was prepared for.
pub async fn newest_built_in(
    conn: &mut PgConnection,
    viewer: Viewer,
    dataset_id: DatasetId,
) -> Result<Option<(ExperimentId, Snapshot)>> {
    let row = sqlx::query!(
        r#"select e.id as "id: ExperimentId", s.snapshot as "snapshot!: Json<Snapshot>"
           from experiment_sources s join experiments e on e.id = s.experiment_id
           where e.dataset_id = $1 and may_see($2, e) and s.name = 'built_in' and s.snapshot is not null
           order by e.id desc, s.source_idx limit 1"#,
        dataset_id.0,
        viewer as Viewer,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| (row.id, row.snapshot.0)))
}
