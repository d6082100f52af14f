//! Who asked for what to be changed, from where, and how that ended.

use chrono::DateTime;
use chrono::Utc;
use sqlx::PgConnection;

use crate::model::ids::UserId;
use crate::store::Result;

/// Something that was asked for.
#[derive(Clone, Debug)]
pub struct NewEntry<'a> {
    pub user_id: Option<UserId>,
    /// Who it was where no account is known. Never what somebody typed: that may have been a password.
    pub otherwise: &'a str,
    pub address: &'a str,
    pub deed: &'a str,
    pub path: &'a str,
    /// Of the answer, as HTTP counts them.
    pub status: u16,
}

/// What the audit log has of it.
#[derive(Clone, Debug)]
pub struct Entry {
    pub id: i64,
    pub at: DateTime<Utc>,
    pub user_name: String,
    pub address: String,
    pub deed: String,
    pub path: String,
    pub status: i16,
}

/// Writes an entry, with the name that the account has at this moment.
pub async fn insert(conn: &mut PgConnection, new: &NewEntry<'_>) -> Result<()> {
    sqlx::query!(
        "insert into audit_log (user_id, user_name, address, deed, path, status)
         values ($1, coalesce((select name from users where id = $1), $2), $3, $4, $5, $6)",
        new.user_id.map(|id| id.0),
        new.otherwise,
        new.address,
        new.deed,
        new.path,
        i16::try_from(new.status).unwrap_or(i16::MAX),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Entries from the newest on, or from the one behind `before` on.
pub async fn list(conn: &mut PgConnection, before: Option<i64>, limit: i64) -> Result<Vec<Entry>> {
    sqlx::query_as!(
        Entry,
        "select id, at, user_name, address, deed, path, status from audit_log
         where $1::bigint is null or id < $1 order by id desc limit $2",
        before,
        limit,
    )
    .fetch_all(conn)
    .await
}

/// Removes entries of more than a year ago.
pub async fn sweep(conn: &mut PgConnection) -> Result<()> {
    sqlx::query!("delete from audit_log where at < clock_timestamp() - interval '1 year'")
        .execute(conn)
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::world::World;

    #[tokio::test]
    async fn the_newest_entry_comes_first() {
        let world = World::new().await;
        let mut conn = world.conn().await;
        for deed in ["signs in", "launches a benchmark", "deletes a dataset"] {
            let new = NewEntry {
                user_id: Some(world.viewer.user_id),
                otherwise: "somebody",
                address: "::1",
                deed,
                path: "/",
                status: 303,
            };
            insert(&mut conn, &new).await.unwrap();
        }
        let newest = list(&mut conn, None, 2).await.unwrap();
        let deeds: Vec<&str> = newest.iter().map(|entry| &*entry.deed).collect();
        assert_eq!(deeds, ["deletes a dataset", "launches a benchmark"]);
        let older = list(&mut conn, newest.last().map(|entry| entry.id), 2).await.unwrap();
        assert_eq!((older.len(), &*older[0].deed, older[0].status), (1, "signs in", 303));
        assert_eq!(older[0].user_name, "local");
        let new = NewEntry {
            user_id: None,
            otherwise: "somebody",
            address: "::1",
            deed: "signs in",
            path: "/login",
            status: 422,
        };
        insert(&mut conn, &new).await.unwrap();
        assert_eq!(list(&mut conn, None, 1).await.unwrap()[0].user_name, "somebody");
    }

    #[tokio::test]
    async fn an_entry_goes_when_it_is_a_year_old() {
        let world = World::new().await;
        let mut conn = world.conn().await;
        for (deed, age) in [("signs in", "1 year 1 minute"), ("signs out", "1 year -1 minute")] {
            let old = "insert into audit_log (at, user_name, address, deed, path, status)
                       values (clock_timestamp() - $2::interval, 'somebody', '::1', $1, '/', 303)";
            let old = sqlx::query(old).bind(deed).bind(age);
            old.execute(&mut *conn).await.unwrap();
        }
        sweep(&mut conn).await.unwrap();
        let kept = list(&mut conn, None, 10).await.unwrap();
        let deeds: Vec<&str> = kept.iter().map(|entry| &*entry.deed).collect();
        assert_eq!(deeds, ["signs out"]);
    }
}
