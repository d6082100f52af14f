//! One clone of a dataset in which sources are prepared one after the other, as an experiment prepares them.

use std::time::Duration;

use sqlx::AssertSqlSafe;
use tokio_util::sync::CancellationToken;

use crate::model::experiment::Alteration;
use crate::model::experiment::Params;
use crate::model::experiment::SourceNote;
use crate::model::experiment::SourceSpec;
use crate::model::snapshot::ColumnTarget;
use crate::model::snapshot::Snapshot;
use crate::snapshot::apply;
use crate::snapshot::apply::LeftOut;
use crate::snapshot::capture::capture;
use crate::snapshot::park::Lot;
use crate::snapshot::pristine;
use crate::snapshot::pristine::Pristine;
use crate::source;
use crate::source::objects;
use crate::source::objects::Found;
use crate::source::objects::Scout;
use crate::source::workplace::Base;
use crate::source::workplace::Dropped;
use crate::source::workplace::NamedFile;
use crate::source::workplace::Workplace;
use crate::target::lease::Sandbox;
use crate::target::session::Admin;
use crate::target::session::Session;
use crate::testing::bench::Bench;
use crate::testing::bench::open_clone;

/// One clone of a dataset with everything that sources and snapshots need of it.
pub struct Clone {
    pub bench: Bench,
    pub sandbox: Sandbox,
    pub admin: Admin,
    pub session: Session,
    pub lot: Lot,
    pristine: Pristine,
    /// What `furnished` found.
    pub furniture: Found,
    pub base: Option<Base>,
    /// What the source imported works with.
    pub statistics_file: Option<NamedFile>,
    /// What the source that was prepared last had to say.
    pub notes: Vec<SourceNote>,
}

impl Clone {
    /// Of a dataset that is restored from this dump.
    pub async fn of(dump: &str) -> Self {
        Self::on(Bench::open().await, dump).await
    }

    pub async fn on(bench: Bench, dump: &str) -> Self {
        Self::furnished(bench, dump, &source("none", &[]), &[]).await
    }

    /// With the statistics objects that a source needs for these queries.
    pub async fn furnished(bench: Bench, dump: &str, source: &SourceSpec, queries: &[(&str, &str)]) -> Self {
        let sandbox = bench.sandbox(bench.restored(dump).await).await;
        let mut admin = open_clone(&sandbox, "one").await;
        let connect = || Session::connect(&sandbox.address, "one", "test", &[]);
        let (mut session, mut reader) = (connect().await.unwrap(), connect().await.unwrap().undoing_writes());
        let queries: Vec<(String, String)> = queries
            .iter()
            .map(|(label, sql)| ((*label).to_owned(), (*sql).to_owned()))
            .collect();
        let mut scout = Scout {
            session: &mut session,
            reader: &mut reader,
            queries: &queries,
            prefix: "made_".to_owned(),
            limit: Duration::from_secs(20),
            cancel: &CancellationToken::new(),
        };
        let found = source::find(&source.name).unwrap();
        let wanted = found.objects(&mut scout, &source.params).await.unwrap();
        let furniture = objects::create_all(&mut session.conn, wanted).await.unwrap();
        reader.close().await;
        let lot = Lot::open(&mut admin).await.unwrap();
        let pristine = Pristine::remember(&mut admin).await.unwrap();
        Self {
            bench,
            sandbox,
            admin,
            session,
            lot,
            pristine,
            furniture,
            statistics_file: None,
            base: None,
            notes: Vec::new(),
        }
    }

    /// Gives the clone the statistics of a source, from the pristine state.
    pub async fn prepare(&mut self, source: &SourceSpec) -> Snapshot {
        self.pristine.reset(&mut self.admin, &self.lot).await.unwrap();
        let found = source::find(&source.name).unwrap();
        let mut place = Workplace {
            sandbox: &self.sandbox,
            session: &mut self.session,
            admin: &mut self.admin,
            lot: &self.lot,
            settings: &[],
            objects: if source.name == "extended" {
                &self.furniture.objects
            } else {
                &[]
            },
            scratch_name: "scratch",
            statistics_file: self.statistics_file.as_ref(),
            base: &mut self.base,
            database: "one",
            alteration: &mut Alteration::default(),
            dropped: Dropped::OutOfSight,
        };
        self.notes = found.apply(&mut place, &source.params).await.unwrap();
        capture(&mut self.admin).await.unwrap()
    }

    /// The plan of a query under the statistics in force, as lines of text without costs.
    pub async fn plan(&mut self, sql: &str) -> String {
        let explain = AssertSqlSafe(format!("explain (costs off) {sql}"));
        let lines: Vec<String> = sqlx::query_scalar(explain)
            .persistent(false)
            .fetch_all(&mut self.session.conn)
            .await
            .unwrap();
        lines.join("\n")
    }

    /// How many rows the planner expects a query to bring.
    pub async fn n_rows_expected(&mut self, sql: &str) -> u64 {
        let explain = AssertSqlSafe(format!("explain {sql}"));
        let asked = sqlx::query_scalar(explain).persistent(false);
        let line: String = asked.fetch_one(&mut self.session.conn).await.unwrap();
        let (_, behind) = line.split_once("rows=").unwrap();
        behind.split(' ').next().unwrap().parse().unwrap()
    }

    /// Runs a statement as the dataset's role.
    pub async fn run(&mut self, sql: &'static str) {
        sqlx::raw_sql(sql).execute(&mut self.session.conn).await.unwrap();
    }

    /// Asks for one value as text.
    pub async fn ask(&mut self, sql: &'static str) -> String {
        let asked = sqlx::query_scalar(sql).persistent(false);
        asked.fetch_one(&mut self.session.conn).await.unwrap()
    }

    pub async fn targets(&mut self) -> Vec<ColumnTarget> {
        pristine::targets(&mut self.admin).await.unwrap()
    }

    /// Writes a snapshot into a second clone, and says what it then holds and what was left out.
    pub async fn apply_elsewhere(&self, snapshot: &Snapshot) -> (Snapshot, Vec<LeftOut>) {
        let mut admin = open_clone(&self.sandbox, "two").await;
        let mut session = Session::connect(&self.sandbox.address, "two", "test", &[])
            .await
            .unwrap();
        let lot = Lot::open(&mut admin).await.unwrap();
        let left_out = apply::apply(&mut admin, &mut session, &lot, snapshot).await.unwrap();
        let found = capture(&mut admin).await.unwrap();
        session.close().await;
        admin.close().await;
        (found, left_out)
    }

    pub async fn close(self) {
        self.session.close().await;
        self.admin.close().await;
        self.sandbox.stop().await.unwrap();
        self.bench.close().await;
    }
}

/// As on the command line, without what stands behind the colon.
pub fn source(name: &str, params: &[(&str, &str)]) -> SourceSpec {
    let params: Params = params
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    source::parse(name, &params).unwrap()
}
