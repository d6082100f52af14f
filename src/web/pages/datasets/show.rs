//! One dataset with its restore, its tables and its log.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::format;
use super::status::StatusView;
use crate::dataset::service::Datasets;
use crate::dataset::statistics_file::MAX_STATISTICS_BYTES;
use crate::model::dataset::Dataset;
use crate::model::dataset::RestoreNoteKind;
use crate::model::dataset::Setting;
use crate::model::dataset::Table;
use crate::model::filing::Filed;
use crate::model::ids::DatasetId;
use crate::model::job::Interrupted;
use crate::model::job::JobStatus;
use crate::model::statistics_file::StatisticsFileInfo;
use crate::model::statistics_file::version_in_words;
use crate::model::units::bytes_in_words;
use crate::model::units::counted;
use crate::model::units::grouped;
use crate::model::units::ms_in_words;
use crate::model::user::Viewer;
use crate::store;
use crate::web::error::Error;
use crate::web::extract::address::Query as UrlQuery;
use crate::web::extract::id::Id;
use crate::web::extract::user::CurrentUser;
use crate::web::fragment;
use crate::web::fragment::Hx;
use crate::web::pages::filing::FilingView;
use crate::web::pages::queue;
use crate::web::pages::restore_log;
use crate::web::pages::restore_log::NoteGroup;
use crate::web::pages::sharing::Standing;
use crate::web::urls;
use crate::web::view;

#[derive(Template)]
#[template(path = "datasets/show.html", blocks = ["status"])]
struct ShowPage {
    name: String,
    status: StatusView,
    facts: Vec<Setting>,
    /// What kept the restore from going on; each time it began again.
    interruptions: Vec<String>,
    same_content: Option<(String, String)>,
    settings: Vec<Setting>,
    /// While the server is shared with other datasets.
    warning: Option<&'static str>,
    tables: Vec<TableLine>,
    total: TableLine,
    /// To larger tables, and to smaller ones.
    larger_href: Option<String>,
    smaller_href: Option<String>,
    /// None for a dataset that never came to be.
    statistics: Option<StatisticsSection>,
    log: Vec<NoteGroup>,
    has_failures: bool,
    n_notes: String,
    experiment_href: String,
    delete_href: String,
    standing: Standing,
    filing: FilingView,
}

/// The statistics files of a dataset, and the form that brings another.
struct StatisticsSection {
    files: Vec<StatisticsLine>,
    href: String,
    request_id: String,
    help: String,
    /// Why a file was not taken.
    error: Option<String>,
}

struct StatisticsLine {
    href: String,
    name: String,
    form: &'static str,
    server: String,
    n_columns: String,
    size: String,
    date: String,
    at: String,
}

struct TableLine {
    name: String,
    n_rows: String,
    size: String,
    n_columns: String,
}

/// GET /datasets/{id}
pub(super) async fn show(
    State(datasets): State<Datasets>,
    CurrentUser(viewer): CurrentUser,
    Id(id): Id<DatasetId>,
    UrlQuery(pairs): UrlQuery<Vec<(String, String)>>,
) -> Result<Response, Error> {
    let page = pairs.iter().find(|(name, _)| name == TABLES);
    // One that means nothing is the first.
    let page = page.and_then(|(_, page)| page.parse().ok()).unwrap_or(0);
    fragment::page(&ShowPage::load(&datasets, viewer, id, page).await?)
}

/// GET /datasets/{id}/status
pub(super) async fn status(
    State(datasets): State<Datasets>,
    CurrentUser(viewer): CurrentUser,
    hx: Hx,
    Id(id): Id<DatasetId>,
) -> Result<Response, Error> {
    hx.require_fragment_of(&urls::dataset(id))?;
    let page = ShowPage::load(&datasets, viewer, id, 0).await?;
    if page.status.poll_href.is_some() {
        return fragment::page(&page.as_status());
    }
    let said = format!("{} is {}", page.name, page.status.word);
    fragment::last_poll(&page.as_status(), &said, "restore-settled")
}

