//! API tokens: programs that act for an account.

use std::time::Duration;

use chrono::DateTime;
use chrono::Utc;
use sqlx::PgConnection;

use crate::model::hashed::Hashed;
use crate::model::ids::TokenId;
use crate::model::ids::UserId;
use crate::model::user::Role;
use crate::model::user::TokenScope;
use crate::model::user::Viewer;
use crate::store::Result;
use crate::store::to_u64;

/// How often at most it is written down that one is in use, in seconds.
const NOTED_EVERY_S: f64 = 60.0;

/// What a new token is to be.
#[derive(Clone, Debug)]
pub struct NewToken<'a> {
    pub token: Hashed,
    pub name: &'a str,
    /// By which its owner knows it again.
    pub prefix: &'a str,
    pub scope: TokenScope,
    pub lifetime: Duration,
    /// A program has asked for it by a name and a password.
    pub is_by_password: bool,
}

/// A token as its owner sees it.
#[derive(Clone, Debug)]
pub struct ApiToken {
    pub id: TokenId,
    pub name: String,
    pub prefix: String,
    pub scope: TokenScope,
    pub expires_at: DateTime<Utc>,
    pub used_at: Option<DateTime<Utc>>,
    pub is_expired: bool,
}

/// Whom a token stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bearer {
    pub viewer: Viewer,
    pub name: String,
    pub scope: TokenScope,
}

/// Stores a new token. Returns when it expires.
pub async fn insert(conn: &mut PgConnection, user_id: UserId, new: &NewToken<'_>) -> Result<(TokenId, DateTime<Utc>)> {
    let row = sqlx::query!(
        r#"insert into api_tokens (token_hash, user_id, name, prefix, scope, expires_at, is_by_password)
           values ($1, $2, $3, $4, $5, clock_timestamp() + make_interval(secs => $6), $7)
           returning id as "id: TokenId", expires_at"#,
        &new.token.0[..],
        user_id.0,
        new.name,
        new.prefix,
        new.scope as TokenScope,
        new.lifetime.as_secs_f64(),
        new.is_by_password,
    )
    .fetch_one(conn)
    .await?;
    Ok((row.id, row.expires_at))
}

/// How many tokens that somebody has made for an account are good.
pub async fn count_good(conn: &mut PgConnection, user_id: UserId) -> Result<u64> {
    let n = sqlx::query_scalar!(
        r#"select count(*) as "n!" from api_tokens where user_id = $1 and not is_by_password and expires_at > clock_timestamp()"#,
        user_id.0,
    )
    .fetch_one(conn)
    .await?;
    Ok(to_u64(n))
}

/// Whom a token stands for; none when it has expired, was revoked, or its account is shut out.
pub async fn find(conn: &mut PgConnection, token: Hashed) -> Result<Option<Bearer>> {
    let row = sqlx::query!(
        r#"select t.id as "id: TokenId", u.id as "user_id: UserId", u.role as "role: Role", u.name,
                  t.scope as "scope: TokenScope",
                  t.used_at is null or t.used_at < clock_timestamp() - make_interval(secs => $2) as "is_old!"
           from api_tokens t join users u on u.id = t.user_id
           where t.token_hash = $1 and not u.is_disabled and t.expires_at > clock_timestamp()"#,
        &token.0[..],
        NOTED_EVERY_S,
    )
    .fetch_optional(&mut *conn)
    .await?;
    let Some(row) = row else {
        return Ok(None);
    };
    if row.is_old {
        sqlx::query!(
            "update api_tokens set used_at = clock_timestamp() where id = $1",
            row.id.0
        )
        .execute(conn)
        .await?;
    }
    Ok(Some(Bearer {
        viewer: Viewer::account(row.user_id, row.role),
        name: row.name,
        scope: row.scope,
    }))
}

/// The tokens of an account, those that are still good first, the newest first, with those that expired last, in the last
/// month; before those that programs asked for all that somebody has made, of which there are never more good ones than are
/// listed.
pub async fn list(conn: &mut PgConnection, user_id: UserId) -> Result<Vec<ApiToken>> {
    sqlx::query_as!(
        ApiToken,
        r#"select id as "id: TokenId", name, prefix, scope as "scope: TokenScope", expires_at, used_at,
                  expires_at <= clock_timestamp() as "is_expired!"
           from api_tokens where user_id = $1 and expires_at > clock_timestamp() - interval '30 days'
           order by expires_at <= clock_timestamp(), is_by_password, id desc limit 200"#,
        user_id.0,
    )
    .fetch_all(conn)
    .await
}

/// Revokes one token of an account. Returns false when it has none of that id.
pub async fn delete(conn: &mut PgConnection, user_id: UserId, id: TokenId) -> Result<bool> {
    let done = sqlx::query!("delete from api_tokens where user_id = $1 and id = $2", user_id.0, id.0)
        .execute(conn)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Revokes all tokens of an account.
pub async fn delete_all(conn: &mut PgConnection, user_id: UserId) -> Result<()> {
    sqlx::query!("delete from api_tokens where user_id = $1", user_id.0)
        .execute(conn)
        .await?;
    Ok(())
}

/// Removes what expired over a month ago. Returns how many there were.
pub async fn sweep(conn: &mut PgConnection) -> Result<u64> {
    let done = sqlx::query!("delete from api_tokens where expires_at < clock_timestamp() - interval '30 days'")
        .execute(conn)
        .await?;
    Ok(done.rows_affected())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::users;
    use crate::testing::world::World;

    const ONE: Hashed = Hashed([1; 32]);

    #[tokio::test]
    async fn a_token_stands_for_its_account_until_it_is_revoked_or_expires() {
        let world = World::new().await;
        let mut conn = world.conn().await;
        let ada = users::insert(&mut conn, "ada", Role::Editor, "hash").await.unwrap();
        let new = NewToken {
            token: ONE,
            name: "nightly",
            prefix: "pgassay_abc",
            scope: TokenScope::Read,
            lifetime: Duration::from_hours(1),
            is_by_password: false,
        };
        let (id, _) = insert(&mut conn, ada.user_id, &new).await.unwrap();
        let bearer = find(&mut conn, ONE).await.unwrap().unwrap();
        assert_eq!((bearer.viewer, bearer.scope), (ada, TokenScope::Read));
        let listed = list(&mut conn, ada.user_id).await.unwrap();
        assert!(listed[0].used_at.is_some() && !listed[0].is_expired);
        let stranger = world.stranger().await.user_id;
        assert!(!delete(&mut conn, stranger, id).await.unwrap());
        assert!(delete(&mut conn, ada.user_id, id).await.unwrap());
        assert_eq!(find(&mut conn, ONE).await.unwrap(), None);

        insert(&mut conn, ada.user_id, &new).await.unwrap();
        sqlx::query("update api_tokens set expires_at = clock_timestamp()")
            .execute(&mut *conn)
            .await
            .unwrap();
        assert_eq!(find(&mut conn, ONE).await.unwrap(), None);
        assert!(list(&mut conn, ada.user_id).await.unwrap()[0].is_expired);
        assert_eq!(sweep(&mut conn).await.unwrap(), 0);
    }
}
