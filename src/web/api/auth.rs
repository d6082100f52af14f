//! Accounts for programs: make one, get a token for a name and a password, ask who one is.

use axum::Extension;
use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;
use axum::routing::post;
use serde::Deserialize;
use serde::Serialize;
use serde_json::Map;
use serde_json::Value;
use sqlx::PgPool;
use utoipa::OpenApi;
use utoipa::ToSchema;

use crate::auth::accounts::AccountError;
use crate::auth::api_tokens;
use crate::auth::api_tokens::TokenWish;
use crate::experiment::fields::FieldError;
use crate::model::ids::UserId;
use crate::model::quota::Bound;
use crate::model::quota::Quota;
use crate::model::quota::Quotas;
use crate::model::quota::Usage;
use crate::model::user::TokenScope;
use crate::store;
use crate::web::error::Envelope;
use crate::web::error::Error;
use crate::web::extract::form::Form;
use crate::web::extract::object::Object;
use crate::web::middleware::audit::CameIn;
use crate::web::middleware::identity::Asker;
use crate::web::state::AppState;
use crate::web::state::Gate;
use crate::web::urls;

/// The codes of RFC 6749, section 5.2, that there is a reason for here.
const INVALID_REQUEST: &str = "invalid_request";
const INVALID_GRANT: &str = "invalid_grant";
const UNSUPPORTED_GRANT_TYPE: &str = "unsupported_grant_type";
const INVALID_SCOPE: &str = "invalid_scope";

pub(super) fn router() -> Router<AppState> {
    Router::new()
        .route(urls::API_REGISTER, post(register))
        .route(urls::API_TOKEN, post(make_token))
        .route(urls::API_ME, get(get_me))
}

#[derive(OpenApi)]
#[openapi(
    paths(register, make_token, get_me),
    tags((name = "auth", description = "Accounts and tokens, where pgassay keeps accounts."))
)]
pub(super) struct AuthDoc;

/// What a new account is to be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AccountWish {
    /// Of 1 to 64 letters, digits and the signs - _ . @ +.
    #[schema(example = "ada", min_length = 1, max_length = 64)]
    name: String,
    /// 12 to 128 characters, and none of the common ones.
    #[schema(format = Password, example = "four words in a row", min_length = 12, max_length = 128)]
    password: String,
    /// What stands behind `invitation=` in the link that an admin gave. Not needed where everybody may make an account.
    invitation: Option<String>,
}

/// The form of OAuth 2 (RFC 6749, section 4.3.2).
#[derive(ToSchema)]
#[expect(dead_code, reason = "described here, read from pairs")]
struct TokenForm {
    /// `password`.
    #[schema(example = "password", pattern = "^password$")]
    grant_type: String,
    /// The name of the account.
    #[schema(example = "ada", min_length = 1)]
    username: String,
    #[schema(format = Password, example = "four words in a row", min_length = 1)]
    password: String,
    /// `read`, which is usual, or `write`, which is for reading, too.
    #[schema(example = "write", pattern = "^((read|write)( (read|write))*)?$", nullable = false)]
    scope: Option<String>,
}

/// A token (RFC 6749, section 5.1).
#[derive(Serialize, ToSchema)]
struct TokenBody {
    access_token: String,
    /// `bearer`.
    token_type: &'static str,
    /// Seconds.
    expires_in: u64,
    /// `read` or `write`.
    scope: &'static str,
}

/// Whoever asks.
#[derive(Serialize, ToSchema)]
struct MeBody {
    id: UserId,
    name: String,
    /// `viewer`, `editor` or `admin`.
    role: &'static str,
    /// Of the token: `read` or `write`. null where none was sent, because none is needed.
    scope: Option<&'static str>,
    /// null where nobody signs in: all there is belongs to one person, and nothing is kept.
    quotas: Option<QuotasBody>,
}

/// How much the account may have, or ask for in one thing, and what it has.
#[derive(Serialize, ToSchema)]
struct QuotasBody {
    /// Dumps, the databases restored from them, and statistics files.
    storage_bytes: QuotaBody,
    datasets: QuotaBody,
    /// Jobs that wait.
    waiting_jobs: QuotaBody,
    /// Jobs that run.
    running_jobs: QuotaBody,
    /// Of one experiment.
    trials: QuotaBody,
    /// Of one benchmark: connections at once.
    clients: QuotaBody,
    /// Of one benchmark: all its levels together.
    load_s: QuotaBody,
}

/// One quota.
#[derive(Serialize, ToSchema)]
struct QuotaBody {
    /// How much it may be. null: as much as one likes.
    most: Option<u64>,
    /// How much there is. null where each thing is counted for itself.
    used: Option<u64>,
}

impl QuotasBody {
    fn new(quotas: &Quotas, usage: &Usage) -> Self {
        let quota = |quota: Quota, used: Option<u64>| QuotaBody {
            most: match quotas.get(quota) {
                Bound::Most(most) => Some(most),
                Bound::Unlimited => None,
            },
            used,
        };
        Self {
            storage_bytes: quota(Quota::Storage, Some(usage.storage_bytes)),
            datasets: quota(Quota::Datasets, Some(usage.datasets)),
            waiting_jobs: quota(Quota::Waiting, Some(usage.waiting_jobs)),
            running_jobs: quota(Quota::Running, Some(usage.running_jobs)),
            trials: quota(Quota::Trials, None),
            clients: quota(Quota::Clients, None),
            load_s: quota(Quota::Load, None),
        }
    }
}