/// The page of a dataset with the words beside the form for statistics.
pub async fn refused_statistics(
    datasets: &Datasets,
    viewer: Viewer,
    id: DatasetId,
    status: StatusCode,
    message: String,
) -> Result<Response, Error> {
    let mut page = ShowPage::load(datasets, viewer, id, 0).await?;
    if let Some(section) = &mut page.statistics {
        section.error = Some(message);
    }
    fragment::with_status(status, &page)
}

fn has_place_for_statistics(status: JobStatus) -> bool {
    match status {
        JobStatus::Queued | JobStatus::Running | JobStatus::Completed => true,
        JobStatus::Failed | JobStatus::Cancelled => false,
    }
}

impl StatisticsSection {
    fn new(id: DatasetId, files: &[StatisticsFileInfo]) -> anyhow::Result<Self> {
        Ok(Self {
            files: files.iter().map(StatisticsLine::new).collect(),
            href: urls::dataset_statistics(id),
            request_id: view::request_id()?,
            help: format!(
                "JSON of pgassay or the output of pg_dump --statistics-only, at most {}. It is compared with this dataset.",
                bytes_in_words(MAX_STATISTICS_BYTES as u64)
            ),
            error: None,
        })
    }
}

impl StatisticsLine {
    fn new(file: &StatisticsFileInfo) -> Self {
        Self {
            href: urls::statistics_file(file.id),
            name: file.name.clone(),
            form: file.format.word(),
            server: file.server_version_num.map_or_else(
                || "–".to_owned(),
                |version| format!("PostgreSQL {}", version_in_words(version)),
            ),
            n_columns: grouped(file.n_columns),
            size: bytes_in_words(file.size_bytes),
            date: view::date(file.created_at),
            at: view::rfc3339(file.created_at),
        }
    }
}

impl ShowPage {
    async fn load(datasets: &Datasets, viewer: Viewer, id: DatasetId, page: usize) -> Result<Self, Error> {
        let mut conn = datasets.pool.acquire().await?;
        let dataset = store::datasets::get(&mut conn, viewer, id).await?;
        let dataset = dataset.ok_or(Error::NotFound("dataset"))?;
        let tables = store::restores::list_tables(&mut conn, viewer, id).await?;
        let notes = store::restores::list_notes(&mut conn, viewer, id).await?;
        let interruptions = store::jobs::list_interruptions(&mut conn, viewer, dataset.job.id).await?;
        let statistics = store::statistics_files::list(&mut conn, viewer, id).await?;
        let waits_for = match dataset.job.status {
            JobStatus::Queued => {
                let jobs = store::jobs::list_unsettled(&mut conn, viewer, Some(dataset.job.id)).await?;
                queue::waits_for(&jobs, dataset.job.id)
            }
            _ => String::new(),
        };
        let standing = Standing::load(&mut conn, viewer, Filed::Dataset(id)).await?;
        drop(conn);
        let same = datasets.same_content(viewer, &dataset).await?;
        Ok(Self {
            name: dataset.name.clone(),
            status: StatusView::new(&dataset, waits_for),
            warning: datasets.warning(),
            facts: facts(&dataset),
            interruptions: interruptions.iter().map(Interrupted::in_words).collect(),
            same_content: same.map(|other| (urls::dataset(other.id), other.name)),
            settings: dataset.settings.clone(),
            total: TableLine::total(&tables),
            tables: on_page(&tables, page).iter().map(TableLine::new).collect(),
            larger_href: page.checked_sub(1).map(|page| tables_href(id, page)),
            smaller_href: (!on_page(&tables, page.saturating_add(1)).is_empty())
                .then(|| tables_href(id, page.saturating_add(1))),
            n_notes: grouped(notes.len() as u64),
            has_failures: notes.iter().any(|note| note.kind == RestoreNoteKind::Failed),
            statistics: has_place_for_statistics(dataset.job.status)
                .then(|| StatisticsSection::new(id, &statistics))
                .transpose()?,
            log: restore_log::group(notes),
            experiment_href: urls::experiment_on(Some(id), None),
            delete_href: urls::dataset_delete(id),
            filing: FilingView::new(Filed::Dataset(id), &dataset.filing, &standing),
            standing,
        })
    }
}

