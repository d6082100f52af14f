//! Accounts: the list, and what an admin does about each.

use askama::Template;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use sqlx::PgPool;

use crate::auth::administration;
use crate::auth::administration::AdministrationError;
use crate::auth::quota;
use crate::auth::quota::QuotaForm;
use crate::experiment::fields::FieldError;
use crate::model::dataset::Setting;
use crate::model::ids::UserId;
use crate::model::quota::Quotas;
use crate::model::user::Account;
use crate::model::user::Role;
use crate::store;
use crate::web::error::Error;
use crate::web::error::PageResult;
use crate::web::extract::address::Query;
use crate::web::extract::form::Form;
use crate::web::extract::id::Id;
use crate::web::extract::user::CurrentUser;
use crate::web::fragment;
use crate::web::fragment::Hx;
use crate::web::pages::admin::quotas;
use crate::web::pages::admin::quotas::QuotaField;
use crate::web::state::Gate;
use crate::web::urls;
use crate::web::view;
use crate::web::view::Choice;

/// On one page of the list.
const PAGE: usize = 50;

#[derive(Deserialize)]
pub struct ListParams {
    /// The name that the page before ends with.
    #[serde(default)]
    after: String,
}

#[derive(Deserialize)]
pub struct RoleForm {
    #[serde(default)]
    role: String,
}

#[derive(Template)]
#[template(path = "admin/accounts.html")]
struct IndexPage {
    rows: Vec<AccountRow>,
    is_first: bool,
    next: Option<String>,
}

struct AccountRow {
    name: String,
    href: String,
    role: &'static str,
    word: &'static str,
    class: &'static str,
    signed_in: String,
}

#[derive(Template)]
#[template(path = "admin/account.html")]
struct ShowPage {
    id: UserId,
    name: String,
    facts: Vec<Setting>,
    /// What it has, of what it may have.
    held: Vec<Setting>,
    roles: Vec<Choice>,
    is_disabled: bool,
    quotas: Vec<QuotaField>,
    /// For somebody to choose a new password by. Shown once.
    link: Option<String>,
    /// Why something that was asked for was not done.
    refusal: Option<String>,
    errors: Vec<FieldError>,
}

fn state(account: &Account) -> (&'static str, &'static str) {
    match (account.is_disabled, account.can_sign_in) {
        (true, _) => ("shut out", "bad"),
        (false, true) => ("can sign in", "good"),
        (false, false) => ("no password", "stopped"),
    }
}

fn signed_in(account: &Account) -> String {
    account.signed_in_at.map_or_else(|| "never".to_owned(), view::date)
}

/// GET /admin/accounts
pub async fn index(State(pool): State<PgPool>, Query(params): Query<ListParams>) -> PageResult<Response> {
    let mut conn = pool.acquire().await?;
    let limit = i64::try_from(PAGE + 1).map_err(anyhow::Error::from)?;
    let mut accounts = store::users::list(&mut conn, &params.after, limit).await?;
    drop(conn);
    let has_more = accounts.len() > PAGE;
    accounts.truncate(PAGE);
    let last = accounts.last().filter(|_| has_more);
    let row = |account: &Account| {
        let (word, class) = state(account);
        AccountRow {
            name: account.name.clone(),
            href: urls::admin_account(account.id),
            role: account.role.word(),
            word,
            class,
            signed_in: signed_in(account),
        }
    };
    fragment::page(&IndexPage {
        rows: accounts.iter().map(row).collect(),
        is_first: params.after.is_empty(),
        next: last.map(|last| urls::with_query(urls::ADMIN_ACCOUNTS, [("after", last.name.as_str())])),
    })
}

