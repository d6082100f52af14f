//! Tags and a memo: on the page of the thing that carries them, and the form that changes them.

use std::str::FromStr;

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::MethodRouter;
use axum::routing::get;
use serde::Deserialize;
use sqlx::PgPool;

use crate::model::filing::Filed;
use crate::model::filing::Filing;
use crate::model::filing::Memo;
use crate::model::filing::Tags;
use crate::model::user::Viewer;
use crate::store;
use crate::web::error::Error;
use crate::web::error::PageResult;
use crate::web::extract::form::Form;
use crate::web::extract::id::Id;
use crate::web::extract::user::CurrentUser;
use crate::web::fragment;
use crate::web::fragment::Hx;
use crate::web::pages::lists::TagLink;
use crate::web::pages::sharing;
use crate::web::pages::sharing::Standing;
use crate::web::state::AppState;
use crate::web::urls;

pub fn router() -> Router<AppState> {
    Router::new()
        .route("/results/{id}/filing", of(Filed::Experiment))
        .route("/instruments/{id}/filing", of(Filed::Instrument))
        .route("/benchmarks/{id}/filing", of(Filed::Benchmark))
        .route("/datasets/{id}/filing", of(Filed::Dataset))
        .route("/workloads/{id}/filing", of(Filed::Workload))
}

/// GET and POST of the form of one kind of thing.
fn of<T>(filed: fn(T) -> Filed) -> MethodRouter<AppState>
where
    T: FromStr + Send + 'static,
{
    get(move |State(pool), CurrentUser(viewer), hx, Id(id): Id<T>| edit(pool, viewer, hx, filed(id))).post(
        move |State(pool), CurrentUser(viewer), hx, Id(id): Id<T>, Form(form)| {
            update(pool, viewer, hx, filed(id), form)
        },
    )
}

/// The section of a page: how its thing is filed, or the form that changes it.
#[derive(Template)]
#[template(path = "filing/section.html")]
pub struct FilingView {
    address: String,
    back: String,
    tags: Vec<TagLink>,
    memo: String,
    may_change: bool,
    form: Option<FormView>,
    /// The keyboard was in the form that this replaces.
    has_focus: bool,
}

/// What was typed, and what is wrong with it.
struct FormView {
    tags: String,
    memo: String,
    tags_error: Option<String>,
    memo_error: Option<String>,
}

impl FilingView {
    pub fn new(filed: Filed, filing: &Filing, standing: &Standing) -> Self {
        Self {
            may_change: standing.may_change,
            ..Self::own(filed, filing)
        }
    }

    /// Of a thing that the viewer may change.
    fn own(filed: Filed, filing: &Filing) -> Self {
        Self {
            address: urls::filing(filed),
            back: urls::filed(filed),
            tags: TagLink::all(urls::list_of(filed), filing),
            memo: filing.memo.as_str().to_owned(),
            may_change: true,
            form: None,
            has_focus: false,
        }
    }

    fn with_form(filed: Filed, form: FormView) -> Self {
        Self {
            form: Some(form),
            ..Self::own(filed, &Filing::default())
        }
    }
}

/// The form on a page of its own.
#[derive(Template)]
#[template(path = "filing/edit.html")]
struct EditPage {
    thing: String,
    back: String,
    section: FilingView,
}

impl EditPage {
    fn new(filed: Filed, section: FilingView) -> Self {
        Self {
            thing: sharing::thing_in_words(filed),
            back: urls::filed(filed),
            section,
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct FilingForm {
    tags: String,
    memo: String,
}

/// GET /{things}/{id}/filing
async fn edit(pool: PgPool, viewer: Viewer, hx: Hx, filed: Filed) -> PageResult<Response> {
    let mut conn = pool.acquire().await?;
    sharing::require_own(&mut conn, viewer, filed).await?;
    let filing = store::filing::get(&mut conn, viewer, filed).await?;
    drop(conn);
    let filing = filing.ok_or(Error::NotFound("page"))?;
    let form = FormView {
        tags: filing.tags.to_text(),
        memo: filing.memo.as_str().to_owned(),
        tags_error: None,
        memo_error: None,
    };
    show(StatusCode::OK, hx, filed, form)
}

fn show(status: StatusCode, hx: Hx, filed: Filed, form: FormView) -> PageResult<Response> {
    let section = FilingView::with_form(filed, form);
    if hx.is_fragment {
        fragment::with_status(status, &section)
    } else {
        fragment::with_status(status, &EditPage::new(filed, section))
    }
}

/// POST /{things}/{id}/filing
async fn update(pool: PgPool, viewer: Viewer, hx: Hx, filed: Filed, form: FilingForm) -> PageResult<Response> {
    let (tags, memo) = (Tags::parse(&form.tags), Memo::parse(&form.memo));
    let (tags, memo) = match (tags, memo) {
        (Ok(tags), Ok(memo)) => (tags, memo),
        (tags, memo) => {
            let form = FormView {
                tags: form.tags,
                memo: form.memo,
                tags_error: tags.err(),
                memo_error: memo.err(),
            };
            return show(StatusCode::UNPROCESSABLE_ENTITY, hx, filed, form);
        }
    };
    let filing = Filing { tags, memo };
    if !store::filing::set(&mut *pool.acquire().await?, viewer, filed, &filing).await? {
        return Err(Error::NotFound("page"));
    }
    if !hx.is_fragment {
        return Ok(hx.redirect(&urls::filed(filed)));
    }
    let section = FilingView {
        has_focus: true,
        ..FilingView::own(filed, &filing)
    };
    fragment::with_status(StatusCode::OK, &section)
}
