//! Statistics files: how they come out of a server, how they come in, and what each of them has for its dataset.

use askama::Template;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::extract::Multipart;
use axum::extract::State;
use axum::extract::multipart::MultipartRejection;
use axum::http::HeaderMap;
use axum::http::HeaderValue;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::IntoResponse as _;
use axum::response::Response;
use axum::routing::get;
use axum::routing::post;

use crate::dataset::service::Datasets;
use crate::dataset::statistics_file::Arrived;
use crate::dataset::statistics_file::Deleted;
use crate::dataset::statistics_file::MAX_STATISTICS_BYTES;
use crate::dataset::statistics_file::Shown;
use crate::dataset::statistics_file::StatisticsFileError;
use crate::dataset::statistics_file::compare::Comparison;
use crate::model::dataset::Setting;
use crate::model::filing::Filed;
use crate::model::ids::DatasetId;
use crate::model::ids::StatisticsFileId;
use crate::model::statistics_file::SizeDifference;
use crate::model::statistics_file::StatisticsFileInfo;
use crate::model::statistics_file::version_in_words;
use crate::model::units::bytes_in_words;
use crate::model::units::counted;
use crate::model::units::grouped;
use crate::model::user::Viewer;
use crate::snapshot::export;
use crate::web::error::Error;
use crate::web::error::PageResult;
use crate::web::extract::id::Id;
use crate::web::extract::parts;
use crate::web::extract::user::CurrentUser;
use crate::web::fragment;
use crate::web::fragment::Hx;
use crate::web::pages::datasets;
use crate::web::pages::sharing;
use crate::web::pages::sharing::Standing;
use crate::web::state::AppState;
use crate::web::urls;
use crate::web::view;

/// A list of names is shown up to here, and then counted.
const MOST_NAMES: usize = 200;

pub fn router() -> Router<AppState> {
    // The form has a limit of its own, which answers in words.
    Router::new()
        .route(urls::STATISTICS_EXPORT, get(exporting))
        .route(urls::STATISTICS_EXPORT_SQL, get(export_sql))
        .route(
            "/datasets/{id}/statistics",
            post(create).layer(DefaultBodyLimit::disable()),
        )
        .route("/statistics/{id}", get(show))
        .route("/statistics/{id}/delete", get(delete).post(destroy))
}

#[derive(Template)]
#[template(path = "statistics_files/export.html")]
struct ExportPage {
    sql: &'static str,
}

#[derive(Template)]
#[template(path = "statistics_files/show.html")]
struct ShowPage {
    standing: Standing,
    name: String,
    dataset_name: String,
    dataset_href: String,
    experiment_href: String,
    delete_href: String,
    facts: Vec<Setting>,
    /// None while it is not known what the dataset holds.
    comparison: Option<ComparisonView>,
}

struct ComparisonView {
    fits: bool,
    n_matching: String,
    sizes: Vec<SizeLine>,
    /// What either side lacks, list by list; empty ones are not among them.
    lists: Vec<Names>,
}

struct SizeLine {
    table: String,
    exported: String,
    real: String,
    factor: String,
}

struct Names {
    title: &'static str,
    about: &'static str,
    count: String,
    names: Vec<String>,
    more: String,
}

#[derive(Template)]
#[template(path = "statistics_files/delete.html")]
struct DeletePage {
    name: String,
    dataset_name: String,
    href: String,
    delete_href: String,
    refusal: Option<&'static str>,
}

/// GET /statistics/export
async fn exporting() -> Result<Response, Error> {
    fragment::page(&ExportPage { sql: export::SQL })
}

/// GET /statistics/export.sql
async fn export_sql() -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/sql; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"export.sql\""),
    ];
    (headers, export::SQL).into_response()
}