/// A new account.
#[derive(Serialize, ToSchema)]
struct AccountBody {
    id: UserId,
    name: String,
    /// `viewer`, `editor` or `admin`.
    role: &'static str,
}

/// Makes an account
///
/// By an invitation, or without one where everybody may make an account. It has no token yet: ask for one by its name and
/// password.
#[utoipa::path(
    post,
    path = "/api/auth/register",
    tag = "auth",
    request_body = AccountWish,
    security(()),
    responses(
        (status = 201, description = "The account.", body = AccountBody),
        (status = 400, description = "The body is no JSON object, or a field cannot be; a name that somebody has is one that \
         cannot.", body = Envelope),
        (status = 403, description = "Nobody can make an account here just now, or nobody signs in here at all.",
         body = Envelope),
    )
)]
async fn register(
    State(state): State<AppState>,
    asker: Asker,
    Object(body): Object,
) -> Result<impl IntoResponse, Error> {
    require_accounts(&state.gate)?;
    let AccountWish {
        name,
        password,
        invitation,
    } = read_wish(body)?;
    let invitation = invitation.as_deref().filter(|token| !token.is_empty());
    let address = asker.client.address;
    let added = state.accounts.add(invitation, &name, &password, address).await;
    let viewer = added.map_err(by_field)?;
    let account = store::users::get(&mut *state.pool.acquire().await?, viewer.user_id).await?;
    let account = account.ok_or(Error::NotFound("account"))?;
    let body = AccountBody {
        id: account.id,
        name: account.name,
        role: account.role.word(),
    };
    Ok((StatusCode::CREATED, Extension(CameIn(viewer)), Json(body)))
}

/// Gets a token for a name and a password
///
/// The password form of OAuth 2 (RFC 6749, section 4.3); a client's own id and secret are not looked at. The token is good for a
/// day, and is listed on the page of the account, where it can be revoked. A refusal has the same shape as all others here,
/// with the words of RFC 6749, section 5.2, as its `code`: `invalid_request`, `unsupported_grant_type`, `invalid_scope`, and
/// `invalid_grant` where the name or the password is wrong.
#[utoipa::path(
    post,
    path = "/api/auth/token",
    tag = "auth",
    request_body(content = TokenForm, content_type = "application/x-www-form-urlencoded"),
    security(()),
    responses(
        (status = 200, description = "The token, which is not shown again.", body = TokenBody,
         headers(("Cache-Control" = String, description = "`no-store`: whoever keeps answers does not keep this one."))),
        (status = 400, description = "There is no token for this; `code` says why.", body = Envelope),
        (status = 403, description = "Nobody signs in here, so no token is needed.", body = Envelope),
    )
)]
async fn make_token(
    State(state): State<AppState>,
    asker: Asker,
    Form(pairs): Form<Vec<(String, String)>>,
) -> Result<impl IntoResponse, Error> {
    require_accounts(&state.gate)?;
    let grant = Grant::read(&pairs)?;
    let verified = state.accounts.verify(grant.name, grant.password, asker.client.address);
    let viewer = verified.await.map_err(|error| match error {
        AccountError::Wrong => no_token(INVALID_GRANT, error.to_string()),
        error => error.into(),
    })?;
    let wish = TokenWish::by_password(grant.scope);
    let made = api_tokens::make(&state.pool, viewer.user_id, &wish).await?;
    let body = TokenBody {
        access_token: made.text.expose().to_owned(),
        token_type: "bearer",
        expires_in: wish.lifetime().as_secs(),
        scope: wish.scope().word(),
    };
    // Both by RFC 6749, section 5.1.
    let unkept = [(header::CACHE_CONTROL, "no-store"), (header::PRAGMA, "no-cache")];
    Ok((unkept, Extension(CameIn(viewer)), Json(body)))
}

/// Says who one is
///
/// The account that the token stands for, with its quotas; without a token, where none is needed, the one that everything
/// belongs to.
#[utoipa::path(
    get,
    path = "/api/auth/me",
    tag = "auth",
    responses((status = 200, description = "The account.", body = MeBody))
)]
async fn get_me(State(pool): State<PgPool>, State(gate): State<Gate>, asker: Asker) -> Result<Json<MeBody>, Error> {
    let mut conn = pool.acquire().await?;
    let id = asker.viewer.user_id;
    let account = store::users::get(&mut conn, id).await?;
    let account = account.ok_or(Error::NotFound("account"))?;
    let quotas = if gate.keeps_accounts() {
        let quotas = store::quotas::of(&mut conn, id).await?;
        Some(QuotasBody::new(&quotas, &store::quotas::usage(&mut conn, id).await?))
    } else {
        None
    };
    Ok(Json(MeBody {
        id: account.id,
        name: account.name,
        role: account.role.word(),
        scope: asker.scope.map(TokenScope::word),
        quotas,
    }))
}

