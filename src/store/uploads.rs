//! Uploads that arrive part by part.

use chrono::TimeDelta;
use sqlx::PgConnection;

use crate::model::ids::DatasetId;
use crate::model::ids::UploadId;
use crate::model::upload::NewUpload;
use crate::model::upload::Upload;
use crate::model::user::Viewer;
use crate::store::Result;
use crate::store::to_i64;
use crate::store::to_u64;

/// An upload of which nothing more has arrived for so long is given up.
pub const KEPT_FOR: TimeDelta = TimeDelta::hours(24);

/// Selects uploads; the tail says which.
macro_rules! select_uploads {
    ($tail:literal, $($bind:expr),* $(,)?) => {
        sqlx::query!(
            r#"select id as "id: UploadId", key, request_id, home, name, file_name, total_bytes, received_bytes,
                      dataset_id as "dataset_id: DatasetId", touched_at
               from uploads "# + $tail,
            $($bind),*
        )
        .map(|row| Upload {
            id: row.id,
            key: row.key,
            request_id: row.request_id,
            home: row.home,
            name: row.name,
            file_name: row.file_name,
            total_bytes: to_u64(row.total_bytes),
            received_bytes: to_u64(row.received_bytes),
            dataset_id: row.dataset_id,
            touched_at: row.touched_at,
        })
    };
}

