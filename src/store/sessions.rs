//! Browsers that are signed in.

use std::time::Duration;

use chrono::DateTime;
use chrono::Utc;
use sqlx::PgConnection;

use crate::model::hashed::Hashed;
use crate::model::ids::SessionId;
use crate::model::ids::UserId;
use crate::model::user::Role;
use crate::model::user::Viewer;
use crate::store::Result;

/// A session nobody asks for anything in for so long is over.
pub const IDLE: Duration = Duration::from_hours(12);
/// And each is over after this.
pub const MOST: Duration = Duration::from_hours(7 * 24);
/// How often at most it is written down that one is in use, in seconds.
const NOTED_EVERY_S: f64 = 60.0;

/// Who is signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedIn {
    pub session_id: SessionId,
    pub viewer: Viewer,
    pub name: String,
}

/// A session as its owner sees it.
#[derive(Clone, Debug)]
pub struct Session {
    pub id: SessionId,
    pub created_at: DateTime<Utc>,
    pub seen_at: DateTime<Utc>,
    pub address: String,
    pub agent: String,
}

/// Stores that a browser has signed in.
pub async fn insert(
    conn: &mut PgConnection,
    token: Hashed,
    user_id: UserId,
    address: &str,
    agent: &str,
) -> Result<SessionId> {
    sqlx::query_scalar!(
        r#"insert into sessions (token_hash, user_id, address, agent, expires_at)
           values ($1, $2, $3, $4, clock_timestamp() + make_interval(secs => $5)) returning id as "id: SessionId""#,
        &token.0[..],
        user_id.0,
        address,
        agent,
        MOST.as_secs_f64(),
    )
    .fetch_one(conn)
    .await
}

/// Who is signed in by a token; none when that is over, or the account is shut out.
pub async fn find(conn: &mut PgConnection, token: Hashed) -> Result<Option<SignedIn>> {
    let row = sqlx::query!(
        r#"select s.id as "id: SessionId", u.id as "user_id: UserId", u.role as "role: Role", u.name,
                  s.seen_at < clock_timestamp() - make_interval(secs => $3) as "is_old!"
           from sessions s join users u on u.id = s.user_id
           where s.token_hash = $1 and not u.is_disabled
             and s.expires_at > clock_timestamp() and s.seen_at > clock_timestamp() - make_interval(secs => $2)"#,
        &token.0[..],
        IDLE.as_secs_f64(),
        NOTED_EVERY_S,
    )
    .fetch_optional(&mut *conn)
    .await?;
    let Some(row) = row else {
        return Ok(None);
    };
    if row.is_old {
        sqlx::query!(
            "update sessions set seen_at = clock_timestamp() where id = $1",
            row.id.0
        )
        .execute(conn)
        .await?;
    }
    Ok(Some(SignedIn {
        session_id: row.id,
        viewer: Viewer::account(row.user_id, row.role),
        name: row.name,
    }))
}

/// The sessions of an account that are not over, the newest first.
pub async fn list(conn: &mut PgConnection, user_id: UserId) -> Result<Vec<Session>> {
    sqlx::query_as!(
        Session,
        r#"select id as "id: SessionId", created_at, seen_at, address, agent from sessions
           where user_id = $1
             and expires_at > clock_timestamp() and seen_at > clock_timestamp() - make_interval(secs => $2)
           order by id desc limit 100"#,
        user_id.0,
        IDLE.as_secs_f64(),
    )
    .fetch_all(conn)
    .await
}

/// Ends one session of an account. Returns false when it has none of that id.
pub async fn delete(conn: &mut PgConnection, user_id: UserId, id: SessionId) -> Result<bool> {
    let done = sqlx::query!("delete from sessions where user_id = $1 and id = $2", user_id.0, id.0)
        .execute(conn)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Ends all sessions of an account, but for one that is to go on. Returns how many.
pub async fn delete_all(conn: &mut PgConnection, user_id: UserId, but: Option<SessionId>) -> Result<u64> {
    let done = sqlx::query!(
        "delete from sessions where user_id = $1 and id is distinct from $2",
        user_id.0,
        but.map(|id| id.0),
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// Removes what is over. Returns how many there were.
pub async fn sweep(conn: &mut PgConnection) -> Result<u64> {
    let done = sqlx::query!(
        "delete from sessions
         where expires_at <= clock_timestamp() or seen_at <= clock_timestamp() - make_interval(secs => $1)",
        IDLE.as_secs_f64(),
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::world::World;

    const ONE: Hashed = Hashed([1; 32]);
    const TWO: Hashed = Hashed([2; 32]);

    #[tokio::test]
    async fn a_session_shows_who_it_is_until_it_is_ended() {
        let world = World::new().await;
        let mut conn = world.conn().await;
        let ada = world.account("ada", Role::Editor).await;
        let one = insert(&mut conn, ONE, ada.user_id, "::1", "a browser").await.unwrap();
        insert(&mut conn, TWO, ada.user_id, "::1", "another").await.unwrap();
        let found = find(&mut conn, ONE).await.unwrap().unwrap();
        assert_eq!((found.viewer, found.session_id, &*found.name), (ada, one, "ada"));
        assert_eq!(list(&mut conn, ada.user_id).await.unwrap().len(), 2);
        let stranger = world.stranger().await.user_id;
        assert!(!delete(&mut conn, stranger, one).await.unwrap());
        assert_eq!(delete_all(&mut conn, ada.user_id, Some(one)).await.unwrap(), 1);
        assert_eq!(find(&mut conn, TWO).await.unwrap(), None);
        assert!(delete(&mut conn, ada.user_id, one).await.unwrap());
        assert_eq!(find(&mut conn, ONE).await.unwrap(), None);
    }

    #[tokio::test]
    async fn who_is_idle_too_long_or_signed_in_too_long_ago_or_shut_out_is_nobody() {
        let world = World::new().await;
        let mut conn = world.conn().await;
        let ada = world.account("ada", Role::Editor).await.user_id;
        for sql in [
            "update sessions set seen_at = seen_at - interval '12 h 1 s'",
            "update sessions set expires_at = clock_timestamp()",
        ] {
            insert(&mut conn, ONE, ada, "::1", "a browser").await.unwrap();
            sqlx::query(sql).execute(&mut *conn).await.unwrap();
            assert_eq!(find(&mut conn, ONE).await.unwrap(), None, "{sql}");
            assert!(list(&mut conn, ada).await.unwrap().is_empty());
            assert_eq!(sweep(&mut conn).await.unwrap(), 1);
        }
        insert(&mut conn, ONE, ada, "::1", "a browser").await.unwrap();
        sqlx::query("update users set is_disabled = true where name = 'ada'")
            .execute(&mut *conn)
            .await
            .unwrap();
        assert_eq!(find(&mut conn, ONE).await.unwrap(), None);
        assert_eq!(sweep(&mut conn).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn use_is_written_down_once_a_minute() {
        let world = World::new().await;
        let mut conn = world.conn().await;
        let ada = world.account("ada", Role::Editor).await.user_id;
        insert(&mut conn, ONE, ada, "::1", "a browser").await.unwrap();
        let seen = list(&mut conn, ada).await.unwrap()[0].seen_at;
        find(&mut conn, ONE).await.unwrap();
        assert_eq!(list(&mut conn, ada).await.unwrap()[0].seen_at, seen);
        sqlx::query("update sessions set seen_at = seen_at - interval '61 s'")
            .execute(&mut *conn)
            .await
            .unwrap();
        find(&mut conn, ONE).await.unwrap();
        assert!(list(&mut conn, ada).await.unwrap()[0].seen_at >= seen);
    }
}
