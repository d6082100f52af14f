//! The connection on real servers, and on things that only look like one.

mod entrance;
mod garbage;
mod statements;
mod stopping;

use crate::target::wire::Dial;
use crate::target::wire::Params;
use crate::target::wire::Ran;
use crate::target::wire::Wire;
use crate::testing::foreign::foreign;

fn dial(role: &str, params: &str) -> Dial {
    Dial::from_url(&foreign().url(role, params)).unwrap()
}

/// A connection by the socket of the server.
async fn wire() -> Wire {
    let dir = foreign().socket_dir.display();
    Wire::connect(&dial("truster", &format!("host={dir}"))).await.unwrap()
}

fn params(values: &[Option<&str>]) -> Params {
    let mut params = Params::new();
    for value in values {
        match value {
            Some(text) => params.push(text),
            None => params.push_null(),
        }
    }
    params
}

/// The first row of the last statement, null as `-`.
fn first(wire: &Wire) -> Vec<String> {
    let values = wire.rows().first();
    values
        .map(|value| value.map_or("-".to_owned(), std::borrow::Cow::into_owned))
        .collect()
}

/// The only value that a statement of ours brings.
async fn ask(wire: &mut Wire, sql: &str) -> String {
    wire.keep_rows(true);
    let ran = wire.simple(sql).await.unwrap();
    assert_eq!(ran, Ran::Done);
    wire.keep_rows(false);
    first(wire).pop().unwrap_or_default()
}

fn sqlstate(ran: Ran) -> String {
    match ran {
        Ran::Failed(error) => error.sqlstate,
        Ran::Done => "done".to_owned(),
    }
}
