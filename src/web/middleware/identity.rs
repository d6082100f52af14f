//! Who asks: the session of a browser, the token of a program, or the link that somebody has; and whether they may ask for
//! this at all, and just now. Handlers get the answer by [`CurrentUser`](crate::web::extract::user::CurrentUser).

use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::SocketAddr;

use axum::extract::Request;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::IntoResponse as _;
use axum::response::Response;

use crate::auth::access;
use crate::auth::access::Denied;
use crate::auth::access::How;
use crate::auth::accounts::Client;
use crate::auth::limit::Ask;
use crate::auth::token::Token;
use crate::auth::token::TokenKind;
use crate::config::Access;
use crate::model::ids::SessionId;
use crate::model::user::Role;
use crate::model::user::TokenScope;
use crate::model::user::Viewer;
use crate::store;
use crate::web::cookies;
use crate::web::cors;
use crate::web::error::Error;
use crate::web::middleware::limits;
use crate::web::state::AppState;
use crate::web::urls;

/// Who asks, and from where.
#[derive(Clone, Debug)]
pub struct Asker {
    pub viewer: Viewer,
    /// The name of the account; none of somebody who is not known, and where nobody signs in.
    pub name: Option<String>,
    pub session: Option<SessionId>,
    /// What a program's token is good for.
    pub scope: Option<TokenScope>,
    pub client: Client,
}

/// Whom a connection is with; the door says so of each request.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

/// Who looks, for the frame of every page and for what it offers.
struct Current {
    name: Option<String>,
    viewer: Viewer,
    access: Access,
}

tokio::task_local! {
    static CURRENT: Current;
}

/// The name of the account that is signed in, for the frame of every page; none where nobody is.
pub fn signed_in() -> Option<String> {
    CURRENT.try_with(|current| current.name.clone()).ok()?
}

/// Whoever looks at a page, by what it can offer them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "what pages show or leave out")]
pub struct Visitor {
    /// Has an account, and so more than what a link shows.
    pub is_account: bool,
    /// Whether the role is one that uploads and launches.
    pub may_launch: bool,
    /// Whether servers and workers are shown.
    pub is_admin: bool,
    /// There are others, and so things are somebody's.
    pub has_others: bool,
}

impl Visitor {
    /// Of the request that is being answered. Outside of any it is the one person of a pgassay where nobody signs in.
    pub fn current() -> Self {
        let visitor = CURRENT.try_with(|current| {
            let is_account = current.viewer.is_account();
            Self {
                is_account,
                may_launch: is_account && current.viewer.role.may_change(),
                is_admin: is_account && current.viewer.role == Role::Admin,
                has_others: current.access == Access::Required,
            }
        });
        visitor.unwrap_or(Self {
            is_account: true,
            may_launch: true,
            is_admin: true,
            has_others: false,
        })
    }
}

/// Lets requests through of those who may ask for what they ask for, and says to their handlers who that is.
pub async fn know(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let asker = match identify(&state, &parts).await {
        Ok(asker) => asker,
        Err(error) => {
            // Who asks is not known, so the page that says so offers what anybody may have.
            let current = Current {
                name: None,
                viewer: Viewer::nobody(),
                access: state.gate.access,
            };
            return CURRENT.scope(current, async { error.into_response() }).await;
        }
    };
    let current = Current {
        name: asker.name.clone(),
        viewer: asker.viewer,
        access: state.gate.access,
    };
    let answer = async move {
        // The page that says no is one of those that say who is signed in.
        let admitted = match keep_to_limit(&state, &asker, parts.uri.path()).await {
            Ok(()) => admit(&asker, &parts),
            Err(error) => Err(error),
        };
        if let Err(error) = admitted {
            return error.into_response();
        }
        parts.extensions.insert(asker);
        next.run(Request::from_parts(parts, body)).await
    };
    CURRENT.scope(current, answer).await
}

/// Programs may ask so often, where several people share this pgassay.
async fn keep_to_limit(state: &AppState, asker: &Asker, path: &str) -> Result<(), Error> {
    if asker.viewer.is_account() && urls::is_for_programs(path) {
        limits::take(&state.gate, &state.pool, Ask::api(asker.viewer.user_id)).await?;
    }
    Ok(())
}

fn admit(asker: &Asker, request: &Parts) -> Result<(), Error> {
    let (how, path) = (How::of(request.method.as_str()), request.uri.path());
    let need = access::need(how, path);
    let is_shown = asker
        .viewer
        .shown
        .is_some_and(|thing| is_within(path, &urls::filed(thing)));
    match access::check(need, how, asker.viewer, asker.scope, is_shown) {
        Ok(()) => Ok(()),
        Err(Denied::Unknown) => Err(unknown(request)),
        Err(Denied::NotFor(role)) => Err(Error::forbidden(format!(
            "This is not for {}s. An admin can give you another role.",
            role.word()
        ))),
        Err(Denied::OnlyReads) => Err(Error::OnlyReads),
    }
}