/// Begins an upload, unless there is one of this key or the viewer has `most` that are not complete.
pub async fn begin(conn: &mut PgConnection, viewer: Viewer, new: &NewUpload, most: i64) -> Result<()> {
    sqlx::query!(
        "insert into uploads (owner_id, key, home, name, file_name, total_bytes)
         select $1, $2, $3, $4, $5, $6
         where (select count(*) from uploads where owner_id = $1 and dataset_id is null) < $7
         on conflict (owner_id, key) do nothing",
        viewer.user_id.0,
        new.key.as_str(),
        new.home,
        new.name,
        new.file_name,
        to_i64(new.total_bytes),
        most,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The viewer's upload of this key; none when there is none.
pub async fn get(conn: &mut PgConnection, viewer: Viewer, key: &str) -> Result<Option<Upload>> {
    select_uploads!("where owner_id = $1 and key = $2", viewer.user_id.0, key)
        .fetch_optional(conn)
        .await
}

/// The viewer's uploads that are not complete, newest first.
pub async fn list_unfinished(conn: &mut PgConnection, viewer: Viewer) -> Result<Vec<Upload>> {
    select_uploads!(
        "where owner_id = $1 and dataset_id is null order by id desc",
        viewer.user_id.0,
    )
    .fetch_all(conn)
    .await
}

/// The room that the upload has of which a request makes a dataset, until it has; zero where there is none.
pub async fn room(conn: &mut PgConnection, viewer: Viewer, request_id: &str) -> Result<u64> {
    let total_bytes = sqlx::query_scalar!(
        "select total_bytes from uploads where owner_id = $1 and request_id = $2 and dataset_id is null",
        viewer.user_id.0,
        request_id,
    )
    .fetch_optional(conn)
    .await?;
    Ok(total_bytes.map_or(0, to_u64))
}

/// Notes how much is on the disk for good. Returns false when the upload is gone or complete.
pub async fn set_received(conn: &mut PgConnection, id: UploadId, received_bytes: u64) -> Result<bool> {
    let done = sqlx::query!(
        "update uploads set received_bytes = $2, touched_at = clock_timestamp() where id = $1 and dataset_id is null",
        id.0,
        to_i64(received_bytes),
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Notes which dataset an upload has become. Returns false when it is gone.
pub async fn complete(conn: &mut PgConnection, id: UploadId, dataset_id: DatasetId) -> Result<bool> {
    let done = sqlx::query!(
        "update uploads set dataset_id = $2, received_bytes = total_bytes, touched_at = clock_timestamp() where id = $1",
        id.0,
        dataset_id.0,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Removes an upload. Returns false when it was not there.
pub async fn delete(conn: &mut PgConnection, viewer: Viewer, id: UploadId) -> Result<bool> {
    let done = sqlx::query!(
        "delete from uploads where id = $1 and owner_id = $2",
        id.0,
        viewer.user_id.0,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Removes the uploads of a data directory that were given up.
pub async fn delete_given_up(conn: &mut PgConnection, home: &str) -> Result<()> {
    sqlx::query!(
        "delete from uploads where home = $1 and touched_at < clock_timestamp() - make_interval(secs => $2)",
        home,
        KEPT_FOR.as_seconds_f64(),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The uploads whose parts are in a data directory, whoever owns them: what its sweep must keep.
pub async fn list_ids_of_home(conn: &mut PgConnection, home: &str) -> Result<Vec<UploadId>> {
    sqlx::query_scalar!(
        r#"select id as "id: UploadId" from uploads where home = $1 and dataset_id is null"#,
        home,
    )
    .fetch_all(conn)
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::world::World;

    fn new_upload(key: &str) -> NewUpload {
        NewUpload {
            key: key.parse().unwrap(),
            home: "here".to_owned(),
            name: String::new(),
            file_name: "shop.sql".to_owned(),
            total_bytes: 10,
        }
    }

    #[tokio::test]
    async fn an_upload_is_its_owners_and_begins_once() {
        let world = World::new().await;
        let stranger = world.stranger().await;
        let mut conn = world.conn().await;
        for _ in 0..2 {
            begin(&mut conn, world.viewer, &new_upload("a"), 8).await.unwrap();
        }
        let upload = get(&mut conn, world.viewer, "a").await.unwrap().unwrap();
        assert_eq!((upload.received_bytes, upload.total_bytes), (0, 10));
        assert!(get(&mut conn, stranger, "a").await.unwrap().is_none());
        assert!(!delete(&mut conn, stranger, upload.id).await.unwrap());
        assert_eq!(list_unfinished(&mut conn, world.viewer).await.unwrap().len(), 1);
        assert!(list_unfinished(&mut conn, stranger).await.unwrap().is_empty());
        assert!(set_received(&mut conn, upload.id, 4).await.unwrap());
        assert!(delete(&mut conn, world.viewer, upload.id).await.unwrap());
        assert!(!set_received(&mut conn, upload.id, 5).await.unwrap());
    }

    #[tokio::test]
    async fn nobody_has_more_unfinished_ones_than_may_be() {
        let world = World::new().await;
        let (dataset, _) = world.dataset("shop").await;
        let mut conn = world.conn().await;
        for key in ["a", "b", "c"] {
            begin(&mut conn, world.viewer, &new_upload(key), 2).await.unwrap();
        }
        assert!(get(&mut conn, world.viewer, "c").await.unwrap().is_none());
        let first = get(&mut conn, world.viewer, "a").await.unwrap().unwrap();
        assert!(complete(&mut conn, first.id, dataset).await.unwrap());
        begin(&mut conn, world.viewer, &new_upload("c"), 2).await.unwrap();
        assert!(get(&mut conn, world.viewer, "c").await.unwrap().is_some());
        assert!(!set_received(&mut conn, first.id, 3).await.unwrap(), "it is complete");
    }

    #[tokio::test]
    async fn what_was_given_up_goes_after_a_day_and_nothing_else() {
        let world = World::new().await;
        let mut conn = world.conn().await;
        for key in ["old", "new"] {
            begin(&mut conn, world.viewer, &new_upload(key), 8).await.unwrap();
        }
        sqlx::query("update uploads set touched_at = touched_at - interval '25 hours' where key = 'old'")
            .execute(&mut *conn)
            .await
            .unwrap();
        delete_given_up(&mut conn, "elsewhere").await.unwrap();
        assert_eq!(list_ids_of_home(&mut conn, "here").await.unwrap().len(), 2);
        delete_given_up(&mut conn, "here").await.unwrap();
        let left = get(&mut conn, world.viewer, "new").await.unwrap().unwrap();
        assert_eq!(list_ids_of_home(&mut conn, "here").await.unwrap(), [left.id]);
    }
}
