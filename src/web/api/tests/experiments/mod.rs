//! Experiments: what goes in, what comes out, and that both are as they are described.

mod launching;
mod reading;
mod wishes;

use std::collections::BTreeSet;

use axum::body::Body;
use axum::http::Request;
use axum::http::StatusCode;
use axum::http::header;
use serde_json::Value;
use serde_json::json;

use crate::model::ids::DatasetId;
use crate::model::ids::ExperimentId;
use crate::web::api::tests::Answer;
use crate::web::api::tests::Door;
use crate::web::api::tests::of_a_program;

const CREATE: &str = "/api/experiments";
const CHECK: &str = "/api/experiments/check";

const THINGS: &str = "
create table things (id integer primary key, kind integer, name text);
insert into things select g, g % 10, 'thing ' || g from generate_series(1, 2000) g;
create index on things (kind);
";

const THREE_QUERIES: &str = "-- name: of_a_kind\nselect count(*) from things where kind = 3;\n\
                             -- name: by_name\nselect max(name) from things;\n\
                             -- name: never\nvacuum things;\n";

impl Door {
    /// A body that asks for two rounds of two queries under two sources.
    async fn wish(&self) -> (DatasetId, Value) {
        let dataset = self.bench.restored(THINGS).await;
        let workload = self.bench.workload(THREE_QUERIES).await;
        let wish = json!({
            "dataset": dataset, "workload": workload, "stats_source": ["built_in", "none"],
            "iterations": 2, "warm_up": 1, "seed": 7, "timeout_ms": 30_000,
        });
        (dataset, wish)
    }

    async fn launch(&self, wish: &Value) -> ExperimentId {
        let answer = self.post(CREATE, wish).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
        ExperimentId(answer.body["id"].as_i64().unwrap())
    }

    async fn keyed(&self, address: &str, key: &str, body: &Value) -> Answer {
        let request = Request::post(address).header("idempotency-key", key);
        let request = request.header(header::CONTENT_TYPE, "application/json");
        self.send(of_a_program(request, Body::from(body.to_string()))).await
    }

    async fn accepting(&self, address: &str, accept: &str) -> Answer {
        let request = Request::get(address).header(header::ACCEPT, accept);
        self.send(of_a_program(request, Body::empty())).await
    }
}

fn lines(answer: &Answer) -> Vec<Value> {
    let lines = answer.text.lines().map(|line| serde_json::from_str(line).unwrap());
    lines.collect()
}

fn fields(answer: &Answer) -> BTreeSet<String> {
    let fields = answer.body["error"]["fields"].as_array().unwrap();
    let names = fields.iter().map(|field| field["field"].as_str().unwrap().to_owned());
    names.collect()
}
