//! What an admin sets for everybody.

use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::PgConnection;

use crate::model::user::Registration;
use crate::store::Result;

const REGISTRATION: &str = "registration";

/// Who may make an account.
pub async fn registration(conn: &mut PgConnection) -> Result<Registration> {
    let word: Option<String> = get(conn, REGISTRATION).await?;
    Ok(word.and_then(|word| Registration::parse(&word)).unwrap_or_default())
}

/// Sets who may make an account.
pub async fn set_registration(conn: &mut PgConnection, registration: Registration) -> Result<()> {
    set(conn, REGISTRATION, registration.word()).await
}

/// What was set under a name.
pub(super) async fn get<T: DeserializeOwned>(conn: &mut PgConnection, name: &str) -> Result<Option<T>> {
    let value = sqlx::query_scalar!("select value from settings where name = $1", name)
        .fetch_optional(conn)
        .await?;
    let read = value.map(serde_json::from_value).transpose();
    read.map_err(|error| sqlx::Error::Decode(error.into()))
}

/// Sets it.
pub(super) async fn set<T: Serialize + ?Sized>(conn: &mut PgConnection, name: &str, value: &T) -> Result<()> {
    let value = serde_json::to_value(value).map_err(|error| sqlx::Error::Encode(error.into()))?;
    sqlx::query!(
        "insert into settings (name, value) values ($1, $2) on conflict (name) do update set value = excluded.value",
        name,
        value,
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
