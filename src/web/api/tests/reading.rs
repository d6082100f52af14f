//! Looking changes nothing: what a page of another site can make a browser ask for, and what a crawler asks for, stays without
//! consequence.

use super::*;

/// Every address that is looked at, of whatever is there under number 1.
const ADDRESSES: &[&str] = &[
    "/",
    "/assets/app.css",
    "/upload",
    "/queue",
    "/datasets",
    "/datasets/1",
    "/datasets/1/status",
    "/datasets/1/delete",
    "/workloads",
    "/workloads/1",
    "/workloads/1/check",
    "/workloads/1/check?dataset=1",
    "/workloads/1/delete",
    "/experiment",
    "/experiment?dataset=1&workload=1",
    "/experiment?like=1",
    "/experiment/queries?workload=1",
    "/experiment/status/1",
    "/results",
    "/results/1",
    "/results/1/table",
    "/results/1/chart",
    "/results/1/chart.png",
    "/results/1/plans",
    "/results/1/estimates",
    "/results/1/queries/1",
    "/results/1/queries/1/plans",
    "/results/1/queries/1/diff",
    "/results/1/queries/1/plans/built_in",
    "/results/1/bundle.zip",
    "/results/1/report.html",
    "/results/1/export.csv",
    "/compare?a=1&b=1",
    "/benchmarks",
    "/benchmarks/new",
    "/benchmarks/1",
    "/benchmarks/1/live",
    "/benchmarks/1/chart",
    "/benchmarks/1/trend",
    "/benchmarks/1/delete",
    "/benchmarks/compare",
    "/instruments",
    "/instruments/new",
    "/servers",
    "/servers/new",
    "/workers",
    "/statistics/export",
    "/help",
    "/login",
    "/setup",
    "/register",
    "/links/x",
    "/healthz",
    "/readyz",
    "/metrics",
    "/api/datasets",
    "/api/datasets/1",
    "/api/datasets/uploads",
    "/api/datasets/uploads/x",
    "/api/workloads",
    "/api/workloads/1",
    "/api/workloads/1/checks/1",
    "/api/experiments",
    "/api/experiments/1",
    "/api/experiments/1/trials",
    "/api/benchmarks",
    "/api/benchmarks/1",
    "/api/benchmarks/1/results",
    "/api/sources",
    "/api/openapi.json",
    "/api/docs",
];

/// All rows of all tables, in a text for each.
async fn everything(door: &Door) -> Vec<(String, String)> {
    let pool = &door.bench.house.pool;
    let tables: Vec<String> = sqlx::query_scalar(
        "select relname::text from pg_class
         where relnamespace = 'public'::regnamespace and relkind = 'r' order by 1",
    )
    .fetch_all(pool)
    .await
    .unwrap();
    let mut all = Vec::new();
    for table in tables {
        let sql = format!(r#"select coalesce(string_agg(r::text, E'\n' order by r::text), '') from "{table}" r"#);
        let rows: String = sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
            .fetch_one(pool)
            .await
            .unwrap();
        all.push((table, rows));
    }
    all
}

#[tokio::test]
async fn looking_at_anything_leaves_the_store_as_it_was() {
    let door = Door::open().await;
    let dataset = door
        .bench
        .restored("create table t (a integer); insert into t values (1);")
        .await;
    let experiment = door
        .bench
        .launch(dataset, "select * from t", &["built_in", "none"], |_| {})
        .await;
    door.bench.work().await;
    door.bench.finished(experiment).await;
    let benchmark = door.start_quick(&[1]).await;
    assert_eq!((dataset.0, experiment.0, benchmark.0), (1, 1, 1));
    let before = everything(&door).await;
    assert!(before.iter().any(|(table, rows)| table == "trials" && !rows.is_empty()));
    let mut n_shown = 0;
    for address in ADDRESSES {
        let request = of_a_program(Request::get(*address), Body::empty());
        let (parts, body) = door.router.clone().oneshot(request).await.unwrap().into_parts();
        let read = axum::body::to_bytes(body, 64 << 20).await.unwrap();
        assert!(
            !parts.status.is_server_error() && parts.status != StatusCode::METHOD_NOT_ALLOWED,
            "{address}: {} {}",
            parts.status,
            String::from_utf8_lossy(&read)
        );
        n_shown += usize::from(parts.status == StatusCode::OK);
        for (now, then) in everything(&door).await.iter().zip(&before) {
            assert_eq!(now, then, "GET {address}");
        }
    }
    assert!(n_shown > 45, "only {n_shown} were there to be looked at");
    door.close().await;
}
