//! Who sees a thing: said on its page, and the page on which its owner shows it to others. Where nobody signs in there is
//! none of it.

use std::collections::HashMap;
use std::str::FromStr;

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use axum::response::Redirect;
use axum::response::Response;
use axum::routing::get;
use axum::routing::post;
use serde::Deserialize;
use sqlx::PgConnection;

use crate::auth::sharing;
use crate::auth::sharing::Lifetime;
use crate::auth::sharing::SharingError;
use crate::model::filing::Filed;
use crate::model::ids::LinkId;
use crate::model::user::Viewer;
use crate::store;
use crate::store::links::Link;
use crate::store::links::Sharing;
use crate::web::error::Error;
use crate::web::error::PageResult;
use crate::web::extract::address::Path;
use crate::web::extract::form::Form;
use crate::web::extract::id::Id;
use crate::web::extract::user::CurrentUser;
use crate::web::fragment;
use crate::web::middleware::identity::Visitor;
use crate::web::state::AppState;
use crate::web::urls;
use crate::web::view;

pub fn router() -> Router<AppState> {
    Router::new()
        .merge(of("/results/{id}/sharing", Filed::Experiment))
        .merge(of("/instruments/{id}/sharing", Filed::Instrument))
        .merge(of("/benchmarks/{id}/sharing", Filed::Benchmark))
        .merge(of("/datasets/{id}/sharing", Filed::Dataset))
        .merge(of("/workloads/{id}/sharing", Filed::Workload))
}

/// The page of one kind of thing, and what is sent from it.
fn of<T>(path: &str, filed: fn(T) -> Filed) -> Router<AppState>
where
    T: FromStr + Send + 'static,
{
    let page = get(move |State(state), CurrentUser(viewer), Id(id): Id<T>| show(state, viewer, filed(id))).post(
        move |State(state), CurrentUser(viewer), Id(id): Id<T>, Form(form)| update(state, viewer, filed(id), form),
    );
    let links = post(
        move |State(state), CurrentUser(viewer), Id(id): Id<T>, headers: HeaderMap, Form(form)| {
            create_link(state, viewer, filed(id), headers, form)
        },
    );
    let link = post(
        move |State(state), CurrentUser(viewer), Path((id, link)): Path<(String, String)>| async move {
            let id: T = id.parse().map_err(|_| Error::NotFound("page"))?;
            let link = link.parse().map_err(|_| Error::NotFound("link"))?;
            destroy_link(state, viewer, filed(id), link).await
        },
    );
    Router::new()
        .route(path, page)
        .route(&format!("{path}/links"), links)
        .route(&format!("{path}/links/{{link}}/delete"), link)
}

/// Whose a thing is and who sees it, in a line of its page, and what its page offers.
#[derive(Template)]
#[template(path = "sharing/standing.html")]
#[expect(clippy::struct_excessive_bools, reason = "what pages show or leave out")]
pub struct Standing {
    /// Whether the viewer may change the thing.
    pub may_change: bool,
    /// Whether the viewer may launch something with it, or like it.
    pub may_launch: bool,
    /// The viewer sees it by a link alone, and so nothing that stands beside it.
    pub is_by_link: bool,
    has_others: bool,
    words: String,
    address: String,
}

impl Standing {
    /// Of a thing that the viewer sees.
    pub async fn load(conn: &mut PgConnection, viewer: Viewer, thing: Filed) -> Result<Self, Error> {
        let sharing = store::links::get(conn, viewer, thing).await?;
        Ok(Self::new(viewer, thing, &sharing.ok_or(Error::NotFound("page"))?))
    }

    fn new(viewer: Viewer, thing: Filed, sharing: &Sharing) -> Self {
        let is_by_link = viewer.shown == Some(thing) && !sharing.is_own && !sharing.is_shared || !viewer.is_account();
        Self {
            may_change: sharing.is_own,
            may_launch: viewer.is_account() && viewer.role.may_change() && !is_by_link,
            is_by_link,
            has_others: Visitor::current().has_others,
            words: if is_by_link {
                format!("By {}, and shown to you by a link", sharing.owner)
            } else {
                in_words(sharing)
            },
            address: urls::sharing(thing),
        }
    }
}

