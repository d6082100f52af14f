//! The list of instruments: what each is for, and the runs so far.

use askama::Template;
use axum::extract::Query as UrlQuery;
use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use sqlx::PgPool;

use crate::model::ids::InstrumentId;
use crate::model::instrument::Instrument;
use crate::model::instrument::InstrumentKind;
use crate::store;
use crate::web::error::PageResult;
use crate::web::extract::user::CurrentUser;
use crate::web::fragment;
use crate::web::urls;
use crate::web::view;

/// Runs on one page of the list.
const PER_PAGE: u32 = 25;

#[derive(Template)]
#[template(path = "instruments/index.html")]
struct IndexPage {
    kinds: [InstrumentKind; InstrumentKind::ALL.len()],
    rows: Vec<IndexRow>,
    previous: Option<String>,
    next: Option<String>,
}

/// One run in the list.
struct IndexRow {
    id: InstrumentId,
    address: String,
    kind: &'static str,
    status: &'static str,
    class: &'static str,
    dataset: String,
    said: String,
    date: String,
    datetime: String,
}

impl IndexRow {
    fn new(instrument: &Instrument) -> Self {
        let job = &instrument.job;
        let said = instrument.headline.clone().or_else(|| job.message.clone());
        Self {
            id: instrument.id,
            address: urls::instrument(instrument.id),
            kind: instrument.spec.task.kind().title(),
            status: job.status.word(),
            class: view::status_class(job.status),
            dataset: instrument.dataset_name.clone(),
            said: said.unwrap_or_else(|| format!("See instrument {}", instrument.id)),
            date: view::date(instrument.created_at),
            datetime: view::rfc3339(instrument.created_at),
        }
    }
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct ListParams {
    #[serde(default)]
    page: String,
}

/// GET /instruments
pub(super) async fn index(
    State(pool): State<PgPool>,
    CurrentUser(viewer): CurrentUser,
    UrlQuery(params): UrlQuery<ListParams>,
) -> PageResult<Response> {
    let page: u32 = params.page.parse().unwrap_or(0);
    let mut conn = pool.acquire().await?;
    // One more than is shown tells whether there is a next page.
    let offset = page.saturating_mul(PER_PAGE);
    let found = store::instruments::list(&mut conn, viewer, PER_PAGE + 1, offset).await?;
    let page_at = |page: u32| format!("{}?page={page}", urls::INSTRUMENTS);
    fragment::page(&IndexPage {
        kinds: InstrumentKind::ALL,
        previous: page.checked_sub(1).map(page_at),
        next: (found.len() > PER_PAGE as usize).then(|| page_at(page + 1)),
        rows: found.iter().take(PER_PAGE as usize).map(IndexRow::new).collect(),
    })
}
