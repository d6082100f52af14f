//! How people come in and go: sign-in, the first admin, new accounts, new passwords.

use std::net::IpAddr;
use std::time::Duration;

use sqlx::PgConnection;
use sqlx::PgPool;
use tracing::info;
use tracing::warn;

use crate::auth::address::Net;
use crate::auth::api_tokens::MOST_TOKENS;
use crate::auth::limit::Ask;
use crate::auth::limit::LimitError;
use crate::auth::limit::TooOften;
use crate::auth::password::GivenPassword;
use crate::auth::password::HashError;
use crate::auth::password::Hasher;
use crate::auth::password::NewPassword;
use crate::auth::password::StoredHash;
use crate::auth::password::Verdict;
use crate::auth::token::NoChance;
use crate::auth::token::Token;
use crate::auth::token::TokenKind;
use crate::auth::token::TokenText;
use crate::model::ids::SessionId;
use crate::model::ids::UserId;
use crate::model::user::AccountName;
use crate::model::user::Registration;
use crate::model::user::Role;
use crate::model::user::Viewer;
use crate::store;

/// How long the token is good by which the first admin is made.
const SETUP_LIFETIME: Duration = Duration::from_hours(24);
/// How long an invitation is good.
pub const INVITATION_LIFETIME: Duration = Duration::from_hours(7 * 24);
/// Of what a browser says of itself, this much is kept.
const MOST_AGENT_CHARS: usize = 200;

/// From where somebody asks, and by which program.
#[derive(Clone, Debug)]
pub struct Client {
    pub address: IpAddr,
    pub agent: String,
}

/// Somebody who has come in.
#[derive(Debug)]
pub struct Entered {
    pub viewer: Viewer,
    /// For the cookie, and nothing else.
    pub session: TokenText,
}

/// Why somebody does not come in, or an account is not changed.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// No word about which of the two.
    #[error("The name or the password is wrong.")]
    Wrong,
    /// Of the password that one has now.
    #[error("This is not your password.")]
    NotYours,
    #[error("{0}")]
    Name(String),
    #[error("{0}")]
    Password(String),
    #[error("Somebody here has this name already.")]
    Taken,
    #[error("This link has been used, has expired, or was taken back. Ask an admin for a new one.")]
    NoInvitation,
    #[error("Nobody can make an account here just now. Ask an admin.")]
    Closed,
    #[error(
        "This is not the setup token that pgassay printed when it started, or it is older than a day. Start pgassay again to get a new one."
    )]
    NoSetup,
    #[error("There is an admin already. Sign in.")]
    AlreadySetUp,
    #[error(
        "{MOST_TOKENS} API tokens that were made for this account are good, and there can be no more. Revoke one that nothing needs, or use one that you have."
    )]
    TooManyTokens,
    #[error("{0}")]
    TooOften(TooOften),
    #[error("Many people are signing in at this moment. Try again in a few seconds.")]
    Busy,
    #[error(transparent)]
    Fault(#[from] anyhow::Error),
}

impl From<sqlx::Error> for AccountError {
    fn from(error: sqlx::Error) -> Self {
        Self::Fault(error.into())
    }
}

impl From<NoChance> for AccountError {
    fn from(error: NoChance) -> Self {
        Self::Fault(error.into())
    }
}

impl From<HashError> for AccountError {
    fn from(error: HashError) -> Self {
        match error {
            HashError::Busy => Self::Busy,
            HashError::Fault(error) => Self::Fault(error),
        }
    }
}

impl From<LimitError> for AccountError {
    fn from(error: LimitError) -> Self {
        match error {
            LimitError::TooOften(often) => Self::TooOften(often),
            LimitError::Store(error) => Self::Fault(error.into()),
        }
    }
}

/// What somebody chose who makes an account.
struct Chosen {
    name: AccountName,
    hash: StoredHash,
}

/// The desk at which accounts are made and people come in.
#[derive(Clone)]
pub struct Accounts {
    pool: PgPool,
    hasher: Hasher,
}

impl Accounts {
    pub fn new(pool: PgPool, hasher: Hasher) -> Self {
        Self { pool, hasher }
    }

