//! What holds for everybody: who may make an account, and how much each may have.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use sqlx::PgPool;

use crate::auth::quota::QuotaForm;
use crate::experiment::fields::FieldError;
use crate::model::quota::Quotas;
use crate::model::user::Registration;
use crate::store;
use crate::web::error::Error;
use crate::web::error::PageResult;
use crate::web::extract::form::Form;
use crate::web::fragment;
use crate::web::fragment::Hx;
use crate::web::pages::admin::quotas;
use crate::web::pages::admin::quotas::QuotaField;
use crate::web::urls;
use crate::web::view::Choice;

#[derive(Deserialize)]
pub struct RegistrationForm {
    #[serde(default)]
    registration: String,
}

#[derive(Template)]
#[template(path = "admin/settings.html")]
struct SettingsPage {
    registrations: Vec<Choice>,
    quotas: Vec<QuotaField>,
    errors: Vec<FieldError>,
}

fn in_words(registration: Registration) -> &'static str {
    match registration {
        Registration::Closed => "Closed: nobody, not even with an invitation",
        Registration::Invited => "By invitation: whoever has an admin’s link",
        Registration::Open => "Open: whoever reaches this address, as an editor",
    }
}

async fn load(pool: &PgPool, typed: Option<&QuotaForm>, errors: Vec<FieldError>) -> PageResult<SettingsPage> {
    let mut conn = pool.acquire().await?;
    let chosen = store::settings::registration(&mut conn).await?;
    let house = QuotaForm::of(&store::quotas::house(&mut conn).await?);
    drop(conn);
    let choice = |registration: Registration| Choice {
        value: registration.word().to_owned(),
        text: in_words(registration).to_owned(),
        is_chosen: registration == chosen,
    };
    Ok(SettingsPage {
        registrations: Registration::ALL.map(choice).into(),
        quotas: quotas::fields(typed.unwrap_or(&house), &Quotas::default(), &errors),
        errors,
    })
}

/// GET /admin/settings
pub async fn edit(State(pool): State<PgPool>) -> PageResult<Response> {
    fragment::page(&load(&pool, None, Vec::new()).await?)
}

/// POST /admin/settings/registration
pub async fn set_registration(
    State(pool): State<PgPool>,
    hx: Hx,
    Form(form): Form<RegistrationForm>,
) -> PageResult<Response> {
    let registration = Registration::parse(&form.registration);
    let registration = registration.ok_or_else(|| Error::refused("There is no such choice."))?;
    store::settings::set_registration(&mut *pool.acquire().await?, registration).await?;
    Ok(hx.redirect(urls::ADMIN_SETTINGS))
}

/// POST /admin/settings/quotas
pub async fn set_quotas(
    State(pool): State<PgPool>,
    hx: Hx,
    Form(pairs): Form<Vec<(String, String)>>,
) -> PageResult<Response> {
    let form = QuotaForm::from_pairs(&pairs);
    match form.parse() {
        Ok(house) => {
            store::quotas::set_house(&mut *pool.acquire().await?, &house).await?;
            Ok(hx.redirect(urls::ADMIN_SETTINGS))
        }
        Err(errors) => {
            let page = load(&pool, Some(&form), quotas::errors(errors)).await?;
            fragment::with_status(StatusCode::UNPROCESSABLE_ENTITY, &page)
        }
    }
}
