//! How this browser wants its pages. Nothing of it is stored here: the answer has the browser keep it.

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::IntoResponse as _;
use axum::response::Redirect;
use axum::response::Response;
use serde::Deserialize;

use crate::experiment::fields::FieldError;
use crate::report::benchmark::Percentiles;
use crate::web::cookies;
use crate::web::error::PageResult;
use crate::web::extract::form::Form;
use crate::web::fragment;
use crate::web::middleware::identity::Asker;
use crate::web::middleware::preferences;
use crate::web::middleware::preferences::Preferences;
use crate::web::pages::account::Done;
use crate::web::pages::account::ShowPage;
use crate::web::state::AppState;
use crate::web::view::Choice;

/// What the browser sent.
#[derive(Deserialize)]
#[serde(default)]
pub struct PreferencesForm {
    pub theme: String,
    pub percentiles: String,
}

impl Default for PreferencesForm {
    /// As this browser prefers it now.
    fn default() -> Self {
        let preferences = Preferences::current();
        Self {
            theme: preferences.theme_word().to_owned(),
            percentiles: preferences.percentiles.to_text(),
        }
    }
}

impl PreferencesForm {
    pub fn themes(&self) -> Vec<Choice> {
        let themes = [("", "as this device has it"), ("light", "light"), ("dark", "dark")];
        let choices = themes.into_iter().map(|(value, text)| Choice {
            value: value.to_owned(),
            text: text.to_owned(),
            is_chosen: value == self.theme,
        });
        choices.collect()
    }
}

/// POST /account/preferences
pub async fn update(
    State(state): State<AppState>,
    asker: Asker,
    Form(form): Form<PreferencesForm>,
) -> PageResult<Response> {
    match Percentiles::parse(&form.percentiles) {
        Ok(percentiles) => {
            let theme = preferences::theme(&form.theme);
            let kept = Preferences { theme, percentiles }.to_text();
            let kept = [(
                header::SET_COOKIE,
                cookies::give_preferences(&kept, state.gate.is_https)?,
            )];
            Ok((kept, Redirect::to(&Done::Preferences.address())).into_response())
        }
        Err(message) => {
            let mut page = ShowPage::of(&state, &asker).await?;
            page.errors = vec![FieldError::new("percentiles", message)];
            page.preferences = form;
            fragment::with_status(StatusCode::UNPROCESSABLE_ENTITY, &page)
        }
    }
}