fn require_accounts(gate: &Gate) -> Result<(), Error> {
    if gate.keeps_accounts() {
        Ok(())
    } else {
        Err(Error::forbidden(
            "Nobody signs in here: this pgassay keeps no accounts, and programs need no token.",
        ))
    }
}

fn read_wish(body: Map<String, Value>) -> Result<AccountWish, Error> {
    let mut wrong = Vec::new();
    for (name, value) in &body {
        let message = match (name.as_str(), value) {
            ("name" | "password" | "invitation", Value::String(_)) | ("invitation", Value::Null) => continue,
            ("name" | "password" | "invitation", _) => "This takes a text.",
            _ => "There is no field of this name.",
        };
        wrong.push(FieldError::new(name, message));
    }
    for name in ["name", "password"] {
        if !body.contains_key(name) {
            wrong.push(FieldError::new(name, "This is needed."));
        }
    }
    if !wrong.is_empty() {
        return Err(Error::Invalid(wrong));
    }
    serde_json::from_value(body.into()).map_err(|error| Error::Fault(error.into()))
}

/// What is wrong with an account that a program wants to make, by the field that it is about.
fn by_field(error: AccountError) -> Error {
    let field = match error {
        AccountError::Name(_) | AccountError::Taken => "name",
        AccountError::Password(_) => "password",
        AccountError::NoInvitation => "invitation",
        error => return error.into(),
    };
    Error::Invalid(vec![FieldError::new(field, error.to_string())])
}

/// What a program asks for by the form.
#[derive(Debug)]
struct Grant<'a> {
    name: &'a str,
    password: &'a str,
    scope: TokenScope,
}

impl<'a> Grant<'a> {
    /// Fields that nobody knows are left alone, those that are known may stand there once (RFC 6749, section 3.2).
    fn read(pairs: &'a [(String, String)]) -> Result<Self, Error> {
        let grant_type = needed(pairs, "grant_type")?;
        if grant_type != "password" {
            let message = "The only grant_type here is password.".to_owned();
            return Err(no_token(UNSUPPORTED_GRANT_TYPE, message));
        }
        Ok(Self {
            name: needed(pairs, "username")?,
            password: needed(pairs, "password")?,
            scope: scope(once(pairs, "scope")?.unwrap_or_default())?,
        })
    }
}

/// None of a field that is not there, or is empty, which is the same (RFC 6749, section 3.2).
fn once<'a>(pairs: &'a [(String, String)], name: &str) -> Result<Option<&'a str>, Error> {
    let mut values = pairs
        .iter()
        .filter(|(own, _)| own == name)
        .map(|(_, value)| value.as_str());
    match (values.next(), values.next()) {
        (_, Some(_)) => Err(no_token(
            INVALID_REQUEST,
            format!("{name} stands there more than once."),
        )),
        (value, None) => Ok(value.filter(|value| !value.is_empty())),
    }
}

fn needed<'a>(pairs: &'a [(String, String)], name: &str) -> Result<&'a str, Error> {
    once(pairs, name)?.ok_or_else(|| no_token(INVALID_REQUEST, format!("{name} is needed.")))
}

/// The largest of the scopes that are named; of none the smallest there is.
fn scope(words: &str) -> Result<TokenScope, Error> {
    let mut scope = TokenScope::Read;
    for word in words.split_ascii_whitespace() {
        let unknown = || no_token(INVALID_SCOPE, "The scope is read or write.".to_owned());
        scope = scope.max(TokenScope::parse(word).ok_or_else(unknown)?);
    }
    Ok(scope)
}

fn no_token(code: &'static str, message: String) -> Error {
    Error::NoToken { code, message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_is_read_from_pairs_and_refused_by_the_codes_of_oauth() {
        let pairs =
            |text: &str| -> Vec<(String, String)> { form_urlencoded::parse(text.as_bytes()).into_owned().collect() };
        for (text, expected) in [
            ("grant_type=password&username=a&password=b", Ok(TokenScope::Read)),
            ("grant_type=password&username=a&password=b&scope=", Ok(TokenScope::Read)),
            (
                "grant_type=password&username=a&password=b&scope=read+write&client_id=x",
                Ok(TokenScope::Write),
            ),
            ("", Err(INVALID_REQUEST)),
            ("grant_type=password&username=a", Err(INVALID_REQUEST)),
            ("grant_type=password&username=a&password=", Err(INVALID_REQUEST)),
            (
                "grant_type=password&username=a&username=b&password=b",
                Err(INVALID_REQUEST),
            ),
            ("grant_type=client_credentials", Err(UNSUPPORTED_GRANT_TYPE)),
            (
                "grant_type=password&username=a&password=b&scope=admin",
                Err(INVALID_SCOPE),
            ),
        ] {
            let pairs = pairs(text);
            let found = match Grant::read(&pairs) {
                Ok(grant) => Ok(grant.scope),
                Err(Error::NoToken { code, .. }) => Err(code),
                Err(error) => panic!("{text}: {error:?}"),
            };
            assert_eq!(found, expected, "{text}");
        }
    }
}
