//! Links by which an account is made, or the password of one is set anew; and the tokens by which the first admin is made.

use std::time::Duration;

use chrono::DateTime;
use chrono::Utc;
use sqlx::PgConnection;

use crate::model::hashed::Hashed;
use crate::model::ids::InvitationId;
use crate::model::ids::UserId;
use crate::model::user::Role;
use crate::store::Result;

/// What an invitation that can still be used is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invitation {
    pub id: InvitationId,
    pub role: Role,
    /// The account that gets a new password, in place of a new account.
    pub for_user: Option<(UserId, String)>,
}

/// An invitation as admins see it.
#[derive(Clone, Debug)]
pub struct ListedInvitation {
    pub id: InvitationId,
    pub role: Role,
    pub made_by: String,
    pub for_user: Option<String>,
    pub created_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
}

/// Stores an invitation of a new account, or of `for_user` to choose a new password.
pub async fn insert(
    conn: &mut PgConnection,
    token: Hashed,
    made_by: UserId,
    role: Role,
    for_user: Option<UserId>,
    lifetime: Duration,
) -> Result<InvitationId> {
    sqlx::query_scalar!(
        r#"insert into invitations (token_hash, made_by, role, for_user, expires_at)
           values ($1, $2, $3, $4, clock_timestamp() + make_interval(secs => $5)) returning id as "id: InvitationId""#,
        &token.0[..],
        made_by.0,
        role as Role,
        for_user.map(|id| id.0),
        lifetime.as_secs_f64(),
    )
    .fetch_one(conn)
    .await
}

/// The invitation of a token, as long as it can be used: while whoever made it is an admin. In a transaction it can be used by
/// nobody else until that ends.
pub async fn find(conn: &mut PgConnection, token: Hashed) -> Result<Option<Invitation>> {
    let row = sqlx::query!(
        r#"select i.id as "id: InvitationId", i.role as "role: Role", u.id as "user_id?: UserId", u.name as "name?"
           from invitations i join users m on m.id = i.made_by left join users u on u.id = i.for_user
           where i.token_hash = $1 and i.used_at is null and i.expires_at > clock_timestamp()
             and m.role = 'admin' and not m.is_disabled
           for update of i"#,
        &token.0[..],
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| Invitation {
        id: row.id,
        role: row.role,
        for_user: row.user_id.zip(row.name),
    }))
}