/// `Private, and shown by 2 links`, or `By ada`.
fn in_words(sharing: &Sharing) -> String {
    if !sharing.is_own {
        return format!("By {}", sharing.owner);
    }
    let who = if sharing.is_shared {
        "Shared with everybody here"
    } else {
        "Private"
    };
    match sharing.links.len() {
        0 => who.to_owned(),
        1 => format!("{who}, and shown by a link"),
        n => format!("{who}, and shown by {n} links"),
    }
}

/// The names of those to whom the things of a list belong that are not the viewer's own.
pub type Owners = HashMap<Filed, String>;

/// Looks up to whom the things of a list belong; where nobody signs in there is nobody else.
pub async fn owners<T>(
    conn: &mut PgConnection,
    viewer: Viewer,
    things: &[T],
    filed: impl Fn(&T) -> Filed,
) -> store::Result<Owners> {
    if !Visitor::current().has_others {
        return Ok(Owners::new());
    }
    let things: Vec<Filed> = things.iter().map(filed).collect();
    store::links::owners(conn, viewer, &things).await
}

/// For pages that change a thing: what one may not change is not there.
pub async fn require_own(conn: &mut PgConnection, viewer: Viewer, thing: Filed) -> Result<(), Error> {
    let is_own = sharing::is_own(conn, viewer, thing).await?;
    is_own.then_some(()).ok_or(Error::NotFound("page"))
}

/// The addresses of what stands beside a thing, if it is still there; none of what the viewer does not see, which is then a
/// name and no link.
pub async fn addresses<const N: usize>(
    conn: &mut PgConnection,
    viewer: Viewer,
    things: [Option<Filed>; N],
) -> store::Result<[Option<String>; N]> {
    let there: Vec<Filed> = things.into_iter().flatten().collect();
    let seen = store::links::seen(conn, viewer, &there).await?;
    Ok(things.map(|thing| thing.filter(|thing| seen.contains(thing)).map(urls::filed)))
}

/// What a thing is called in a sentence.
pub fn thing_in_words(filed: Filed) -> String {
    match filed {
        Filed::Experiment(id) => format!("experiment {id}"),
        Filed::Instrument(id) => format!("instrument {id}"),
        Filed::Benchmark(id) => format!("benchmark {id}"),
        Filed::Dataset(id) => format!("dataset {id}"),
        Filed::Workload(id) => format!("workload {id}"),
    }
}

#[derive(Template)]
#[template(path = "sharing/show.html")]
struct ShowPage {
    thing: String,
    back: String,
    address: String,
    links_address: String,
    owner: String,
    is_own: bool,
    is_shared: bool,
    links: Vec<LinkLine>,
    lifetimes: [Lifetime; Lifetime::ALL.len()],
    /// The address of the link that was just made; shown this once.
    made: Option<String>,
    error: Option<String>,
}

struct LinkLine {
    made: String,
    made_at: String,
    /// None of a link that is good until it is taken back.
    until: Option<(String, String)>,
    delete_address: String,
}

impl LinkLine {
    fn new(thing: Filed, link: &Link) -> Self {
        Self {
            made: view::date(link.created_at),
            made_at: view::rfc3339(link.created_at),
            until: link.expires_at.map(|at| (view::date(at), view::rfc3339(at))),
            delete_address: urls::sharing_link_delete(thing, link.id),
        }
    }
}

impl ShowPage {
    async fn load(state: &AppState, viewer: Viewer, thing: Filed) -> Result<Self, Error> {
        if !state.gate.keeps_accounts() {
            return Err(Error::Elsewhere(urls::filed(thing)));
        }
        let sharing = store::links::get(&mut *state.pool.acquire().await?, viewer, thing).await?;
        let sharing = sharing.ok_or(Error::NotFound("page"))?;
        Ok(Self {
            thing: thing_in_words(thing),
            back: urls::filed(thing),
            address: urls::sharing(thing),
            links_address: urls::sharing_links(thing),
            is_own: sharing.is_own,
            is_shared: sharing.is_shared,
            links: sharing.links.iter().map(|link| LinkLine::new(thing, link)).collect(),
            owner: sharing.owner,
            lifetimes: Lifetime::ALL,
            made: None,
            error: None,
        })
    }
}