    /// Lets somebody in who knows a name and its password. What is said, and how long it takes, is the same whether there is
    /// no such account, it is shut out, or its password is another.
    pub async fn sign_in(&self, name: &str, password: &str, client: &Client) -> Result<Entered, AccountError> {
        let viewer = self.verify(name, password, client.address).await?;
        let entered = enter(&mut *self.pool.acquire().await?, viewer, client).await?;
        info!("Account {} signed in", viewer.user_id);
        Ok(entered)
    }

    /// Who it is that knows a name and its password.
    pub async fn verify(&self, name: &str, password: &str, address: IpAddr) -> Result<Viewer, AccountError> {
        let net = Net::of(address);
        let ask = Ask::sign_in(name, net);
        let mut conn = self.pool.acquire().await?;
        Ask::sign_in_from(net).take(&mut conn).await?;
        ask.take(&mut conn).await?;
        let known = store::users::find_known(&mut conn, name.trim()).await?;
        // Hashing takes longer than anybody should hold a connection.
        drop(conn);
        let text = known.as_ref().and_then(|known| known.password_hash.as_deref());
        let stored = text.map(StoredHash::parse).transpose()?;
        let verdict = self.hasher.verify(GivenPassword::new(password), stored).await?;
        let Some(known) = known.filter(|_| verdict != Verdict::Wrong) else {
            warn!("A sign-in from {address} failed");
            return Err(AccountError::Wrong);
        };
        ask.forget(&mut *self.pool.acquire().await?).await?;
        if verdict == Verdict::RightButOld {
            self.hash_anew(&known, password).await?;
        }
        Ok(known.viewer)
    }

    /// Hashes a password that was right as passwords are hashed now. One that nobody could choose any more stays as it is.
    async fn hash_anew(&self, known: &store::users::Known, password: &str) -> Result<(), AccountError> {
        let Ok(again) = NewPassword::parse(password, &[]) else {
            return Ok(());
        };
        let hash = self.hasher.hash(again).await?.to_text();
        let mut conn = self.pool.acquire().await?;
        let old = known.password_hash.as_deref();
        store::users::set_password(&mut conn, known.viewer.user_id, old, &hash).await?;
        Ok(())
    }

    /// A token by which the first admin can be made; none when there is one.
    pub async fn offer_setup(&self) -> Result<Option<TokenText>, AccountError> {
        let mut conn = self.pool.acquire().await?;
        if store::users::has_admin(&mut conn).await? {
            return Ok(None);
        }
        let token = Token::random(TokenKind::Setup)?;
        store::invitations::insert_setup(&mut conn, token.hashed(), SETUP_LIFETIME).await?;
        Ok(Some(token.text()))
    }

    /// Whether somebody has still to be made the first admin.
    pub async fn awaits_setup(&self) -> Result<bool, AccountError> {
        Ok(!store::users::has_admin(&mut *self.pool.acquire().await?).await?)
    }

    /// Makes the first admin, to whom everything belongs that is there, and lets them in.
    pub async fn set_up(
        &self,
        token: &str,
        name: &str,
        password: &str,
        client: &Client,
    ) -> Result<Entered, AccountError> {
        let mut conn = self.pool.acquire().await?;
        Ask::sign_in_from(Net::of(client.address)).take(&mut conn).await?;
        let token = Token::parse(TokenKind::Setup, token.trim()).map_err(|_| AccountError::NoSetup)?;
        if !store::invitations::is_setup(&mut conn, token.hashed()).await? {
            return Err(AccountError::NoSetup);
        }
        drop(conn);
        let chosen = self.choose(name, password).await?;
        let viewer = self.claim(&chosen).await?;
        enter(&mut *self.pool.acquire().await?, viewer, client).await
    }

    /// Makes the first admin from the command line or the environment, where no token is needed.
    pub async fn make_first_admin(&self, name: &str, password: &str) -> Result<Viewer, AccountError> {
        let chosen = self.choose(name, password).await?;
        self.claim(&chosen).await
    }

    /// Makes an admin from the command line: the first, to whom everything belongs that is there, or one more.
    pub async fn make_admin(&self, name: &str, password: &str) -> Result<Viewer, AccountError> {
        let chosen = self.choose(name, password).await?;
        match self.claim(&chosen).await {
            Err(AccountError::AlreadySetUp) => {}
            claimed => return claimed,
        }
        let mut conn = self.pool.acquire().await?;
        let (name, hash) = (chosen.name.as_str(), chosen.hash.to_text());
        let viewer = store::users::insert(&mut conn, name, Role::Admin, &hash).await;
        let viewer = viewer.map_err(taken)?;
        info!("Account {} is an admin", viewer.user_id);
        Ok(viewer)
    }

