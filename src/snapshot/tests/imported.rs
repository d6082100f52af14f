//! Statistics that come out of one database and go into another.

use std::process::Command;

use sqlx::AssertSqlSafe;

use super::MANY_TYPES;
use super::assert_same;
use crate::dataset::statistics_file::read;
use crate::model::experiment::SourceNote;
use crate::model::snapshot::Snapshot;
use crate::model::statistics_file::FileColumn;
use crate::model::statistics_file::StatisticsFile;
use crate::snapshot::export;
use crate::snapshot::pristine;
use crate::source::workplace::NamedFile;
use crate::testing;
use crate::testing::bench::Bench;
use crate::testing::clone::Clone;
use crate::testing::clone::source;
use crate::testing::servers;

impl Clone {
    fn options(&self) -> sqlx::postgres::PgConnectOptions {
        let address = &self.sandbox.address;
        address.server.clone().database(&address.names.on_server("one"))
    }

    /// Gives the clone the statistics of a file, from the pristine state.
    pub(super) async fn import(&mut self, file: &StatisticsFile) -> Snapshot {
        self.statistics_file = Some(NamedFile {
            contents: file.clone(),
            sha256: "abc".to_owned(),
        });
        self.prepare(&source("imported", &[("file", "production.json")])).await
    }

    /// The plan with its costs.
    pub(super) async fn costs(&mut self, sql: &str) -> String {
        let explain = AssertSqlSafe(format!("explain {sql}"));
        let lines: Vec<String> = sqlx::query_scalar(explain)
            .persistent(false)
            .fetch_all(&mut self.session.conn)
            .await
            .unwrap();
        lines.join("\n")
    }

    /// What the source had to say beside naming its file and what the file itself lacks.
    pub(super) fn remarks(&self) -> Vec<&SourceNote> {
        let notes = self.notes.iter().skip(1);
        notes
            .filter(|note| !note.what.starts_with("is not in the file"))
            .collect()
    }
}

/// What the format can hold: the data of statistics objects it cannot.
fn without_extended(snapshot: &Snapshot) -> Snapshot {
    Snapshot {
        extended: Vec::new(),
        ..snapshot.clone()
    }
}

/// Reading every list that the planner reads: common values, histograms, elements, lexemes, ranges, correlation, widths.
const QUERIES: [&str; 7] = [
    "select * from many where name < 'na''me \"3' and code = 'c3' and flag",
    "select * from many where tags @> '{t3}' and words @@ 'common & word3'",
    "select * from many where span && int4range(5, 900) and spans @> 7",
    "select * from many where nums && '{3,4}' and mood = 'ok' and price * 2 > 4000 order by born",
    "select m.code, count(*) from many m join traps t on t.small = m.id group by 1 order by 2",
    "select * from traps where far < 'infinity' and note = 'NULL' and dates @> date '2024-01-05' and exact < 10",
    "select * from parent p join child c using (a) where p.b = 'p1' or c.c > 9",
];

