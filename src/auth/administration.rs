//! What admins do about accounts: who may do what, who is shut out, and the links by which people come.

use anyhow::Context as _;
use sqlx::PgPool;
use tracing::info;

use crate::auth::access;
use crate::auth::accounts::INVITATION_LIFETIME;
use crate::auth::token::Token;
use crate::auth::token::TokenKind;
use crate::auth::token::TokenText;
use crate::model::ids::UserId;
use crate::model::user::Role;
use crate::model::user::Viewer;
use crate::store;
use crate::store::users::Admission;

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum AdministrationError {
    #[error("There is no such account.")]
    NoAccount,
    #[error("This is the last admin who can sign in. Make another account an admin first.")]
    LastAdmin,
    #[error("This account is shut out. Let it in again first.")]
    ShutOut,
    #[error(transparent)]
    Fault(#[from] anyhow::Error),
}

impl From<sqlx::Error> for AdministrationError {
    fn from(error: sqlx::Error) -> Self {
        Self::Fault(error.into())
    }
}

/// Gives an account another role, from its next request on. What it has running on registered servers stops where that is
/// not for the role.
pub async fn set_role(pool: &PgPool, id: UserId, role: Role) -> Result<(), AdministrationError> {
    set_admission(pool, id, Admission::Role(role)).await
}

/// Shuts an account out, ends its sessions, and stops what it has launched.
pub async fn shut_out(pool: &PgPool, id: UserId) -> Result<(), AdministrationError> {
    set_admission(pool, id, Admission::ShutOut).await
}

/// Lets an account in again that was shut out.
pub async fn let_in(pool: &PgPool, id: UserId) -> Result<(), AdministrationError> {
    set_admission(pool, id, Admission::LetIn).await
}

async fn set_admission(pool: &PgPool, id: UserId, admission: Admission) -> Result<(), AdministrationError> {
    let mut transaction = pool.begin().await?;
    if store::users::get(&mut transaction, id).await?.is_none() {
        return Err(AdministrationError::NoAccount);
    }
    if !store::users::set_admission(&mut transaction, id, admission).await? {
        return Err(AdministrationError::LastAdmin);
    }
    if admission == Admission::ShutOut {
        store::sessions::delete_all(&mut transaction, id, None).await?;
        store::jobs::request_cancel_of(&mut transaction, id).await?;
    }
    if let Admission::Role(role) = admission
        && !access::may_use_servers(Viewer::account(id, role))
    {
        store::jobs::request_cancel_on_servers_of(&mut transaction, id).await?;
    }
    transaction.commit().await?;
    info!("The admission of account {id} was changed");
    Ok(())
}

/// A link by which somebody makes one account of this role. What is returned is shown once and kept nowhere.
pub async fn invite(pool: &PgPool, by: UserId, role: Role) -> Result<TokenText, AdministrationError> {
    link(pool, by, role, None).await
}

/// A link by which the owner of an account chooses a new password.
pub async fn link_for_new_password(pool: &PgPool, by: UserId, id: UserId) -> Result<TokenText, AdministrationError> {
    let account = store::users::get(&mut *pool.acquire().await?, id).await?;
    let account = account.ok_or(AdministrationError::NoAccount)?;
    if account.is_disabled {
        return Err(AdministrationError::ShutOut);
    }
    link(pool, by, account.role, Some(id)).await
}

async fn link(
    pool: &PgPool,
    by: UserId,
    role: Role,
    for_user: Option<UserId>,
) -> Result<TokenText, AdministrationError> {
    let token = Token::random(TokenKind::Invitation).context("making a link")?;
    let mut conn = pool.acquire().await?;
    store::invitations::insert(&mut conn, token.hashed(), by, role, for_user, INVITATION_LIFETIME).await?;
    Ok(token.text())
}
