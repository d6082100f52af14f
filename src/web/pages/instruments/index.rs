//! The list of instruments: what each is for, and the runs so far.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use sqlx::PgPool;

use crate::model::filing::Filed;
use crate::model::ids::InstrumentId;
use crate::model::instrument::Instrument;
use crate::model::instrument::InstrumentKind;
use crate::model::job::JobStatus;
use crate::store;
use crate::store::finding::ListOrder;
use crate::web::error::PageResult;
use crate::web::extract::address::Query as UrlQuery;
use crate::web::extract::user::CurrentUser;
use crate::web::fragment;
use crate::web::pages::lists::Known;
use crate::web::pages::lists::ListParams;
use crate::web::pages::lists::ListView;
use crate::web::pages::lists::Offer;
use crate::web::pages::lists::TagLink;
use crate::web::pages::sharing;
use crate::web::pages::sharing::Owners;
use crate::web::urls;
use crate::web::view;

#[derive(Template)]
#[template(path = "instruments/index.html")]
struct IndexPage {
    kinds: [InstrumentKind; InstrumentKind::ALL.len()],
    list: ListView,
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
    /// Of what is somebody else's.
    owner: Option<String>,
    tags: Vec<TagLink>,
    date: String,
    datetime: String,
}

impl IndexRow {
    fn new(instrument: &Instrument, owners: &Owners, params: &ListParams) -> Self {
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
            owner: owners.get(&Filed::Instrument(instrument.id)).cloned(),
            tags: params.tag_links(&instrument.filing),
            date: view::date(instrument.created_at),
            datetime: view::rfc3339(instrument.created_at),
        }
    }
}

/// What the list can be narrowed down by.
const OFFER: Offer = Offer {
    address: urls::INSTRUMENTS,
    nouns: ("run", "runs"),
    state: Some(JobStatus::word),
    place: Some("Dataset"),
    has_workload: false,
    has_kind: true,
    orders: &[ListOrder::Newest],
};

/// GET /instruments
pub(super) async fn index(
    State(pool): State<PgPool>,
    CurrentUser(viewer): CurrentUser,
    UrlQuery(pairs): UrlQuery<Vec<(String, String)>>,
) -> PageResult<Response> {
    let params = ListParams::read(OFFER, pairs);
    let mut conn = pool.acquire().await?;
    let found = store::finding::instruments(&mut conn, viewer, &params.filter, params.stretch()).await?;
    let found = params.narrow(found);
    let instruments = store::instruments::list_by_ids(&mut conn, viewer, &found.ids).await?;
    let owners = sharing::owners(&mut conn, viewer, &instruments, |instrument| {
        Filed::Instrument(instrument.id)
    })
    .await?;
    let known = Known {
        tags: store::filing::tags_of_instruments(&mut conn, viewer).await?,
        datasets: store::finding::places_of_instruments(&mut conn, viewer).await?,
        workloads: Vec::new(),
    };
    drop(conn);
    let (previous, next) = params.neighbours(found.n_matching);
    fragment::page(&IndexPage {
        kinds: InstrumentKind::ALL,
        list: ListView::new(&params, known, &found),
        previous,
        next,
        rows: instruments
            .iter()
            .map(|instrument| IndexRow::new(instrument, &owners, &params))
            .collect(),
    })
}
