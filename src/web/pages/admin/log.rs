//! The audit log: who did what, from where, and how that ended.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use sqlx::PgPool;

use crate::store;
use crate::web::error::PageResult;
use crate::web::extract::address::Query;
use crate::web::fragment;
use crate::web::urls;
use crate::web::view;

/// On one page.
const PAGE: usize = 100;

#[derive(Deserialize)]
pub struct ListParams {
    /// The entry that the page before ends with.
    before: Option<i64>,
}

#[derive(Template)]
#[template(path = "admin/log.html")]
struct IndexPage {
    rows: Vec<EntryRow>,
    is_first: bool,
    next: Option<String>,
}

struct EntryRow {
    datetime: String,
    date: String,
    who: String,
    address: String,
    deed: String,
    path: String,
    word: &'static str,
    class: &'static str,
    status: i16,
}

/// How it ended, in a word.
fn ended(status: i16) -> (&'static str, &'static str) {
    match status {
        ..400 => ("done", "good"),
        400..500 => ("refused", "stopped"),
        _ => ("failed", "bad"),
    }
}

/// GET /admin/log
pub async fn index(State(pool): State<PgPool>, Query(params): Query<ListParams>) -> PageResult<Response> {
    let limit = i64::try_from(PAGE + 1).map_err(anyhow::Error::from)?;
    let mut entries = store::audit::list(&mut *pool.acquire().await?, params.before, limit).await?;
    let has_more = entries.len() > PAGE;
    entries.truncate(PAGE);
    let last = entries.last().filter(|_| has_more).map(|last| last.id.to_string());
    let rows = entries.into_iter().map(|entry| {
        let (word, class) = ended(entry.status);
        EntryRow {
            datetime: view::rfc3339(entry.at),
            date: entry.at.format("%Y-%m-%d %H:%M:%S").to_string(),
            who: entry.user_name,
            address: entry.address,
            deed: entry.deed,
            path: entry.path,
            word,
            class,
            status: entry.status,
        }
    });
    fragment::page(&IndexPage {
        rows: rows.collect(),
        is_first: params.before.is_none(),
        next: last.map(|last| urls::with_query(urls::ADMIN_LOG, [("before", last.as_str())])),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_a_deed_ended_is_said_in_a_word() {
        let words = [200, 303, 404, 422, 500, 503].map(|status| ended(status).0);
        assert_eq!(words, ["done", "done", "refused", "refused", "failed", "failed"]);
    }
}
