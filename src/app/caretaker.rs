//! What a process does on the side for as long as it runs: clears away what others have left here, in the store, and in the
//! depot.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::info;
use tracing::warn;

use crate::app::house::House;
use crate::store;

/// How often it looks for what others have left here; and after so many times in the depot.
const EVERY: Duration = Duration::from_mins(1);
const DEPOT_EVERY: u32 = 60;

/// Takes care until `shutdown`.
pub async fn take_care(house: &House, shutdown: &CancellationToken) {
    let taking_care = async {
        for n in 1_u32.. {
            // What lay here when the process began was looked at then.
            tokio::time::sleep(EVERY).await;
            if let Err(error) = round(house, n).await {
                warn!("What lies about could not be cleared away: {error:#}");
            }
        }
    };
    shutdown.run_until_cancelled(taking_care).await;
}

async fn round(house: &House, n: u32) -> anyhow::Result<()> {
    // First: every look at the numbers reads what is not added up.
    store::gauges::add_up(&mut *house.pool.acquire().await?).await?;
    let n_strays = house.remove_strays().await?;
    if n_strays > 0 {
        info!("Removed {n_strays} sandboxes of datasets that are not here any more");
    }
    let mut conn = house.pool.acquire().await?;
    store::limits::sweep(&mut conn).await?;
    store::sessions::sweep(&mut conn).await?;
    store::tokens::sweep(&mut conn).await?;
    store::links::sweep(&mut conn).await?;
    store::invitations::sweep(&mut conn).await?;
    store::audit::sweep(&mut conn).await?;
    drop(conn);
    let n_given_up = house.sweep_uploads().await?;
    if n_given_up > 0 {
        info!("Removed {n_given_up} uploads of which nothing more arrived for a day");
    }
    if n.is_multiple_of(DEPOT_EVERY) {
        let n_files = house.tidy_depot().await?;
        if n_files > 0 {
            info!("Removed {n_files} files of no dataset from the depot");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use sqlx::AssertSqlSafe;

    use super::*;
    use crate::testing::bench::Bench;

    /// The tables that are swept, and what a row of each has that says nothing any more from a moment on.
    const SWEPT: [(&str, &str, &str); 7] = [
        (
            "rate_limits",
            "key, taken_at, is_allowed, n_taken, busy_until, forgotten_at",
            "token, moment, true, 1, moment, moment",
        ),
        (
            "sessions",
            "token_hash, user_id, address, agent, expires_at",
            "token, users.id, '::1', 'a browser', moment",
        ),
        (
            "api_tokens",
            "token_hash, user_id, name, prefix, scope, expires_at",
            "token, users.id, 'nightly', 'pgassay_abc', 'read', moment",
        ),
        (
            "invitations",
            "token_hash, made_by, role, expires_at",
            "token, users.id, 'editor', moment",
        ),
        ("setup_tokens", "token_hash, expires_at", "token, moment"),
        (
            "links",
            "token_hash, made_by, workload_id, expires_at",
            "token, users.id, workloads.id, moment",
        ),
        (
            "audit_log",
            "at, user_name, address, deed, path, status",
            "moment, 'somebody', '::1', 'signs in', '/login', 303",
        ),
    ];

    #[tokio::test]
    async fn what_says_nothing_any_more_goes_from_every_table_and_nothing_else_does() {
        let bench = Bench::open().await;
        bench.workload("select 1").await;
        let pool = &bench.house.pool;
        for (table, columns, values) in SWEPT {
            let sql = AssertSqlSafe(format!(
                "insert into {table} ({columns}) select {values} from users cross join workloads cross join (
                     values ('old'::bytea, clock_timestamp() - interval '2 years'),
                            ('new'::bytea, clock_timestamp() + interval '1 hour')) given (token, moment)"
            ));
            sqlx::raw_sql(sql).execute(pool).await.unwrap();
        }
        round(&bench.house, 1).await.unwrap();
        for (table, ..) in SWEPT {
            let sql = AssertSqlSafe(format!("select count(*) from {table}"));
            let n_kept: i64 = sqlx::query_scalar(sql).fetch_one(pool).await.unwrap();
            assert_eq!(n_kept, 1, "{table}");
        }
        bench.close().await;
    }
}