/// Which of its pages of tables an address asks for.
const TABLES: &str = "tables";
/// A dump may make thousands of tables.
const TABLES_PER_PAGE: usize = 200;

fn on_page(tables: &[Table], page: usize) -> &[Table] {
    let begin = page.saturating_mul(TABLES_PER_PAGE).min(tables.len());
    let end = begin.saturating_add(TABLES_PER_PAGE).min(tables.len());
    &tables[begin..end]
}

fn tables_href(id: DatasetId, page: usize) -> String {
    let page = page.to_string();
    urls::with_query(&urls::dataset(id), [(TABLES, page.as_str())])
}

fn facts(dataset: &Dataset) -> Vec<Setting> {
    let pairs = [
        ("File", Some(dataset.file_name.clone())),
        ("Format", Some(format(dataset))),
        ("Size of the file", Some(bytes_in_words(dataset.size_bytes))),
        ("Uploaded, UTC", Some(view::date(dataset.created_at))),
        ("Restored in", dataset.restore_ms.map(restore_time)),
        ("Restored on", dataset.place.as_ref().map(|place| place.machine.clone())),
        (
            "Dump kept",
            dataset
                .is_in_depot
                .then(|| "in the depot, from where any machine can restore it".to_owned()),
        ),
        ("Size of the database", dataset.database_bytes.map(bytes_in_words)),
        (
            "Server",
            dataset
                .server_version
                .as_ref()
                .map(|version| format!("PostgreSQL {version}")),
        ),
        ("Encoding", dataset.encoding.clone()),
        ("Locale", dataset.locale.clone()),
        (
            "Extensions",
            (!dataset.extensions.is_empty()).then(|| dataset.extensions.join(", ")),
        ),
        (
            "Statistics in the dump",
            dataset
                .has_imported_statistics
                .then(|| "yes, a statistics file of this dataset and not applied".to_owned()),
        ),
        ("SHA-256", Some(dataset.sha256.clone())),
    ];
    let known = pairs.into_iter().filter_map(|(name, value)| {
        Some(Setting {
            name: name.to_owned(),
            value: value?,
        })
    });
    known.collect()
}

#[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
fn restore_time(ms: u64) -> String {
    ms_in_words(ms as f64)
}

impl TableLine {
    fn new(table: &Table) -> Self {
        let name = match table.schema_name.as_str() {
            "public" => table.table_name.clone(),
            schema => format!("{schema}.{}", table.table_name),
        };
        Self {
            name,
            n_rows: grouped(table.n_rows),
            size: bytes_in_words(table.size_bytes),
            n_columns: grouped(table.n_columns.into()),
        }
    }

    fn total(tables: &[Table]) -> Self {
        Self {
            name: counted(tables.len() as u64, "table", "tables"),
            n_rows: grouped(tables.iter().map(|table| table.n_rows).sum()),
            size: bytes_in_words(tables.iter().map(|table| table.size_bytes).sum()),
            n_columns: grouped(tables.iter().map(|table| u64::from(table.n_columns)).sum()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_is_on_one_page_and_none_is_behind_the_last() {
        let table = |n: u64| Table {
            schema_name: "public".to_owned(),
            table_name: format!("t{n}"),
            n_rows: n,
            size_bytes: n,
            n_columns: 1,
        };
        let tables: Vec<Table> = (0..450).map(table).collect();
        let sizes: Vec<usize> = (0..4).map(|page| on_page(&tables, page).len()).collect();
        assert_eq!(sizes, [200, 200, 50, 0]);
        assert_eq!(on_page(&tables, 2)[0].n_rows, 400);
        assert!(on_page(&tables, usize::MAX).is_empty() && on_page(&[], 0).is_empty());
        assert_eq!(tables_href(DatasetId(7), 2), "/datasets/7?tables=2");
    }
}