/// POST /datasets/{id}/statistics
async fn create(
    State(datasets): State<Datasets>,
    CurrentUser(viewer): CurrentUser,
    Id(id): Id<DatasetId>,
    hx: Hx,
    headers: HeaderMap,
    form: Result<Multipart, MultipartRejection>,
) -> Result<Response, Error> {
    sharing::require_own(&mut *datasets.pool.acquire().await?, viewer, Filed::Dataset(id)).await?;
    match take(&datasets, viewer, id, &headers, form).await {
        Ok(file_id) => Ok(hx.redirect(&urls::statistics_file(file_id))),
        Err(Error::Refused { status, message }) => {
            let mut response = datasets::refused_statistics(&datasets, viewer, id, status, message).await?;
            // A body that was not read to its end cannot be followed by another request.
            if status == StatusCode::PAYLOAD_TOO_LARGE {
                let close = HeaderValue::from_static("close");
                response.headers_mut().insert(header::CONNECTION, close);
            }
            Ok(response)
        }
        Err(error) => Err(error),
    }
}

async fn take(
    datasets: &Datasets,
    viewer: Viewer,
    id: DatasetId,
    headers: &HeaderMap,
    form: Result<Multipart, MultipartRejection>,
) -> PageResult<StatisticsFileId> {
    if parts::says_longer_than(headers, MAX_STATISTICS_BYTES as u64) {
        return Err(StatisticsFileError::TooLarge.into());
    }
    let mut form = parts::form(form)?;
    let mut request_id = String::new();
    let mut file: Option<(String, Vec<u8>)> = None;
    while let Some(field) = parts::next(&mut form).await? {
        match field.name() {
            Some("request_id") => request_id = parts::word(field).await?,
            Some("file") if file.is_some() => return Err(Error::refused("Send one file at a time.")),
            Some("file") => {
                let file_name = field.file_name().unwrap_or_default().to_owned();
                if file_name.is_empty() {
                    return Err(Error::refused("Choose a statistics file first."));
                }
                let bytes = parts::bytes(field, MAX_STATISTICS_BYTES).await?;
                if bytes.len() > MAX_STATISTICS_BYTES {
                    return Err(StatisticsFileError::TooLarge.into());
                }
                file = Some((file_name, bytes));
            }
            _ => {}
        }
    }
    let (file_name, bytes) = file.ok_or_else(|| Error::refused("Choose a statistics file first."))?;
    let arrived = Arrived {
        request_id: view::request_id_or(request_id)?,
        file_name,
        bytes,
    };
    Ok(datasets.add_statistics(viewer, id, arrived).await?)
}

/// GET /statistics/{id}
async fn show(
    State(datasets): State<Datasets>,
    CurrentUser(viewer): CurrentUser,
    Id(id): Id<StatisticsFileId>,
) -> Result<Response, Error> {
    let shown = load(&datasets, viewer, id).await?;
    let dataset = Filed::Dataset(shown.dataset_id);
    let standing = Standing::load(&mut *datasets.pool.acquire().await?, viewer, dataset).await?;
    fragment::page(&ShowPage::new(shown, standing))
}

/// GET /statistics/{id}/delete
async fn delete(
    State(datasets): State<Datasets>,
    CurrentUser(viewer): CurrentUser,
    Id(id): Id<StatisticsFileId>,
) -> Result<Response, Error> {
    let shown = load_own(&datasets, viewer, id).await?;
    fragment::page(&DeletePage::new(&shown))
}

/// POST /statistics/{id}/delete
async fn destroy(
    State(datasets): State<Datasets>,
    CurrentUser(viewer): CurrentUser,
    hx: Hx,
    Id(id): Id<StatisticsFileId>,
) -> Result<Response, Error> {
    let shown = load_own(&datasets, viewer, id).await?;
    match datasets.delete_statistics(viewer, id).await? {
        Deleted::Done => Ok(hx.redirect(&urls::dataset(shown.dataset_id))),
        Deleted::InUse => {
            let mut page = DeletePage::new(&shown);
            page.refusal =
                Some("An experiment or a benchmark that waits or runs needs this file. Wait for it, or stop it first.");
            fragment::with_status(StatusCode::CONFLICT, &page)
        }
    }
}

async fn load(datasets: &Datasets, viewer: Viewer, id: StatisticsFileId) -> Result<Shown, Error> {
    let shown = datasets.statistics_file(viewer, id).await?;
    shown.ok_or(Error::NotFound("statistics file"))
}

