//! Who sees a thing beside its owner: all accounts, or whoever has a link to it.

use std::time::Duration;

use sqlx::PgConnection;
use sqlx::PgPool;

use crate::auth::token::NoChance;
use crate::auth::token::Token;
use crate::auth::token::TokenKind;
use crate::auth::token::TokenText;
use crate::model::filing::Filed;
use crate::model::ids::LinkId;
use crate::model::user::Viewer;
use crate::store;

const A_DAY: Duration = Duration::from_hours(24);
/// Of one thing at a time. The page shows no more.
const MOST_LINKS: usize = 100;

/// How long a link shows its thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    Week,
    Month,
    UntilTakenBack,
}

impl Lifetime {
    pub const ALL: [Self; 3] = [Self::Week, Self::Month, Self::UntilTakenBack];

    pub fn word(self) -> &'static str {
        match self {
            Self::Week => "week",
            Self::Month => "month",
            Self::UntilTakenBack => "until_taken_back",
        }
    }

    /// The lifetime of that word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|lifetime| lifetime.word() == word)
    }

    pub fn in_words(self) -> &'static str {
        match self {
            Self::Week => "for 7 days",
            Self::Month => "for 30 days",
            Self::UntilTakenBack => "until it is taken back",
        }
    }

    fn duration(self) -> Option<Duration> {
        match self {
            Self::Week => Some(7 * A_DAY),
            Self::Month => Some(30 * A_DAY),
            Self::UntilTakenBack => None,
        }
    }
}

/// Why nothing was changed about who sees a thing.
#[derive(Debug, thiserror::Error)]
pub enum SharingError {
    /// There is no such thing, or it is somebody else's.
    #[error("There is no such thing that is yours.")]
    NotYours,
    #[error("There are {MOST_LINKS} links to it already. Take one back that nobody needs any more.")]
    TooMany,
    #[error(transparent)]
    Fault(#[from] anyhow::Error),
}

impl From<sqlx::Error> for SharingError {
    fn from(error: sqlx::Error) -> Self {
        Self::Fault(error.into())
    }
}

impl From<NoChance> for SharingError {
    fn from(error: NoChance) -> Self {
        Self::Fault(error.into())
    }
}

/// Whether the viewer may change a thing. What it may not see is none of its own either.
pub async fn is_own(conn: &mut PgConnection, viewer: Viewer, thing: Filed) -> store::Result<bool> {
    let sharing = store::links::get(conn, viewer, thing).await?;
    Ok(sharing.is_some_and(|sharing| sharing.is_own))
}

/// Shows a thing of the viewer's to all accounts, or to its owner alone again. Links stay as they are.
pub async fn share(pool: &PgPool, viewer: Viewer, thing: Filed, is_shared: bool) -> Result<(), SharingError> {
    let done = store::links::share(&mut *pool.acquire().await?, viewer, thing, is_shared).await?;
    done.then_some(()).ok_or(SharingError::NotYours)
}

/// Makes a link to a thing of the viewer's. Its token is not kept, so it can be shown now and never again.
pub async fn make_link(
    pool: &PgPool,
    viewer: Viewer,
    thing: Filed,
    lifetime: Lifetime,
) -> Result<TokenText, SharingError> {
    let mut transaction = pool.begin().await?;
    let sharing = store::links::get(&mut transaction, viewer, thing).await?;
    let sharing = sharing.filter(|sharing| sharing.is_own).ok_or(SharingError::NotYours)?;
    if sharing.links.len() >= MOST_LINKS {
        return Err(SharingError::TooMany);
    }
    let token = Token::random(TokenKind::Link)?;
    let lifetime = lifetime.duration();
    store::links::insert(&mut transaction, viewer, thing, token.hashed(), lifetime).await?;
    transaction.commit().await?;
    Ok(token.text())
}

/// Takes a link to a thing of the viewer's back; whoever has it sees nothing by it from now on.
pub async fn take_back(pool: &PgPool, viewer: Viewer, thing: Filed, link: LinkId) -> Result<(), SharingError> {
    let mut transaction = pool.begin().await?;
    let sharing = store::links::get(&mut transaction, viewer, thing).await?;
    sharing.filter(|sharing| sharing.is_own).ok_or(SharingError::NotYours)?;
    if !store::links::delete(&mut transaction, thing, link).await? {
        return Err(SharingError::NotYours);
    }
    transaction.commit().await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::world::World;

    #[tokio::test]
    async fn only_its_owner_makes_links_to_a_thing_and_takes_them_back() {
        let world = World::new().await;
        let (id, _) = world.dataset("shop").await;
        let (thing, stranger) = (Filed::Dataset(id), world.stranger().await);
        let pool = &world.pool;
        share(pool, world.viewer, thing, true).await.unwrap();
        let refused = make_link(pool, stranger, thing, Lifetime::Week).await;
        assert!(
            matches!(refused, Err(SharingError::NotYours)),
            "to see it is not enough"
        );
        let text = make_link(pool, world.viewer, thing, Lifetime::Week).await.unwrap();
        let token = Token::parse(TokenKind::Link, text.expose()).unwrap();
        let mut conn = world.conn().await;
        let sharing = store::links::get(&mut conn, world.viewer, thing)
            .await
            .unwrap()
            .unwrap();
        let [link] = sharing.links.as_slice() else {
            panic!("one link is listed: {sharing:?}");
        };
        assert_eq!((link.expires_at.unwrap() - link.created_at).num_days(), 7);
        let refused = take_back(pool, stranger, thing, link.id).await;
        assert!(matches!(refused, Err(SharingError::NotYours)));
        assert_eq!(
            store::links::find(&mut conn, token.hashed()).await.unwrap(),
            Some(thing)
        );
        take_back(pool, world.viewer, thing, link.id).await.unwrap();
        assert_eq!(store::links::find(&mut conn, token.hashed()).await.unwrap(), None);
        let again = take_back(pool, world.viewer, thing, link.id).await;
        assert!(matches!(again, Err(SharingError::NotYours)));
    }

    #[tokio::test]
    async fn there_is_an_end_to_the_links_of_a_thing() {
        let world = World::new().await;
        let thing = Filed::Workload(world.workload("w", "select 1").await);
        for _ in 0..MOST_LINKS {
            make_link(&world.pool, world.viewer, thing, Lifetime::UntilTakenBack)
                .await
                .unwrap();
        }
        let refused = make_link(&world.pool, world.viewer, thing, Lifetime::Month).await;
        assert!(matches!(refused, Err(SharingError::TooMany)));
    }
}