/// GET /{things}/{id}/sharing
async fn show(state: AppState, viewer: Viewer, thing: Filed) -> PageResult<Response> {
    fragment::page(&ShowPage::load(&state, viewer, thing).await?)
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct SharingForm {
    with: String,
}

/// POST /{things}/{id}/sharing
async fn update(state: AppState, viewer: Viewer, thing: Filed, form: SharingForm) -> PageResult<Response> {
    require_accounts(&state, thing)?;
    let is_shared = match form.with.as_str() {
        "everybody" => true,
        "nobody" => false,
        _ => return Err(Error::refused("Choose who is to see it.")),
    };
    sharing::share(&state.pool, viewer, thing, is_shared).await?;
    Ok(Redirect::to(&urls::sharing(thing)).into_response())
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct LinkForm {
    lifetime: String,
}

/// POST /{things}/{id}/sharing/links
async fn create_link(
    state: AppState,
    viewer: Viewer,
    thing: Filed,
    headers: HeaderMap,
    form: LinkForm,
) -> PageResult<Response> {
    require_accounts(&state, thing)?;
    let lifetime = Lifetime::parse(&form.lifetime);
    let lifetime = lifetime.ok_or_else(|| Error::refused("Choose how long the link is good."))?;
    let token = match sharing::make_link(&state.pool, viewer, thing, lifetime).await {
        Ok(token) => token,
        Err(error @ SharingError::TooMany) => {
            let page = ShowPage {
                error: Some(error.to_string()),
                ..ShowPage::load(&state, viewer, thing).await?
            };
            return fragment::with_status(StatusCode::UNPROCESSABLE_ENTITY, &page);
        }
        Err(error) => return Err(error.into()),
    };
    let link = urls::link(token.expose());
    fragment::page(&ShowPage {
        made: Some(format!("{}{link}", state.gate.address(&headers))),
        ..ShowPage::load(&state, viewer, thing).await?
    })
}

/// POST /{things}/{id}/sharing/links/{link}/delete
async fn destroy_link(state: AppState, viewer: Viewer, thing: Filed, link: LinkId) -> PageResult<Response> {
    require_accounts(&state, thing)?;
    sharing::take_back(&state.pool, viewer, thing, link).await?;
    Ok(Redirect::to(&urls::sharing(thing)).into_response())
}

fn require_accounts(state: &AppState, thing: Filed) -> Result<(), Error> {
    if state.gate.keeps_accounts() {
        Ok(())
    } else {
        Err(Error::Elsewhere(urls::filed(thing)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ids::DatasetId;
    use crate::model::ids::UserId;
    use crate::model::user::Role;

    fn sharing(is_own: bool, is_shared: bool) -> Sharing {
        Sharing {
            owner: "ada".to_owned(),
            is_own,
            is_shared,
            links: Vec::new(),
        }
    }

    #[test]
    fn a_page_offers_what_its_viewer_may_do() {
        let thing = Filed::Dataset(DatasetId(7));
        let (ada, viewer) = (Role::Editor, Role::Viewer);
        let account = |role| Viewer::account(UserId(3), role);
        for (asker, is_own, is_shared, words, offers) in [
            (account(ada), true, false, "Private", (true, true, false)),
            (
                account(ada),
                true,
                true,
                "Shared with everybody here",
                (true, true, false),
            ),
            (account(ada), false, true, "By ada", (false, true, false)),
            (account(viewer), false, true, "By ada", (false, false, false)),
            (
                account(ada).with_link(thing),
                false,
                false,
                "By ada, and shown to you by a link",
                (false, false, true),
            ),
            (
                Viewer::nobody().with_link(thing),
                false,
                true,
                "By ada, and shown to you by a link",
                (false, false, true),
            ),
        ] {
            let standing = Standing::new(asker, thing, &sharing(is_own, is_shared));
            assert_eq!(standing.words, words, "{asker:?}");
            let found = (standing.may_change, standing.may_launch, standing.is_by_link);
            assert_eq!(found, offers, "{asker:?}");
        }
    }
}
