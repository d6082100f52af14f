//! The one schema that is ours on a registered server: made for a benchmark, dropped behind it.

use std::time::Duration;

use anyhow::Context as _;

use crate::sql::ident;
use crate::target::registered::session::OwnSession;
use crate::target::registered::session::is_survived;

/// What dropping may wait for: sessions of ours that were told to end.
const DROP_LIMIT: Duration = Duration::from_secs(20);

/// Makes the schema, in place of what may be left of one by that name.
pub async fn make(session: &mut OwnSession, name: &str) -> anyhow::Result<()> {
    drop(session, name).await?;
    let making = session.run(&format!("create schema {}", ident::quote(name))).await;
    making.context("making our schema")
}

/// What tells the planner's statistics of the schema's tables from others; the same word wherever they are not told.
pub async fn statistics(session: &mut OwnSession, name: &str) -> anyhow::Result<String> {
    let sql = format!(
        "select pg_catalog.md5(pg_catalog.string_agg(s::text, ' ' order by tablename, attname))
         from pg_catalog.pg_stats s where schemaname = {}",
        ident::literal(name)
    );
    let told = session.ask_if_told(&sql).await;
    Ok(told.context("asking for the planner's statistics")?.unwrap_or_default())
}

/// Ends the sessions of ours that work in the schema, and drops it with all that is in it; does nothing where there is none.
pub async fn drop(session: &mut OwnSession, name: &str) -> anyhow::Result<()> {
    let quoted = ident::quote(name);
    let dropping = async {
        // Those of clients go by the name of their schema. Where the server does not tell or does not let us, the drop waits
        // for their statements.
        let end = format!(
            "select pg_catalog.pg_terminate_backend(pid) from pg_catalog.pg_stat_activity
             where application_name = {} and pid <> pg_catalog.pg_backend_pid()",
            ident::literal(name)
        );
        match session.run(&end).await {
            Err(error) if !is_survived(&error) => return Err(error),
            _ => {}
        }
        session.run(&format!("drop schema if exists {quoted} cascade")).await
    };
    let dropped = tokio::time::timeout(DROP_LIMIT, dropping).await;
    dropped
        .unwrap_or_else(|_| Err(anyhow::anyhow!("it took more than {} s", DROP_LIMIT.as_secs())))
        .with_context(|| format!("dropping our schema {name}"))
}