#[tokio::test]
async fn exported_statistics_are_imported_to_the_byte_with_the_same_plans_and_costs_on_every_version() {
    let mut oldest: Option<(StatisticsFile, Snapshot)> = None;
    for bindir in testing::bindirs() {
        let mut clone = Clone::on(Bench::open_on(bindir).await, MANY_TYPES).await;
        let gathered = without_extended(&clone.prepare(&source("built_in", &[])).await);
        let file = export::export(clone.options()).await.unwrap();
        file.check().unwrap();
        let mut costs = Vec::new();
        // Without statistics objects, which the format cannot hold.
        clone
            .run("drop statistics \"Both Names\", listed, computed, alone, nothing_yet, inherited, divided, also")
            .await;
        for query in QUERIES {
            costs.push(clone.costs(query).await);
        }
        assert!(
            file.unseen
                .iter()
                .all(|unseen| unseen.reason.contains("statistics object")),
            "{:?}",
            file.unseen
        );

        // As it comes back out of the store.
        let text = serde_json::to_vec(&file).unwrap();
        let (_, file) = read::read(&text).unwrap();
        let found = clone.import(&file).await;
        assert_eq!(clone.remarks(), Vec::<&SourceNote>::new());
        assert_same(&found, &gathered);
        for (query, expected) in QUERIES.iter().zip(&costs) {
            assert_eq!(clone.costs(query).await, *expected, "{query}");
        }
        if pristine::server_version_num(&mut clone.admin).await.unwrap() >= 180_000 && servers::ARE_HERE {
            clone.imports_what_pg_dump_writes(&gathered).await;
        }
        if let Some((file, gathered)) = &oldest {
            let found = clone.import(file).await;
            assert_eq!(clone.remarks(), Vec::<&SourceNote>::new());
            assert_eq!(found.columns, gathered.columns, "from one version to another");
        }
        oldest.get_or_insert((file, gathered));
        clone.close().await;
    }
}

impl Clone {
    async fn imports_what_pg_dump_writes(&mut self, gathered: &Snapshot) {
        let options = self.options();
        let dumped = Command::new(servers::client(18, "pg_dump"))
            .args(["--statistics-only", "-U", options.get_username(), "-h"])
            .arg(options.get_socket().unwrap())
            .args(["-p", &options.get_port().to_string(), options.get_database().unwrap()])
            .output()
            .unwrap();
        assert!(dumped.status.success(), "{}", String::from_utf8_lossy(&dumped.stderr));
        let (_, file) = read::read(&dumped.stdout).unwrap();
        let found = self.import(&file).await;
        assert_eq!(self.remarks(), Vec::<&SourceNote>::new());
        assert_same(&found, gathered);
    }
}

/// Two tables whose like exist on a server elsewhere, with more rows and other values.
pub(super) const SHOP: &str = "
create table orders (id integer primary key, status text, note text, tags text[], during daterange, amount numeric);
create index on orders (status);
insert into orders select g, case when g % 10 = 0 then 'open' else 'done' end, 'n' || g, array['a', 'b'],
       daterange(date '2024-01-01', date '2024-01-01' + g % 9), g
from generate_series(1, 3000) g;
create table empty (a integer);
";

/// The file of such a server, with everything about `orders.status` as given.
pub(super) fn shop(status: FileColumn) -> StatisticsFile {
    let relations = r#"[{"schemaname": "public", "relname": "orders", "relpages": 100, "reltuples": 9e6, "relallvisible": 50},
                        {"schemaname": "public", "relname": "orders_pkey", "relpages": 9, "reltuples": 9e6, "relallvisible": 0}]"#;
    let json = format!(r#"{{"pgassay_statistics": 1, "relations": {relations}, "columns": []}}"#);
    let mut file = StatisticsFile::from_json(json.as_bytes()).unwrap();
    file.columns.push(status);
    file
}

fn column(name: &str) -> FileColumn {
    FileColumn {
        schema: "public".to_owned(),
        relation: "orders".to_owned(),
        column: Some(name.to_owned()),
        null_frac: "0".to_owned(),
        avg_width: 5,
        n_distinct: "3".to_owned(),
        ..FileColumn::default()
    }
}

/// A column of `orders` of which the file says this.
pub(super) fn said_of(name: &str, says: &[(&str, &str)]) -> FileColumn {
    let mut json = serde_json::to_value(column(name)).unwrap();
    for (field, value) in says {
        json[*field] = match *field {
            "avg_width" => value.parse::<i64>().unwrap().into(),
            _ => (*value).into(),
        };
    }
    serde_json::from_value(json).unwrap()
}