    /// Sets the password of an account from the command line, and ends its sessions and tokens. None when nobody has that name.
    pub async fn set_password(&self, name: &str, password: &str) -> Result<Option<Viewer>, AccountError> {
        let account = store::users::find(&mut *self.pool.acquire().await?, name.trim()).await?;
        let Some(account) = account else {
            return Ok(None);
        };
        let hash = self.hash(password, &account.name).await?;
        let mut transaction = self.pool.begin().await?;
        store::users::set_password(&mut transaction, account.id, None, &hash.to_text()).await?;
        end_ways_in(&mut transaction, account.id).await?;
        transaction.commit().await?;
        info!("Account {} has another password", account.id);
        Ok(Some(Viewer::account(account.id, account.role)))
    }

    async fn claim(&self, chosen: &Chosen) -> Result<Viewer, AccountError> {
        let mut transaction = self.pool.begin().await?;
        let (name, hash) = (chosen.name.as_str(), chosen.hash.to_text());
        let claimed = store::users::claim_local(&mut transaction, name, &hash).await;
        let viewer = claimed.map_err(taken)?.ok_or(AccountError::AlreadySetUp)?;
        store::invitations::delete_setup(&mut transaction).await?;
        transaction.commit().await?;
        info!("Account {} is the first admin", viewer.user_id);
        Ok(viewer)
    }

    /// What an invitation is for; none when it is good no more.
    pub async fn invitation(&self, token: &str) -> Result<Option<store::invitations::Invitation>, AccountError> {
        let Ok(token) = Token::parse(TokenKind::Invitation, token) else {
            return Ok(None);
        };
        let mut conn = self.pool.acquire().await?;
        Ok(store::invitations::find(&mut conn, token.hashed()).await?)
    }

    /// Makes an account for somebody who has an invitation, or for anybody where everybody may; and lets them in.
    pub async fn register(
        &self,
        invitation: Option<&str>,
        name: &str,
        password: &str,
        client: &Client,
    ) -> Result<Entered, AccountError> {
        let viewer = self.add(invitation, name, password, client.address).await?;
        enter(&mut *self.pool.acquire().await?, viewer, client).await
    }

    /// Makes an account, and lets nobody in.
    pub async fn add(
        &self,
        invitation: Option<&str>,
        name: &str,
        password: &str,
        address: IpAddr,
    ) -> Result<Viewer, AccountError> {
        let mut conn = self.pool.acquire().await?;
        Ask::registration(Net::of(address)).take(&mut conn).await?;
        let registration = store::settings::registration(&mut conn).await?;
        drop(conn);
        let invitation = match (invitation, registration) {
            (_, Registration::Closed) | (None, Registration::Invited) => return Err(AccountError::Closed),
            (None, Registration::Open) => None,
            (Some(text), Registration::Invited | Registration::Open) => {
                let known = self.invitation(text).await?.ok_or(AccountError::NoInvitation)?;
                if known.for_user.is_some() {
                    return Err(AccountError::NoInvitation);
                }
                Some(Token::parse(TokenKind::Invitation, text).map_err(|_| AccountError::NoInvitation)?)
            }
        };
        let chosen = self.choose(name, password).await?;
        let mut transaction = self.pool.begin().await?;
        let invited = match &invitation {
            None => None,
            Some(token) => {
                let found = store::invitations::find(&mut transaction, token.hashed()).await?;
                Some(found.ok_or(AccountError::NoInvitation)?)
            }
        };
        let role = invited.as_ref().map_or(Role::Editor, |invitation| invitation.role);
        let (name, hash) = (chosen.name.as_str(), chosen.hash.to_text());
        let viewer = store::users::insert(&mut transaction, name, role, &hash)
            .await
            .map_err(taken)?;
        if let Some(invitation) = invited {
            store::invitations::use_up(&mut transaction, invitation.id, viewer.user_id).await?;
        }
        transaction.commit().await?;
        info!("Account {} was made", viewer.user_id);
        Ok(viewer)
    }