/// Says who has used an invitation, which nobody can after this.
pub async fn use_up(conn: &mut PgConnection, id: InvitationId, used_by: UserId) -> Result<bool> {
    let done = sqlx::query!(
        "update invitations set used_by = $2, used_at = clock_timestamp() where id = $1 and used_at is null",
        id.0,
        used_by.0,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Those that can still be used, the newest first.
pub async fn list(conn: &mut PgConnection) -> Result<Vec<ListedInvitation>> {
    sqlx::query_as!(
        ListedInvitation,
        r#"select i.id as "id: InvitationId", i.role as "role: Role", m.name as made_by, u.name as "for_user?",
                  i.created_at, i.expires_at
           from invitations i join users m on m.id = i.made_by left join users u on u.id = i.for_user
           where i.used_at is null and i.expires_at > clock_timestamp() and m.role = 'admin' and not m.is_disabled
           order by i.id desc limit 200"#
    )
    .fetch_all(conn)
    .await
}

/// Takes an invitation back. Returns false when it is not there, or has been used.
pub async fn delete(conn: &mut PgConnection, id: InvitationId) -> Result<bool> {
    let done = sqlx::query!("delete from invitations where id = $1 and used_at is null", id.0)
        .execute(conn)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Takes back what would set the password of an account anew.
pub async fn delete_for(conn: &mut PgConnection, user_id: UserId) -> Result<()> {
    sqlx::query!(
        "delete from invitations where for_user = $1 and used_at is null",
        user_id.0
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Removes what expired over a month ago.
pub async fn sweep(conn: &mut PgConnection) -> Result<()> {
    sqlx::query!("delete from invitations where expires_at < clock_timestamp() - interval '30 days'")
        .execute(&mut *conn)
        .await?;
    sqlx::query!("delete from setup_tokens where expires_at < clock_timestamp()")
        .execute(conn)
        .await?;
    Ok(())
}

/// Stores a token by which the first admin can be made.
pub async fn insert_setup(conn: &mut PgConnection, token: Hashed, lifetime: Duration) -> Result<()> {
    sqlx::query!(
        "insert into setup_tokens (token_hash, expires_at) values ($1, clock_timestamp() + make_interval(secs => $2))",
        &token.0[..],
        lifetime.as_secs_f64(),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Whether a token is one by which the first admin can be made.
pub async fn is_setup(conn: &mut PgConnection, token: Hashed) -> Result<bool> {
    sqlx::query_scalar!(
        r#"select exists (select from setup_tokens where token_hash = $1 and expires_at > clock_timestamp()) as "is!""#,
        &token.0[..],
    )
    .fetch_one(conn)
    .await
}

/// Removes all of them: the first admin is there.
pub async fn delete_setup(conn: &mut PgConnection) -> Result<()> {
    sqlx::query!("delete from setup_tokens").execute(conn).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store;
    use crate::store::users::Admission;
    use crate::testing::world::World;

    const ONE: Hashed = Hashed([1; 32]);
    const HOUR: Duration = Duration::from_hours(1);

    #[tokio::test]
    async fn an_invitation_is_good_once_and_until_it_expires() {
        let world = World::new().await;
        let mut conn = world.conn().await;
        let (admin, stranger) = (world.viewer.user_id, world.stranger().await.user_id);
        let id = insert(&mut conn, ONE, admin, Role::Viewer, None, HOUR).await.unwrap();
        let found = find(&mut conn, ONE).await.unwrap().unwrap();
        assert_eq!((found.id, found.role, found.for_user), (id, Role::Viewer, None));
        assert_eq!(list(&mut conn).await.unwrap()[0].made_by, "local");
        assert!(use_up(&mut conn, id, stranger).await.unwrap());
        assert!(!use_up(&mut conn, id, stranger).await.unwrap());
        assert_eq!(find(&mut conn, ONE).await.unwrap(), None);
        assert!(!delete(&mut conn, id).await.unwrap(), "who came by it stays known");

        let late = Hashed([2; 32]);
        insert(&mut conn, late, admin, Role::Editor, Some(stranger), Duration::ZERO)
            .await
            .unwrap();
        assert_eq!(find(&mut conn, late).await.unwrap(), None);
        assert!(list(&mut conn).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn what_an_admin_has_made_is_good_while_they_are_one() {
        let world = World::new().await;
        let mut conn = world.conn().await;
        // The last admin stays one.
        world.account("kim", Role::Admin).await;
        let eve = world.account("eve", Role::Admin).await;
        insert(&mut conn, ONE, eve.user_id, Role::Admin, None, HOUR)
            .await
            .unwrap();
        for (admission, is_good) in [
            (Admission::Role(Role::Editor), false),
            (Admission::Role(Role::Admin), true),
            (Admission::ShutOut, false),
        ] {
            store::users::set_admission(&mut conn, eve.user_id, admission)
                .await
                .unwrap();
            assert_eq!(find(&mut conn, ONE).await.unwrap().is_some(), is_good, "{admission:?}");
            assert_eq!(
                list(&mut conn).await.unwrap().len(),
                usize::from(is_good),
                "{admission:?}"
            );
        }
    }

    #[tokio::test]
    async fn a_setup_token_is_good_until_there_is_an_admin() {
        let world = World::new().await;
        let mut conn = world.conn().await;
        insert_setup(&mut conn, ONE, HOUR).await.unwrap();
        assert!(is_setup(&mut conn, ONE).await.unwrap());
        assert!(!is_setup(&mut conn, Hashed([2; 32])).await.unwrap());
        delete_setup(&mut conn).await.unwrap();
        assert!(!is_setup(&mut conn, ONE).await.unwrap());
    }
}
