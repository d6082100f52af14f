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
const MOST_NAME_CHARS: usize = 100;

/// What a new token is to be, and may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenWish {
    name: String,
    scope: TokenScope,
    lifetime: Duration,
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
            (Ok(name), Ok(scope), Ok(lifetime)) => Ok(Self { name, scope, lifetime }),
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

/// Makes a token for an account, unless that has made too many lately.
pub async fn make(pool: &PgPool, user_id: UserId, wish: &TokenWish) -> Result<MadeToken, AccountError> {
    let mut conn = pool.acquire().await?;
    Ask::token(user_id).take(&mut conn).await?;
    let token = Token::random(TokenKind::Api)?;
    let new = NewToken {
        token: token.hashed(),
        name: &wish.name,
        prefix: &token.shown_prefix(),
        scope: wish.scope,
        lifetime: wish.lifetime,
    };
    let (id, expires_at) = store::tokens::insert(&mut conn, user_id, &new).await?;
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
}