    /// Sets the password anew of the account that an admin's link is for, ends its sessions and tokens, and lets its owner in.
    pub async fn choose_password_again(
        &self,
        link: &str,
        password: &str,
        client: &Client,
    ) -> Result<Entered, AccountError> {
        let token = Token::parse(TokenKind::Invitation, link).map_err(|_| AccountError::NoInvitation)?;
        let known = self.invitation(link).await?.and_then(|invitation| invitation.for_user);
        let (_, name) = known.ok_or(AccountError::NoInvitation)?;
        let hash = self.hash(password, &name).await?;
        let mut transaction = self.pool.begin().await?;
        let found = store::invitations::find(&mut transaction, token.hashed()).await?;
        let invitation = found.ok_or(AccountError::NoInvitation)?;
        let (user_id, _) = invitation.for_user.ok_or(AccountError::NoInvitation)?;
        store::users::set_password(&mut transaction, user_id, None, &hash.to_text()).await?;
        store::invitations::use_up(&mut transaction, invitation.id, user_id).await?;
        end_ways_in(&mut transaction, user_id).await?;
        let known = store::users::find_known(&mut transaction, &name).await?;
        let viewer = known.ok_or(AccountError::NoInvitation)?.viewer;
        transaction.commit().await?;
        enter(&mut *self.pool.acquire().await?, viewer, client).await
    }

    /// Changes one's own password, ends all one's sessions, and lets one in anew.
    pub async fn change_password(
        &self,
        user_id: UserId,
        old: &str,
        new: &str,
        client: &Client,
    ) -> Result<Entered, AccountError> {
        let mut conn = self.pool.acquire().await?;
        let account = store::users::get(&mut conn, user_id).await?;
        let name = account
            .ok_or_else(|| anyhow::anyhow!("an account that is not there"))?
            .name;
        drop(conn);
        let verified = self.verify(&name, old, client.address).await;
        let viewer = verified.map_err(|error| match error {
            AccountError::Wrong => AccountError::NotYours,
            error => error,
        })?;
        let hash = self.hash(new, &name).await?;
        let mut transaction = self.pool.begin().await?;
        store::users::set_password(&mut transaction, user_id, None, &hash.to_text()).await?;
        store::sessions::delete_all(&mut transaction, user_id, None).await?;
        store::invitations::delete_for(&mut transaction, user_id).await?;
        transaction.commit().await?;
        enter(&mut *self.pool.acquire().await?, viewer, client).await
    }

    /// Ends a session.
    pub async fn sign_out(&self, user_id: UserId, session: SessionId) -> Result<(), AccountError> {
        store::sessions::delete(&mut *self.pool.acquire().await?, user_id, session).await?;
        Ok(())
    }

    async fn choose(&self, name: &str, password: &str) -> Result<Chosen, AccountError> {
        let name = AccountName::parse(name).map_err(AccountError::Name)?;
        let hash = self.hash(password, name.as_str()).await?;
        Ok(Chosen { name, hash })
    }

    async fn hash(&self, password: &str, name: &str) -> Result<StoredHash, AccountError> {
        let new = NewPassword::parse(password, &[name]);
        let new = new.map_err(|error| AccountError::Password(error.to_string()))?;
        Ok(self.hasher.hash(new).await?)
    }
}

/// What was good before the password was set anew by somebody else's hand is so no more.
async fn end_ways_in(conn: &mut PgConnection, user_id: UserId) -> Result<(), AccountError> {
    store::sessions::delete_all(conn, user_id, None).await?;
    store::tokens::delete_all(conn, user_id).await?;
    store::invitations::delete_for(conn, user_id).await?;
    Ok(())
}

/// Opens a session for somebody who has shown who they are.
async fn enter(conn: &mut PgConnection, viewer: Viewer, client: &Client) -> Result<Entered, AccountError> {
    let token = Token::random(TokenKind::Session)?;
    let agent: String = client.agent.chars().take(MOST_AGENT_CHARS).collect();
    let address = client.address.to_string();
    store::sessions::insert(&mut *conn, token.hashed(), viewer.user_id, &address, &agent).await?;
    store::users::note_sign_in(conn, viewer.user_id).await?;
    Ok(Entered {
        viewer,
        session: token.text(),
    })
}

fn taken(error: sqlx::Error) -> AccountError {
    if store::is_duplicate(&error) {
        AccountError::Taken
    } else {
        error.into()
    }
}

#[cfg(test)]
mod tests;
