//! Puts the values of a list into the order in which the clone sorts them: the server of the file may have sorted text by
//! another locale, and a histogram that is out of order says nothing.
//!
//! The dataset's own role compares: its types may be its own, and a superuser runs nothing of theirs.

use sqlx::AssertSqlSafe;

use crate::snapshot::array;
use crate::snapshot::import::catalog::Types;
use crate::snapshot::import::shape::List;
use crate::target::ServerError;
use crate::target::session::Session;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Kept,
    Changed,
}

/// Sorts the list, with the numbers that go with its values. The inner error is what the server says against a value.
pub(super) async fn put_in_order(
    session: &mut Session,
    types: &Types,
    list: &mut List,
) -> anyhow::Result<Result<Order, String>> {
    if list.is_of_elements && types.is_tsvector {
        // Lexemes stand in the order of their lengths and bytes, which no locale changes.
        return Ok(Ok(Order::Kept));
    }
    let operators = if list.is_of_elements {
        types.element.as_ref()
    } else {
        Some(&types.operators)
    };
    let Some((operators, less)) = operators.and_then(|operators| Some((operators, operators.less_sql.as_ref()?)))
    else {
        return Ok(Ok(Order::Kept));
    };
    let collate = match types.collation.as_str() {
        "-" => String::new(),
        // By which the server sorts elements, whatever the column's is.
        _ if list.is_of_elements => " collate pg_catalog.\"default\"".to_owned(),
        collation => format!(" collate {collation}"),
    };
    // Safe: the type, the collation and the operator are as the server's catalog names them, quoted by itself.
    let sql = AssertSqlSafe(format!(
        "select pg_catalog.array_agg(v.idx::integer order by v.value::{}{collate} using {less}, v.idx)
         from pg_catalog.unnest($1::text::text[]) with ordinality as v (value, idx)",
        operators.type_name,
    ));
    let sorted: sqlx::Result<Option<Vec<i32>>> = sqlx::query_scalar(sql)
        .bind(array::join(&list.values))
        .persistent(false)
        .fetch_one(&mut session.conn)
        .await;
    let order = match sorted {
        Ok(order) => order.unwrap_or_default(),
        Err(error) => {
            let server = ServerError::of(&error).filter(|server| !server.is_fatal).ok_or(error)?;
            return Ok(Err(format!("the server does not take its values: {server}")));
        }
    };
    let places: Vec<usize> = order.iter().filter_map(|n| usize::try_from(*n - 1).ok()).collect();
    anyhow::ensure!(
        places.len() == list.values.len(),
        "a list came back from sorting with another length"
    );
    if places.is_sorted() {
        return Ok(Ok(Order::Kept));
    }
    list.rearrange(&places);
    Ok(Ok(Order::Changed))
}
