//! API tokens: what somebody may ask of a new one, and how it is made. Whether one is good, the store says.

use std::time::Duration;

use chrono::DateTime;
use chrono::Utc;
use sqlx::PgPool;
use tracing::info;

use crate::auth::accounts::AccountError;
use crate::auth::limit::Ask;
use crate::auth::token::Token;
use crate::auth::token::TokenKind;
use crate::auth::token::TokenText;
use crate::model::ids::UserId;
use crate::model::user::TokenScope;
use crate::store;
use crate::store::tokens::NewToken;

/// How long a token is good for which nobody said how long.
pub const USUAL_DAYS: u32 = 90;
/// And how long at most.
pub const MOST_DAYS: u32 = 365;
/// How long one is good that a program gets for a name and a password: it can ask for the next one at any time.
const PASSWORD_TOKEN_LIFETIME: Duration = Duration::from_hours(24);
/// So many are good at once that somebody has made for one account: whoever loses sight of them revokes some. Of those that
/// programs ask for there can be more, and never more than the limit gives within their lifetime.
pub const MOST_TOKENS: u64 = 100;
const MOST_NAME_CHARS: usize = 100;

/// What a new token is to be, and may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenWish {
    name: String,
    scope: TokenScope,
    lifetime: Duration,
    is_by_password: bool,
}

/// What is wrong with a wish for a token, in words for whoever typed it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenWishError {
    #[error("A name is needed, by which you know the token again.")]
    NoName,
    #[error("A name has at most {MOST_NAME_CHARS} characters; this has {0}.")]
    LongName(usize),
    #[error("A name has no control characters.")]
    UnseenName,
    #[error("The scope is read or write.")]
    Scope,
    #[error("A token is good for 1 to {MOST_DAYS} days.")]
    Days,
}

impl TokenWishError {
    /// The field that it is about.
    pub fn field(&self) -> &'static str {
        match self {
            Self::NoName | Self::LongName(_) | Self::UnseenName => "name",
            Self::Scope => "scope",
            Self::Days => "days",
        }
    }
}

impl TokenWish {
    /// What somebody typed.
    pub fn parse(name: &str, scope: &str, days: &str) -> Result<Self, Vec<TokenWishError>> {
        let (name, scope, lifetime) = (parse_name(name), parse_scope(scope), parse_days(days));
        match (name, scope, lifetime) {
            (Ok(name), Ok(scope), Ok(lifetime)) => Ok(Self {
                name,
                scope,
                lifetime,
                is_by_password: false,
            }),
            (name, scope, lifetime) => Err([name.err(), scope.err(), lifetime.err()]
                .into_iter()
                .flatten()
                .collect()),
        }
    }

    /// What a program asks for that has a name and a password.
    pub fn by_password(scope: TokenScope) -> Self {
        Self {
            name: "got by name and password".to_owned(),
            scope,
            lifetime: PASSWORD_TOKEN_LIFETIME,
            is_by_password: true,
        }
    }

    pub fn scope(&self) -> TokenScope {
        self.scope
    }

    pub fn lifetime(&self) -> Duration {
        self.lifetime
    }
}

/// A token that was just made.
#[derive(Debug)]
pub struct MadeToken {
    /// To be shown once.
    pub text: TokenText,
    pub expires_at: DateTime<Utc>,
}

/// How many there may be, for the help.
pub fn sentence() -> String {
    format!("At most {MOST_TOKENS} API tokens are good at once that were made on the page Account.")
}

/// Makes a token for an account, unless that has made too many lately, or has as many as it may.
pub async fn make(pool: &PgPool, user_id: UserId, wish: &TokenWish) -> Result<MadeToken, AccountError> {
    Ask::token(user_id).take(&mut *pool.acquire().await?).await?;
    let token = Token::random(TokenKind::Api)?;
    let new = NewToken {
        token: token.hashed(),
        name: &wish.name,
        prefix: &token.shown_prefix(),
        scope: wish.scope,
        lifetime: wish.lifetime,
        is_by_password: wish.is_by_password,
    };
    let mut transaction = pool.begin().await?;
    // Two at once do not both find the last place.
    store::quotas::lock(&mut transaction, user_id).await?;
    if !wish.is_by_password && store::tokens::count_good(&mut transaction, user_id).await? >= MOST_TOKENS {
        return Err(AccountError::TooManyTokens);
    }
    let (id, expires_at) = store::tokens::insert(&mut transaction, user_id, &new).await?;
    transaction.commit().await?;
    info!("Account {user_id} made the API token {id}");
    Ok(MadeToken {
        text: token.text(),
        expires_at,
    })
}

fn parse_name(text: &str) -> Result<String, TokenWishError> {
    let name = text.trim();
    match name.chars().count() {
        0 => Err(TokenWishError::NoName),
        n if n > MOST_NAME_CHARS => Err(TokenWishError::LongName(n)),
        _ if name.chars().any(char::is_control) => Err(TokenWishError::UnseenName),
        _ => Ok(name.to_owned()),
    }
}

fn parse_scope(word: &str) -> Result<TokenScope, TokenWishError> {
    TokenScope::parse(word.trim()).ok_or(TokenWishError::Scope)
}

