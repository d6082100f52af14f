//! Statistics objects (CREATE STATISTICS) that a source needs in the experiment's clone.
//!
//! They are made before any source is prepared, as the dataset's own role: a clone's objects never change while statistics
//! are parked in it.

use std::time::Duration;

use anyhow::Context as _;
use sqlx::AssertSqlSafe;
use sqlx::Connection as _;
use sqlx::PgConnection;
use tokio_util::sync::CancellationToken;

use crate::model::experiment::SourceNote;
use crate::model::snapshot::StatisticsObject;
use crate::sql::ident;
use crate::target::ServerError;
use crate::target::session::Session;

/// What a source has at hand to find out which objects it needs.
pub struct Scout<'a> {
    /// The dataset's role in the clone.
    pub session: &'a mut Session,
    /// The same, but what it writes is undone: for statements that came from an upload.
    pub reader: &'a mut Session,
    /// Label and text of each query.
    pub queries: &'a [(String, String)],
    /// What the names of its objects begin with.
    pub prefix: String,
    /// Of one statement.
    pub limit: Duration,
    pub cancel: &'a CancellationToken,
}

/// The objects that a source needs, and what should be said about them.
#[derive(Debug, Default)]
pub struct Found {
    pub objects: Vec<StatisticsObject>,
    pub notes: Vec<SourceNote>,
}

/// ANALYZE leaves the object empty.
const NO_TARGET: i32 = 0;
/// As the server's default statistics target has it.
pub const DEFAULT_TARGET: i32 = -1;

/// Makes the objects that are wanted; of what the server refuses there is a note instead.
pub async fn create_all(conn: &mut PgConnection, mut wanted: Found) -> anyhow::Result<Found> {
    let mut made = Vec::new();
    for object in wanted.objects {
        match create(conn, &object).await? {
            Ok(()) => made.push(object),
            Err(reason) => wanted.notes.push(SourceNote {
                about: shown(&object),
                what: format!(
                    "no statistics object, although {}. The server says: {reason}",
                    object.reason
                ),
                change: None,
            }),
        }
    }
    Ok(Found {
        objects: made,
        notes: wanted.notes,
    })
}

/// Makes an object that stays empty until a source gives it a target. The inner error is the server's reason against it.
pub async fn create(conn: &mut PgConnection, object: &StatisticsObject) -> anyhow::Result<Result<(), String>> {
    let columns: Vec<String> = object.columns.iter().map(|column| ident::quote(column)).collect();
    // Safe: names quoted by `sql::ident`; kinds are words of ours.
    let create = AssertSqlSafe(format!(
        "create statistics {} ({}) on {} from {}",
        ident::quote_qualified(&object.schema, &object.name),
        object.kinds.join(", "),
        columns.join(", "),
        ident::quote_qualified(&object.schema, &object.table),
    ));
    let mut transaction = conn.begin().await?;
    if let Err(error) = sqlx::raw_sql(create).execute(&mut *transaction).await {
        let server = ServerError::of(&error).filter(|server| !server.is_fatal).ok_or(error)?;
        transaction.rollback().await?;
        return Ok(Err(server.message));
    }
    set_target(&mut transaction, object, NO_TARGET).await?;
    transaction.commit().await?;
    Ok(Ok(()))
}

/// Gives an object a statistics target of its own.
pub async fn set_target(conn: &mut PgConnection, object: &StatisticsObject, target: i32) -> anyhow::Result<()> {
    // Safe: names quoted by `sql::ident`, and a number.
    let alter = AssertSqlSafe(format!(
        "alter statistics {} set statistics {target}",
        ident::quote_qualified(&object.schema, &object.name)
    ));
    sqlx::raw_sql(alter)
        .execute(conn)
        .await
        .context("setting the target of a statistics object")?;
    Ok(())
}

/// `public.customer (city_id, country_id)`.
pub fn shown(object: &StatisticsObject) -> String {
    format!("{}.{} ({})", object.schema, object.table, object.columns.join(", "))
}
