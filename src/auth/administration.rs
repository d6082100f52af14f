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

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use super::*;
    use crate::auth::accounts::AccountError;
    use crate::auth::accounts::Accounts;
    use crate::auth::accounts::Client;
    use crate::auth::password::Hasher;
    use crate::model::hashed::Hashed;
    use crate::model::ids::JobId;
    use crate::model::job::JobKind;
    use crate::model::job::JobStatus;
    use crate::model::user::Registration;
    use crate::model::user::Viewer;
    use crate::store::queue;
    use crate::store::queue::Renewal;
    use crate::testing::world::HOME;
    use crate::testing::world::World;

    const PASSWORD: &str = "seven purple kettles sing";
    const SESSION: Hashed = Hashed([1; 32]);

    /// A store in which there are two admins: the local user, who stays, and Eve.
    async fn with_eve() -> (World, Viewer) {
        let world = World::new().await;
        let mut conn = world.conn().await;
        let claimed = store::users::claim_local(&mut conn, "ada", "hash").await.unwrap();
        assert_eq!(claimed, Some(world.viewer));
        let eve = world.account("eve", Role::Admin).await;
        (world, eve)
    }

    #[tokio::test]
    async fn what_somebody_has_launched_stops_and_their_session_ends_when_they_are_shut_out() {
        let (world, eve) = with_eve().await;
        let mut conn = world.conn().await;
        let launch = async |viewer: Viewer| {
            let mut conn = world.conn().await;
            store::jobs::insert(&mut conn, viewer, JobKind::Benchmark, Some(HOME))
                .await
                .unwrap()
        };
        let running = launch(eve).await;
        let lease = world.claim("a").await.unwrap().lease;
        let (waiting, of_ada) = (launch(eve).await, launch(world.viewer).await);
        store::sessions::insert(&mut conn, SESSION, eve.user_id, "::1", "a browser")
            .await
            .unwrap();

        shut_out(&world.pool, eve.user_id).await.unwrap();
        let status = async |viewer: Viewer, id: JobId| {
            let job = store::jobs::get(&mut *world.conn().await, viewer, id).await.unwrap();
            job.unwrap().status
        };
        assert_eq!(lease.job_id, running);
        let renewal = queue::renew(&mut conn, &lease).await.unwrap();
        assert_eq!(renewal, Renewal::CancelRequested, "whoever runs it is told to stop");
        assert_eq!(status(eve, waiting).await, JobStatus::Cancelled);
        assert_eq!(status(world.viewer, of_ada).await, JobStatus::Queued);
        let_in(&world.pool, eve.user_id).await.unwrap();
        let found = store::sessions::find(&mut conn, SESSION).await.unwrap();
        assert_eq!(found, None, "a session that has ended stays so");
        assert_eq!(status(eve, waiting).await, JobStatus::Cancelled);
    }

    #[tokio::test]
    async fn an_admin_who_was_shut_out_does_not_come_back_by_a_link_of_their_own() {
        let (world, eve) = with_eve().await;
        let accounts = Accounts::new(world.pool.clone(), Hasher::new(NonZeroUsize::MIN));
        store::settings::set_registration(&mut *world.conn().await, Registration::Invited)
            .await
            .unwrap();
        let invitation = invite(&world.pool, eve.user_id, Role::Admin).await.unwrap();
        // For an account that is not shut out.
        let another = link_for_new_password(&world.pool, eve.user_id, world.viewer.user_id);
        let another = another.await.unwrap();
        let client = Client {
            address: "192.0.2.1".parse().unwrap(),
            agent: "a browser".to_owned(),
        };
        let come = async || {
            let registered = accounts.register(Some(invitation.expose()), "mallory", PASSWORD, &client);
            let registered = registered.await;
            let chosen = accounts.choose_password_again(another.expose(), PASSWORD, &client);
            [registered, chosen.await]
        };
        shut_out(&world.pool, eve.user_id).await.unwrap();
        for refused in come().await {
            assert!(matches!(refused, Err(AccountError::NoInvitation)), "{refused:?}");
        }
        let_in(&world.pool, eve.user_id).await.unwrap();
        for entered in come().await {
            entered.unwrap();
        }
    }
}