/// The same, of a dataset that the viewer may change.
async fn load_own(datasets: &Datasets, viewer: Viewer, id: StatisticsFileId) -> Result<Shown, Error> {
    let shown = load(datasets, viewer, id).await?;
    let dataset = Filed::Dataset(shown.dataset_id);
    sharing::require_own(&mut *datasets.pool.acquire().await?, viewer, dataset).await?;
    Ok(shown)
}

impl ShowPage {
    fn new(shown: Shown, standing: Standing) -> Self {
        Self {
            standing,
            facts: facts(&shown.file),
            dataset_href: urls::dataset(shown.dataset_id),
            experiment_href: urls::experiment_on(Some(shown.dataset_id), None),
            delete_href: urls::statistics_file_delete(shown.file.id),
            name: shown.file.name,
            dataset_name: shown.dataset_name,
            comparison: shown.comparison.map(ComparisonView::new),
        }
    }
}

fn facts(file: &StatisticsFileInfo) -> Vec<Setting> {
    let pairs = [
        ("Form", Some(file.format.word().to_owned())),
        ("Size", Some(bytes_in_words(file.size_bytes))),
        (
            "Statistics of",
            file.server_version_num
                .map(|version| format!("PostgreSQL {}", version_in_words(version))),
        ),
        ("Exported, UTC", file.exported_at.map(view::date)),
        ("Kept here since, UTC", Some(view::date(file.created_at))),
        (
            "What it says",
            Some(format!(
                "{} of columns, and the sizes of {}",
                counted(file.n_columns, "row of statistics", "rows of statistics"),
                counted(file.n_relations, "table or index", "tables and indexes")
            )),
        ),
        ("SHA-256", Some(file.sha256.clone())),
    ];
    let known = pairs.into_iter().filter_map(|(name, value)| {
        Some(Setting {
            name: name.to_owned(),
            value: value?,
        })
    });
    known.collect()
}

impl ComparisonView {
    fn new(comparison: Comparison) -> Self {
        let unseen = comparison
            .unseen
            .iter()
            .map(|unseen| format!("{}: {}", unseen.full_name(), unseen.reason));
        let lists = [
            Names::new(
                "Not in the dataset: tables and indexes",
                "The file has statistics of them, and nothing here is called so. They are not imported.",
                comparison.unknown_relations,
            ),
            Names::new(
                "Not in the dataset: columns",
                "The table is here, and the column is not. Their statistics are not imported.",
                comparison.unknown_columns,
            ),
            Names::new(
                "Without statistics in the file",
                "The planner knows nothing of these columns of the dataset under this source, as if they had never been \
                 analyzed.",
                comparison.without_statistics,
            ),
            Names::new(
                "Without a size in the file",
                "These tables keep the number of rows that they have here.",
                comparison.without_size,
            ),
            Names::new(
                "Not exported",
                "What the file says it lacks: the role that made it might not see it, or the format cannot hold it.",
                unseen.collect(),
            ),
        ];
        Self {
            fits: comparison.n_matching > 0,
            n_matching: counted(comparison.n_matching, "row of statistics", "rows of statistics"),
            sizes: comparison.sizes.iter().map(SizeLine::new).collect(),
            lists: lists.into_iter().filter(|list| !list.names.is_empty()).collect(),
        }
    }
}

impl SizeLine {
    fn new(size: &SizeDifference) -> Self {
        let (exported, real) = size.pages();
        Self {
            table: size.table.clone(),
            exported,
            real,
            factor: size.in_words(),
        }
    }
}

impl Names {
    fn new(title: &'static str, about: &'static str, mut names: Vec<String>) -> Self {
        let n_more = names.len().saturating_sub(MOST_NAMES);
        let count = grouped(names.len() as u64);
        names.truncate(MOST_NAMES);
        Self {
            title,
            about,
            count,
            names,
            more: match n_more {
                0 => String::new(),
                n => format!("and {} more", grouped(n as u64)),
            },
        }
    }
}

impl DeletePage {
    fn new(shown: &Shown) -> Self {
        Self {
            name: shown.file.name.clone(),
            dataset_name: shown.dataset_name.clone(),
            href: urls::statistics_file(shown.file.id),
            delete_href: urls::statistics_file_delete(shown.file.id),
            refusal: None,
        }
    }
}