fn parse_days(text: &str) -> Result<Duration, TokenWishError> {
    let days: u32 = match text.trim() {
        "" => USUAL_DAYS,
        text => text.parse().map_err(|_| TokenWishError::Days)?,
    };
    if !(1..=MOST_DAYS).contains(&days) {
        return Err(TokenWishError::Days);
    }
    Ok(Duration::from_hours(u64::from(days) * 24))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn a_token_has_a_name_a_scope_and_an_end_within_a_year() {
        let wish = TokenWish::parse(" nightly ", "read", "").unwrap();
        assert_eq!((wish.name.as_str(), wish.scope()), ("nightly", TokenScope::Read));
        assert_eq!(wish.lifetime(), Duration::from_hours(90 * 24));
        for (days, is_good) in [
            ("1", true),
            (" 365 ", true),
            ("0", false),
            ("366", false),
            ("-1", false),
            ("1.5", false),
        ] {
            assert_eq!(TokenWish::parse("x", "write", days).is_ok(), is_good, "{days:?}");
        }
        let wrong = TokenWish::parse(" ", "admin", "never").unwrap_err();
        assert_eq!(
            wrong,
            [TokenWishError::NoName, TokenWishError::Scope, TokenWishError::Days]
        );
        let fields: Vec<&str> = wrong.iter().map(TokenWishError::field).collect();
        assert_eq!(fields, ["name", "scope", "days"]);
        let long = TokenWish::parse(&"é".repeat(101), "read", "1").unwrap_err();
        assert_eq!(long, [TokenWishError::LongName(101)]);
        assert_eq!(
            TokenWish::parse("a\0b", "read", "1").unwrap_err(),
            [TokenWishError::UnseenName]
        );
    }

    #[tokio::test]
    async fn a_token_that_is_made_stands_for_its_account_and_the_twenty_first_within_an_hour_is_not_made() {
        let pool = testing::database().await;
        let mut conn = pool.acquire().await.unwrap();
        let viewer = store::local_viewer(&mut conn).await.unwrap();
        let wish = TokenWish::by_password(TokenScope::Read);
        let made = make(&pool, viewer.user_id, &wish).await.unwrap();
        let token = Token::parse(TokenKind::Api, made.text.expose()).unwrap();
        let bearer = store::tokens::find(&mut conn, token.hashed()).await.unwrap().unwrap();
        assert_eq!(
            (bearer.viewer.user_id, bearer.scope),
            (viewer.user_id, TokenScope::Read)
        );
        let listed = store::tokens::list(&mut conn, viewer.user_id).await.unwrap();
        assert!(made.text.expose().starts_with(&listed[0].prefix));
        let mut refused = None;
        for _ in 0..20 {
            refused = refused.or(make(&pool, viewer.user_id, &wish).await.err());
        }
        assert!(matches!(refused, Some(AccountError::TooOften(_))), "{refused:?}");
    }

    #[tokio::test]
    async fn an_account_has_so_many_good_tokens_and_no_more_also_by_several_at_once() {
        let pool = testing::database().await;
        let mut conn = pool.acquire().await.unwrap();
        let viewer = store::local_viewer(&mut conn).await.unwrap();
        let have = async |n_good: i64, n_expired: i64| {
            let insert = "with gone as (delete from api_tokens where user_id = $1)
                insert into api_tokens (token_hash, user_id, name, prefix, scope, expires_at)
                select sha256(format('%s of %s', n, $2)::bytea), $1, 'x', 'p', 'read',
                       clock_timestamp() + case when n <= $2 then interval '1 hour' else interval '-1 hour' end
                from generate_series(1, $2 + $3) as n";
            let done = sqlx::query(insert).bind(viewer.user_id.0).bind(n_good).bind(n_expired);
            done.execute(&pool).await.unwrap();
        };
        let wish = TokenWish::parse("one more", "read", "1").unwrap();
        let most = i64::try_from(MOST_TOKENS).unwrap();
        have(most - 2, 150).await;
        let making = (0..6).map(|_| make(&pool, viewer.user_id, &wish));
        let made = futures_util::future::join_all(making).await;
        assert_eq!(made.iter().filter(|made| made.is_ok()).count(), 2, "{made:?}");
        for error in made.into_iter().filter_map(Result::err) {
            assert!(matches!(error, AccountError::TooManyTokens), "{error:?}");
        }
        // Who has a name and a password is never shut out by what asked before.
        make(&pool, viewer.user_id, &TokenWish::by_password(TokenScope::Read))
            .await
            .unwrap();
        // Each that can be used is on the list, and can be revoked.
        let listed = store::tokens::list(&mut conn, viewer.user_id).await.unwrap();
        let n_good = listed.iter().filter(|token| !token.is_expired).count() as u64;
        assert_eq!(n_good, MOST_TOKENS + 1);
        assert_eq!(listed[100].name, "got by name and password");
        assert!(
            store::tokens::delete(&mut conn, viewer.user_id, listed[0].id)
                .await
                .unwrap()
        );
        make(&pool, viewer.user_id, &wish).await.unwrap();
        have(0, most + 10).await;
        make(&pool, viewer.user_id, &wish).await.unwrap();
    }
}