#[tokio::test]
async fn without_superuser_an_import_is_written_by_the_functions_of_the_server() {
    // 18 brought these functions.
    let newest = testing::bindirs().into_iter().next_back().flatten();
    let mut clone = Clone::on(Bench::open_on(newest).await, MANY_TYPES).await;
    clone.prepare(&source("built_in", &[])).await;
    let file = export::export(clone.options()).await.unwrap();
    let imported = clone.import(&file).await;
    if let Some(applied) = clone.apply_without_superuser(&[&imported]).await {
        let (found, left_out) = &applied[0];
        assert!(left_out.is_empty(), "{left_out:?}");
        assert_same(found, &imported);
    }
    clone.close().await;
}

#[tokio::test]
async fn imported_statistics_change_a_plan_and_what_does_not_fit_is_listed() {
    let mut clone = Clone::of(SHOP).await;
    clone.prepare(&source("built_in", &[])).await;
    let here = clone.costs("select * from orders where status = 'done'").await;
    assert!(here.contains("Seq Scan") && here.contains("rows=2700"), "{here}");

    let status = [
        ("most_common_vals", "{open,lost}"),
        ("most_common_freqs", "{0.9,0.0999}"),
    ];
    let mut file = shop(said_of("status", &status));
    file.columns.push(column("color"));
    file.columns.push(FileColumn {
        relation: "gone".to_owned(),
        ..column("a")
    });
    let found = clone.import(&file).await;
    let there = clone.costs("select * from orders where status = 'done'").await;
    assert!(
        there.contains("Index Scan"),
        "production knows hardly any such row: {there}"
    );
    let rows = clone.costs("select * from orders").await;
    assert!(rows.contains("rows=9000000"), "as many rows as in production: {rows}");

    let orders = found
        .relations
        .iter()
        .find(|relation| relation.relation == "orders")
        .unwrap();
    let real: i64 = clone
        .ask("select (pg_relation_size('orders') / 8192)::text")
        .await
        .parse()
        .unwrap();
    assert_eq!(i64::from(orders.pages), real);
    assert_eq!(
        orders.all_visible_pages,
        orders.pages.midpoint(1),
        "half of them, as there"
    );
    let remarks: Vec<String> = clone
        .remarks()
        .iter()
        .map(|note| format!("{}: {}", note.about, note.what))
        .collect();
    assert_eq!(
        remarks,
        [
            "public.empty: the file does not say its size; it keeps its own",
            "public.orders: 2.7 times smaller here, and the planner counts pages itself: it expects the rows of there on the \
             pages of here",
            "public.gone: not imported: the dataset has no such table or index",
            "public.orders.color: not imported: the dataset has no such column",
        ]
    );
    assert_eq!(found.columns.len(), 1);
    clone.close().await;
}

#[tokio::test]
async fn a_role_without_rights_is_told_what_it_could_not_see() {
    let mut clone = Clone::of(&format!(
        "{SHOP} alter table empty enable row level security; create index on orders (lower(note));"
    ))
    .await;
    clone.prepare(&source("built_in", &[])).await;
    let rights = "create role lowly; grant usage on schema public to lowly; grant select on public.empty to lowly;
                  grant select (status) on public.orders to lowly";
    clone.admin.run(rights.to_owned()).await.unwrap();
    let options = clone.options().options([("role", "lowly")]);
    let file = export::export(options).await.unwrap();
    let seen: Vec<String> = file.columns.iter().map(FileColumn::full_name).collect();
    assert_eq!(seen, ["public.orders.status"]);
    let unseen: Vec<String> = file
        .unseen
        .iter()
        .map(|unseen| format!("{}: {}", unseen.full_name(), unseen.reason))
        .collect();
    assert_eq!(
        unseen,
        [
            "public.empty.a: row level security",
            "public.orders.amount: no SELECT privilege",
            "public.orders.during: no SELECT privilege",
            "public.orders.id: no SELECT privilege",
            "public.orders.note: no SELECT privilege",
            "public.orders.tags: no SELECT privilege",
            "public.orders_lower_idx.lower: an index on an expression shows its statistics to its owner only",
        ]
    );
    clone.close().await;
}