fn is_within(path: &str, above: &str) -> bool {
    path.strip_prefix(above)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn unknown(request: &Parts) -> Error {
    let uri = &request.uri;
    let address = uri.path_and_query().map_or(uri.path(), |both| both.as_str());
    // What was sent is lost by signing in, so that leads to where it was sent from.
    let next = if How::of(request.method.as_str()) == How::Looks {
        address.to_owned()
    } else {
        urls::DASHBOARD.to_owned()
    };
    Error::SignIn(next)
}

async fn identify(state: &AppState, request: &Parts) -> Result<Asker, Error> {
    let headers = &request.headers;
    let mut asker = Asker {
        viewer: Viewer::nobody(),
        name: None,
        session: None,
        scope: None,
        client: Client {
            address: address(state, request),
            agent: text(headers, &header::USER_AGENT).unwrap_or_default().to_owned(),
        },
    };
    let path = request.uri.path();
    if urls::is_asset(path) {
        // The page that says that the store is away has its style, too.
        return Ok(asker);
    }
    if let Some(bearer) = bearer(headers).filter(|_| takes_tokens(path)) {
        let token = Token::parse(TokenKind::Api, bearer).map_err(|error| Error::BadToken(error.to_string()))?;
        let found = store::tokens::find(&mut *state.pool.acquire().await?, token.hashed()).await?;
        let known =
            found.ok_or_else(|| Error::BadToken("This token is not known, has expired or was revoked.".to_owned()))?;
        asker.viewer = known.viewer;
        asker.name = Some(known.name);
        asker.scope = Some(known.scope);
        return Ok(asker);
    }
    if urls::is_for_programs(path) && cors::is_from_listed(headers, &state.gate) {
        // A page of another site is nobody without a token, also where whoever comes by himself is known.
        return Ok(asker);
    }
    if !state.gate.keeps_accounts() {
        asker.viewer = state.gate.local;
        return Ok(asker);
    }
    if urls::is_for_programs(path) {
        // A cookie goes with every request that any page makes a browser send.
        return Ok(asker);
    }
    if let Some(token) = cookies::session(headers, state.gate.is_https) {
        let found = store::sessions::find(&mut *state.pool.acquire().await?, token.hashed()).await?;
        if let Some(known) = found {
            asker.viewer = known.viewer;
            asker.name = Some(known.name);
            asker.session = Some(known.session_id);
        }
    }
    if let Some(token) = cookies::link(headers)
        && let Some(thing) = store::links::find(&mut *state.pool.acquire().await?, token.hashed()).await?
    {
        asker.viewer = asker.viewer.with_link(thing);
    }
    Ok(asker)
}

/// Whose addresses are for programs. Prometheus reads its numbers with a token, too.
fn takes_tokens(path: &str) -> bool {
    urls::is_for_programs(path) || path == urls::METRICS
}

/// What stands behind `Bearer` (RFC 6750, section 2.1).
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = text(headers, &header::AUTHORIZATION)?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

fn text<'a>(headers: &'a HeaderMap, name: &header::HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Who asks: the peer, or whom a trusted proxy names.
fn address(state: &AppState, request: &Parts) -> IpAddr {
    let peer = request.extensions.get::<Peer>();
    let peer = peer.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |peer| peer.0.ip());
    let named = request.headers.get_all("x-forwarded-for");
    let named: Vec<&str> = named.iter().filter_map(|value| value.to_str().ok()).collect();
    state.gate.proxies.client(peer, named.into_iter())
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::HeaderValue;
    use axum::http::StatusCode;
    use tokio_util::sync::CancellationToken;
    use tower::ServiceExt as _;

    use super::*;
    use crate::config::WebConfig;
    use crate::testing::bench::Bench;
    use crate::web;
    use crate::web::assets;

    #[tokio::test]
    async fn style_is_given_to_whoever_is_signed_in_without_the_store() {
        let bench = Bench::open().await;
        let services = bench.house.services();
        let config = WebConfig {
            access: Some(Access::Required),
            ..WebConfig::unsaid()
        };
        let state = AppState::new(&services, &config, config.listen, CancellationToken::new()).unwrap();
        let router = web::router(state);
        let session = Token::random(TokenKind::Session).unwrap();
        sqlx::query("alter table sessions rename to gone")
            .execute(&services.pool)
            .await
            .unwrap();
        for (path, status) in [
            (assets::url("app.css"), StatusCode::OK),
            (urls::RESULTS.to_owned(), StatusCode::INTERNAL_SERVER_ERROR),
        ] {
            let request = Request::get(&path)
                .header(header::HOST, "localhost")
                .header(header::COOKIE, format!("session={}", session.text().expose()));
            let answer = router
                .clone()
                .oneshot(request.body(Body::empty()).unwrap())
                .await
                .unwrap();
            assert_eq!(answer.status(), status, "{path}");
        }
    }

    #[test]
    fn a_thing_and_what_lies_below_it_is_within_it() {
        for (path, within) in [
            ("/results/1", true),
            ("/results/1/plans", true),
            ("/results/12", false),
            ("/results", false),
            ("/", false),
        ] {
            assert_eq!(is_within(path, "/results/1"), within, "{path}");
        }
    }

    #[test]
    fn a_token_stands_behind_the_word_bearer() {
        for (value, token) in [
            ("Bearer abc", Some("abc")),
            ("bearer  abc ", Some("abc")),
            ("Basic abc", None),
            ("abc", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, HeaderValue::from_str(value).unwrap());
            assert_eq!(bearer(&headers), token, "{value}");
        }
    }
}
