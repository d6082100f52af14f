//! Accounts: who there is, what each may do, and by which password it is known.

use sqlx::PgConnection;

use crate::model::ids::UserId;
use crate::model::user::Account;
use crate::model::user::Role;
use crate::model::user::Viewer;
use crate::store::Result;

/// What a sign-in is compared with.
#[derive(Clone, Debug)]
pub struct Known {
    pub viewer: Viewer,
    /// In PHC's form; nobody signs in as somebody without.
    pub password_hash: Option<String>,
}

/// What an admin decides about an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    Role(Role),
    /// No sign-in, no session, no token.
    ShutOut,
    LetIn,
}

/// Whether there is an account that can sign in and look after the others.
pub async fn has_admin(conn: &mut PgConnection) -> Result<bool> {
    sqlx::query_scalar!(
        r#"select exists (select from users
                          where role = 'admin' and password_hash is not null and not is_disabled) as "has_admin!""#
    )
    .fetch_one(conn)
    .await
}

/// Stores a new account. `Err` is a duplicate when there is one of that name, in whatever case.
pub async fn insert(conn: &mut PgConnection, name: &str, role: Role, password_hash: &str) -> Result<Viewer> {
    let id = sqlx::query_scalar!(
        r#"insert into users (name, role, password_hash) values ($1, $2, $3) returning id as "id: UserId""#,
        name,
        role as Role,
        password_hash,
    )
    .fetch_one(conn)
    .await?;
    Ok(Viewer::account(id, role))
}

/// Makes the local user an admin who can sign in, with all that is there. None when somebody has done so before. `Err` is a
/// duplicate when another account has that name.
pub async fn claim_local(conn: &mut PgConnection, name: &str, password_hash: &str) -> Result<Option<Viewer>> {
    let id = sqlx::query_scalar!(
        r#"update users set name = $1, password_hash = $2, role = 'admin', is_disabled = false
           where is_local and password_hash is null returning id as "id: UserId""#,
        name,
        password_hash,
    )
    .fetch_optional(conn)
    .await?;
    Ok(id.map(|id| Viewer::account(id, Role::Admin)))
}

/// The account that may sign in under a name; none when there is no such account, or it is shut out.
pub async fn find_known(conn: &mut PgConnection, name: &str) -> Result<Option<Known>> {
    let row = sqlx::query!(
        r#"select id as "id: UserId", role as "role: Role", password_hash
           from users where lower(name) = lower($1) and not is_disabled"#,
        name,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| Known {
        viewer: Viewer::account(row.id, row.role),
        password_hash: row.password_hash,
    }))
}

macro_rules! select_accounts {
    ($rest:literal $(, $arg:expr)* $(,)?) => {
        sqlx::query_as!(
            Account,
            r#"select id as "id: UserId", name, role as "role: Role", is_disabled,
                      password_hash is not null as "can_sign_in!", created_at, signed_in_at
               from users "# + $rest
            $(, $arg)*
        )
    };
}

/// One account.
pub async fn get(conn: &mut PgConnection, id: UserId) -> Result<Option<Account>> {
    select_accounts!("where id = $1", id.0).fetch_optional(conn).await
}

/// The account of a name, in whatever case, whether or not it is shut out.
pub async fn find(conn: &mut PgConnection, name: &str) -> Result<Option<Account>> {
    select_accounts!("where lower(name) = lower($1)", name)
        .fetch_optional(conn)
        .await
}

/// Accounts by name, from the one behind `after` on.
pub async fn list(conn: &mut PgConnection, after: &str, limit: i64) -> Result<Vec<Account>> {
    select_accounts!(
        "where lower(name) > lower($1) order by lower(name) limit $2",
        after,
        limit
    )
    .fetch_all(conn)
    .await
}

