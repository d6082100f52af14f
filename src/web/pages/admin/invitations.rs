//! Invitations: links by which one account is made each.

use askama::Template;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Deserialize;
use sqlx::PgPool;

use crate::auth::administration;
use crate::model::ids::InvitationId;
use crate::model::user::Registration;
use crate::model::user::Role;
use crate::store;
use crate::store::invitations::ListedInvitation;
use crate::web::error::Error;
use crate::web::error::PageResult;
use crate::web::extract::form::Form;
use crate::web::extract::id::Id;
use crate::web::extract::user::CurrentUser;
use crate::web::fragment;
use crate::web::fragment::Hx;
use crate::web::state::Gate;
use crate::web::urls;
use crate::web::view;
use crate::web::view::Choice;

#[derive(Deserialize)]
pub struct InvitationForm {
    #[serde(default)]
    role: String,
}

#[derive(Template)]
#[template(path = "admin/invitations.html")]
struct IndexPage {
    rows: Vec<InvitationRow>,
    roles: Vec<Choice>,
    /// Nobody can make an account, so that links for new accounts are good for nothing.
    is_closed: bool,
    /// For somebody to make an account by. Shown once.
    link: Option<String>,
}

struct InvitationRow {
    what: String,
    made_by: String,
    made: String,
    expires: String,
    delete_href: String,
}

fn row(invitation: ListedInvitation) -> InvitationRow {
    InvitationRow {
        what: match invitation.for_user {
            None => format!("a new account, {}", invitation.role.word()),
            Some(name) => format!("a new password for {name}"),
        },
        made_by: invitation.made_by,
        made: view::date(invitation.created_at),
        expires: view::date(invitation.expires_at),
        delete_href: urls::admin_invitation_delete(invitation.id),
    }
}

async fn load(pool: &PgPool) -> PageResult<IndexPage> {
    let mut conn = pool.acquire().await?;
    let invitations = store::invitations::list(&mut conn).await?;
    let registration = store::settings::registration(&mut conn).await?;
    Ok(IndexPage {
        rows: invitations.into_iter().map(row).collect(),
        roles: super::roles(Role::Editor),
        is_closed: registration == Registration::Closed,
        link: None,
    })
}

/// GET /admin/invitations
pub async fn index(State(pool): State<PgPool>) -> PageResult<Response> {
    fragment::page(&load(&pool).await?)
}

/// POST /admin/invitations: the answer shows the link, which nothing shows again.
pub async fn create(
    State(pool): State<PgPool>,
    State(gate): State<Gate>,
    CurrentUser(viewer): CurrentUser,
    headers: HeaderMap,
    Form(form): Form<InvitationForm>,
) -> PageResult<Response> {
    let role = Role::parse(&form.role).ok_or_else(|| Error::refused("There is no such role."))?;
    let token = administration::invite(&pool, viewer.user_id, role).await;
    let token = match token {
        Ok(token) => token,
        Err(error) => return Err(Error::refused(super::in_words(error)?)),
    };
    fragment::page(&IndexPage {
        link: Some(super::link(&gate, &headers, &token)),
        ..load(&pool).await?
    })
}

/// POST /admin/invitations/{id}/delete
pub async fn destroy(State(pool): State<PgPool>, Id(id): Id<InvitationId>, hx: Hx) -> PageResult<Response> {
    if !store::invitations::delete(&mut *pool.acquire().await?, id).await? {
        return Err(Error::NotFound("invitation"));
    }
    Ok(hx.redirect(urls::ADMIN_INVITATIONS))
}
