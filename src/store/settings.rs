//! What an admin sets for everybody.

use sqlx::PgConnection;
use sqlx::types::Json;

use crate::model::user::Registration;
use crate::store::Result;

const REGISTRATION: &str = "registration";

/// Who may make an account.
pub async fn registration(conn: &mut PgConnection) -> Result<Registration> {
    let word = sqlx::query_scalar!(
        r#"select value as "value: Json<String>" from settings where name = $1"#,
        REGISTRATION
    )
    .fetch_optional(conn)
    .await?;
    Ok(word.and_then(|word| Registration::parse(&word.0)).unwrap_or_default())
}

/// Sets who may make an account.
pub async fn set_registration(conn: &mut PgConnection, registration: Registration) -> Result<()> {
    sqlx::query!(
        "insert into settings (name, value) values ($1, $2) on conflict (name) do update set value = excluded.value",
        REGISTRATION,
        Json(registration.word()) as Json<&str>,
    )
    .execute(conn)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::world::World;

    #[tokio::test]
    async fn nobody_may_register_until_somebody_says_so() {
        let world = World::new().await;
        let mut conn = world.conn().await;
        assert_eq!(registration(&mut conn).await.unwrap(), Registration::Closed);
        for set in [Registration::Open, Registration::Invited, Registration::Closed] {
            set_registration(&mut conn, set).await.unwrap();
            assert_eq!(registration(&mut conn).await.unwrap(), set);
        }
    }
}