/// Replaces the hash of a password: by that of a new one, or, where `old` is given, by a better one of the same, unless it was
/// changed meanwhile.
pub async fn set_password(conn: &mut PgConnection, id: UserId, old: Option<&str>, new: &str) -> Result<bool> {
    let done = sqlx::query!(
        "update users set password_hash = $3 where id = $1 and ($2::text is null or password_hash = $2)",
        id.0,
        old,
        new,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Says that somebody has signed in.
pub async fn note_sign_in(conn: &mut PgConnection, id: UserId) -> Result<()> {
    sqlx::query!("update users set signed_in_at = clock_timestamp() where id = $1", id.0)
        .execute(conn)
        .await?;
    Ok(())
}

/// Gives an account a role, shuts it out or lets it in. Returns false when there is no such account, or when nobody would be
/// left who can sign in and look after the others.
pub async fn set_admission(conn: &mut PgConnection, id: UserId, admission: Admission) -> Result<bool> {
    // Two of these at once might each leave the other's admin.
    sqlx::query!("select from users where role = 'admin' order by id for update")
        .execute(&mut *conn)
        .await?;
    let (role, is_disabled) = match admission {
        Admission::Role(role) => (Some(role), None),
        Admission::ShutOut => (None, Some(true)),
        Admission::LetIn => (None, Some(false)),
    };
    let done = sqlx::query!(
        "update users set role = coalesce($2::user_role, role), is_disabled = coalesce($3, is_disabled)
         where id = $1 and (coalesce($2::user_role, role) = 'admin' and not coalesce($3, is_disabled)
                            or role <> 'admin' or is_disabled
                            or exists (select from users other
                                       where other.id <> $1 and other.role = 'admin' and not other.is_disabled
                                         and other.password_hash is not null))",
        id.0,
        role as Option<Role>,
        is_disabled,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store;
    use crate::store::is_duplicate;
    use crate::testing::world::World;

    #[tokio::test]
    async fn the_first_admin_takes_over_the_local_user_and_only_once() {
        let world = World::new().await;
        let mut conn = world.conn().await;
        assert!(!has_admin(&mut conn).await.unwrap());
        let admin = claim_local(&mut conn, "ada", "hash").await.unwrap();
        assert_eq!(admin, Some(world.viewer), "with everything that was there");
        assert_eq!(claim_local(&mut conn, "eve", "other").await.unwrap(), None);
        assert!(has_admin(&mut conn).await.unwrap());
        assert_eq!(store::local_viewer(&mut conn).await.unwrap(), world.viewer);
    }

    #[tokio::test]
    async fn names_are_one_whatever_their_case_and_who_is_shut_out_is_not_known() {
        let world = World::new().await;
        let mut conn = world.conn().await;
        let ada = insert(&mut conn, "Ada", Role::Editor, "hash").await.unwrap();
        let again = insert(&mut conn, "aDA", Role::Editor, "hash").await.unwrap_err();
        assert!(is_duplicate(&again));
        let known = find_known(&mut conn, "ADA").await.unwrap().unwrap();
        assert_eq!((known.viewer, known.password_hash.as_deref()), (ada, Some("hash")));
        assert!(set_admission(&mut conn, ada.user_id, Admission::ShutOut).await.unwrap());
        assert!(find_known(&mut conn, "ada").await.unwrap().is_none());
        let found = find(&mut conn, "ADA").await.unwrap().unwrap();
        assert_eq!((found.id, found.is_disabled), (ada.user_id, true));
        assert!(set_admission(&mut conn, ada.user_id, Admission::LetIn).await.unwrap());
        assert!(find_known(&mut conn, "ada").await.unwrap().is_some());
    }

    #[tokio::test]
    async fn the_last_admin_stays_one() {
        let world = World::new().await;
        let mut conn = world.conn().await;
        let ada = claim_local(&mut conn, "ada", "hash").await.unwrap().unwrap().user_id;
        let editor = Admission::Role(Role::Editor);
        assert!(!set_admission(&mut conn, ada, editor).await.unwrap());
        assert!(!set_admission(&mut conn, ada, Admission::ShutOut).await.unwrap());
        let bob = insert(&mut conn, "bob", Role::Admin, "hash").await.unwrap().user_id;
        assert!(set_admission(&mut conn, ada, editor).await.unwrap());
        assert!(!set_admission(&mut conn, bob, Admission::ShutOut).await.unwrap());
        assert!(set_admission(&mut conn, ada, Admission::ShutOut).await.unwrap());
        let ada = get(&mut conn, ada).await.unwrap().unwrap();
        assert_eq!((ada.role, ada.is_disabled), (Role::Editor, true));
    }

    #[tokio::test]
    async fn a_better_hash_does_not_undo_a_new_password() {
        let world = World::new().await;
        let mut conn = world.conn().await;
        let ada = insert(&mut conn, "ada", Role::Editor, "first").await.unwrap().user_id;
        assert!(set_password(&mut conn, ada, None, "second").await.unwrap());
        assert!(
            !set_password(&mut conn, ada, Some("first"), "first, better")
                .await
                .unwrap()
        );
        assert!(
            set_password(&mut conn, ada, Some("second"), "second, better")
                .await
                .unwrap()
        );
    }
}