/// The page of an account as it stands.
async fn load(pool: &PgPool, id: UserId) -> PageResult<ShowPage> {
    const WHAT: Error = Error::NotFound("account");
    let mut conn = pool.acquire().await?;
    let account = store::users::get(&mut conn, id).await?.ok_or(WHAT)?;
    let own = store::quotas::get_own(&mut conn, id).await?.ok_or(WHAT)?;
    let house = Quotas::default().with(&store::quotas::house(&mut conn).await?);
    let usage = store::quotas::usage(&mut conn, id).await?;
    drop(conn);
    let fact = |name: &str, value: String| Setting {
        name: name.to_owned(),
        value,
    };
    let facts = vec![
        fact("Role", account.role.word().to_owned()),
        fact("State", state(&account).0.to_owned()),
        fact("Made (UTC)", view::date(account.created_at)),
        fact("Last sign-in (UTC)", signed_in(&account)),
    ];
    let quotas = house.with(&own);
    let held = quota::ALL.map(|one| fact(quota::field(one).label, quota::in_words(&quotas, &usage, one)));
    Ok(ShowPage {
        id,
        facts,
        held: held.into(),
        roles: super::roles(account.role),
        is_disabled: account.is_disabled,
        quotas: quotas::fields(&QuotaForm::of(&own), &house, &[]),
        name: account.name,
        link: None,
        refusal: None,
        errors: Vec::new(),
    })
}

/// Leads back to the account, or shows there why nothing was done.
async fn done(pool: &PgPool, hx: Hx, id: UserId, result: Result<(), AdministrationError>) -> PageResult<Response> {
    let Err(error) = result else {
        return Ok(hx.redirect(&urls::admin_account(id)));
    };
    let refusal = Some(super::in_words(error)?);
    let page = ShowPage {
        refusal,
        ..load(pool, id).await?
    };
    fragment::with_status(StatusCode::CONFLICT, &page)
}

/// GET /admin/accounts/{id}
pub async fn show(State(pool): State<PgPool>, Id(id): Id<UserId>) -> PageResult<Response> {
    fragment::page(&load(&pool, id).await?)
}

/// POST /admin/accounts/{id}/role
pub async fn set_role(
    State(pool): State<PgPool>,
    Id(id): Id<UserId>,
    hx: Hx,
    Form(form): Form<RoleForm>,
) -> PageResult<Response> {
    let role = Role::parse(&form.role).ok_or_else(|| Error::refused("There is no such role."))?;
    let result = administration::set_role(&pool, id, role).await;
    done(&pool, hx, id, result).await
}

/// POST /admin/accounts/{id}/shut-out
pub async fn shut_out(State(pool): State<PgPool>, Id(id): Id<UserId>, hx: Hx) -> PageResult<Response> {
    let result = administration::shut_out(&pool, id).await;
    done(&pool, hx, id, result).await
}

/// POST /admin/accounts/{id}/let-in
pub async fn let_in(State(pool): State<PgPool>, Id(id): Id<UserId>, hx: Hx) -> PageResult<Response> {
    let result = administration::let_in(&pool, id).await;
    done(&pool, hx, id, result).await
}

/// POST /admin/accounts/{id}/password: the answer shows the link, which nothing shows again.
pub async fn link_for_new_password(
    State(pool): State<PgPool>,
    State(gate): State<Gate>,
    CurrentUser(viewer): CurrentUser,
    Id(id): Id<UserId>,
    hx: Hx,
    headers: HeaderMap,
) -> PageResult<Response> {
    match administration::link_for_new_password(&pool, viewer.user_id, id).await {
        Ok(token) => fragment::page(&ShowPage {
            link: Some(super::link(&gate, &headers, &token)),
            ..load(&pool, id).await?
        }),
        Err(error) => done(&pool, hx, id, Err(error)).await,
    }
}

/// POST /admin/accounts/{id}/quotas
pub async fn set_quotas(
    State(pool): State<PgPool>,
    Id(id): Id<UserId>,
    hx: Hx,
    Form(pairs): Form<Vec<(String, String)>>,
) -> PageResult<Response> {
    let form = QuotaForm::from_pairs(&pairs);
    match form.parse() {
        Ok(own) => {
            if !store::quotas::set_own(&mut *pool.acquire().await?, id, &own).await? {
                return Err(Error::NotFound("account"));
            }
            Ok(hx.redirect(&urls::admin_account(id)))
        }
        Err(errors) => {
            let errors = quotas::errors(errors);
            let house = Quotas::default().with(&store::quotas::house(&mut *pool.acquire().await?).await?);
            let page = ShowPage {
                quotas: quotas::fields(&form, &house, &errors),
                errors,
                ..load(&pool, id).await?
            };
            fragment::with_status(StatusCode::UNPROCESSABLE_ENTITY, &page)
        }
    }
}
