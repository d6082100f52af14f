//! `custom_sql`: a script of settings, indexes and statistics objects, in an annex of its own.
//!
//! It starts from the statistics of the experiment's first source, whose twin stands beside it in the annex: the two differ
//! in what the script does and in nothing else. What the script drops is not dropped in truth, because the twin needs it: it
//! is out of sight for the script's own trials.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::Context as _;
use futures_util::future::BoxFuture;
use sqlx::postgres::types::Oid;
use tokio_util::sync::CancellationToken;

use crate::model::dataset::Setting;
use crate::model::experiment::IndexName;
use crate::model::experiment::Params;
use crate::model::experiment::SourceNote;
use crate::model::snapshot::TableName;
use crate::model::units::bytes_in_words;
use crate::model::units::ms_in_words;
use crate::snapshot::scene;
use crate::snapshot::scene::AS_USUAL;
use crate::snapshot::scene::Index;
use crate::snapshot::scene::Object;
use crate::snapshot::scene::Scene;
use crate::source::Applied;
use crate::source::Group;
use crate::source::StatsSource;
use crate::source::parameter::Parameter;
use crate::source::parameter::ParameterKind;
use crate::source::workplace::Dropped;
use crate::source::workplace::Workplace;
use crate::sql::ident;
use crate::sql::tuning;
use crate::sql::tuning::Act;
use crate::sql::tuning::Step;
use crate::target::ServerError;
use crate::target::execute::Ran;
use crate::target::execute::Rows;
use crate::target::room::Watch;
use crate::target::session::Admin;

pub struct CustomSql;

/// Its name, and the parameter that holds the script.
pub const FIELD: (&str, &str) = (NAME, SCRIPT);

const NAME: &str = "custom_sql";

const SCRIPT: &str = "script";

const MAX_SCRIPT_BYTES: usize = 64 << 10;

/// Of one statement. To build an index takes longer than a query may.
const LIMIT: Duration = Duration::from_hours(1);

/// The line of what is done behind a script: lines count from 1.
const BEHIND: u64 = 0;

/// `duplicate_table`: the server's word for a name that an index has already.
const NAME_IS_TAKEN: &str = "42P07";

/// A statement of a script that did not go well. A sentence.
#[derive(Debug, thiserror::Error)]
#[error("{}, {}: {said}", place(*.line), tuning::in_short(.sql))]
pub struct ScriptError {
    /// None behind its last line.
    line: Option<u64>,
    sql: String,
    said: String,
}

fn place(line: Option<u64>) -> String {
    line.map_or_else(
        || "Behind its script".to_owned(),
        |line| format!("Line {line} of its script"),
    )
}

impl StatsSource for CustomSql {
    fn name(&self) -> &'static str {
        NAME
    }

    fn group(&self) -> Group {
        Group::Yours
    }

    fn title(&self) -> &'static str {
        "Script"
    }

    fn about(&self) -> &'static str {
        "Your own settings, indexes and statistics objects, on top of the statistics of the first source. It runs in a copy of \
         the dataset of its own, where the first source is measured again in the same rounds: what differs between the two is \
         what the script does. An index that it drops is there for that one only."
    }

    fn parameters(&self) -> &'static [Parameter] {
        &[Parameter {
            name: SCRIPT,
            label: "Script",
            about: "SET and RESET, CREATE and DROP INDEX, CREATE, ALTER and DROP STATISTICS, ALTER TABLE ... ALTER COLUMN ... \
                    SET STATISTICS or SET (n_distinct = ...), ANALYZE. Behind the script, the tables are analyzed of which it \
                    wants something else gathered, unless an ANALYZE of its own follows. A line `-- name: ...` begins another \
                    script, which is a source of its own.",
            default: "",
            kind: ParameterKind::Script {
                max_bytes: MAX_SCRIPT_BYTES,
                example: "create index on orders (status);\nset random_page_cost = 1.1;",
            },
        }]
    }

    fn needs_annex(&self) -> bool {
        true
    }

    fn apply<'a>(&'a self, place: &'a mut Workplace<'_>, params: &'a Params) -> BoxFuture<'a, Applied> {
        Box::pin(run(place, params, Gathering::Yes))
    }

    fn alter<'a>(&'a self, place: &'a mut Workplace<'_>, params: &'a Params) -> BoxFuture<'a, Applied> {
        Box::pin(run(place, params, Gathering::No))
    }
}

/// Whether a text begins with a script that has no name.
pub fn is_nameless(text: &str) -> bool {
    tuning::scripts(text).first().is_some_and(|(name, _)| name.is_none())
}

/// Whether statistics are gathered where the script asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gathering {
    Yes,
    /// They are written from a snapshot.
    No,
}

async fn run(place: &mut Workplace<'_>, params: &Params, gathering: Gathering) -> Applied {
    let script = params.get(SCRIPT).context("a script")?;
    let steps = tuning::read(script).map_err(|problems| {
        let said: Vec<String> = problems.iter().map(ToString::to_string).collect();
        anyhow::anyhow!("a script that was checked cannot be read: {}", said.join("; "))
    })?;
    place.alteration.script.clone_from(script);
    // The server's own limit, which the script cannot lift. Safe: a number.
    let limit = format!("set statement_timeout = {}", LIMIT.as_millis());
    place
        .session
        .execute(limit, Rows::Drop, LIMIT, &CancellationToken::new())
        .await?;
    let scene = Scene::look(place.admin).await?;
    let mut running = Running {
        place,
        scene,
        notes: Vec::new(),
        settings: BTreeMap::new(),
        order: Vec::new(),
        ungathered: BTreeSet::new(),
        dropped_objects: Vec::new(),
    };
    for step in &steps {
        if step.act == Act::Analyze && gathering == Gathering::No {
            continue;
        }
        running.step(step).await?;
    }
    running.finish(gathering).await
}

/// A script on its way.
struct Running<'a, 'b> {
    place: &'a mut Workplace<'b>,
    /// As it was before the step in hand.
    scene: Scene,
    notes: Vec<SourceNote>,
    /// What settings that it touched were before; none of one that the server had not known.
    settings: BTreeMap<String, Option<String>>,
    /// Their names, in the order in which they were touched first.
    order: Vec<String>,
    /// Tables of which something else is to be gathered than what is.
    ungathered: BTreeSet<TableName>,
    dropped_objects: Vec<u32>,
}

impl Running<'_, '_> {
    async fn step(&mut self, step: &Step) -> anyhow::Result<()> {
        if let Act::Setting(name) = &step.act
            && !self.settings.contains_key(name)
        {
            let before = self.setting(name).await?;
            self.settings.insert(name.clone(), before);
            self.order.push(name.clone());
        }
        let took = match step.act {
            Act::DropIndex | Act::DropObject => self.drop_something(step).await?,
            Act::Setting(_) | Act::MakeIndex | Act::MakeObject | Act::Target | Act::Analyze => {
                self.execute(step, &step.sql).await?
            }
        };
        let took = ms_in_words(took.as_secs_f64() * 1000.0);
        let said = tuning::in_short(&step.sql);
        self.note(format!("line {}", step.line), format!("{said} (took {took})"), None);
        if step.act == Act::Analyze {
            self.ungathered.clear();
        }
        self.tell_changes().await
    }

    /// Runs a statement as the dataset's role, insists that it goes well, and says how long it took.
    async fn execute(&mut self, step: &Step, sql: &str) -> anyhow::Result<Duration> {
        let sandbox = self.place.sandbox;
        let server = Admin::connect(&sandbox.address, "postgres").await?;
        let mut watch = Watch::of_writing(&sandbox.room, server, self.place.database);
        let stop = CancellationToken::new();
        let running = self.place.session.execute(sql.to_owned(), Rows::Drop, LIMIT, &stop);
        let said = match watch.over(&stop, running).await? {
            (Ran::Done(answer), _) => return Ok(answer.elapsed),
            (_, Some(shortage)) => shortage.to_string(),
            (Ran::Failed(error), None) => self.in_words(&error),
            (Ran::TimedOut | Ran::Interrupted, None) => {
                format!("it was not done after {} min", LIMIT.as_secs() / 60)
            }
        };
        Err(ScriptError {
            line: Some(step.line).filter(|line| *line != BEHIND),
            sql: step.sql.clone(),
            said,
        }
        .into())
    }

    fn in_words(&self, error: &ServerError) -> String {
        let hint = if error.sqlstate == NAME_IS_TAKEN && !self.place.alteration.dropped.is_empty() {
            ". What a script drops stays there out of sight, so its name is taken"
        } else {
            ""
        };
        format!("the server says: {error}{hint}")
    }

    /// Has the server drop something and notes what it was; takes it back where others need it.
    async fn drop_something(&mut self, step: &Step) -> anyhow::Result<Duration> {
        self.execute(step, "begin").await?;
        let took = self.execute(step, &step.sql).await?;
        let conn = &mut self.place.session.conn;
        let indexes: Vec<Oid> = sqlx::query_scalar("select indexrelid from pg_catalog.pg_index")
            .persistent(false)
            .fetch_all(&mut *conn)
            .await?;
        let objects: Vec<Oid> = sqlx::query_scalar("select oid from pg_catalog.pg_statistic_ext")
            .persistent(false)
            .fetch_all(conn)
            .await?;
        let stays = self.place.dropped == Dropped::OutOfSight;
        self.execute(step, if stays { "rollback" } else { "commit" }).await?;
        let is_gone = |id: &u32, left: &[Oid]| !left.contains(&Oid(*id));
        let gone: Vec<Index> = self
            .scene
            .indexes
            .iter()
            .filter(|(id, _)| is_gone(id, &indexes))
            .map(|(_, index)| index.clone())
            .collect();
        let gone_objects: Vec<(u32, Object)> = self
            .scene
            .objects
            .iter()
            .filter(|(id, _)| is_gone(id, &objects))
            .map(|(id, object)| (*id, object.clone()))
            .collect();
        for index in gone {
            let what = format!("index on {}, dropped", shown(&index.table));
            self.note(format!("{}.{}", index.schema, index.name), what, None);
            if stays {
                self.place.alteration.dropped.push(index.into());
            }
        }
        for (id, object) in gone_objects {
            let what = format!("statistics object on {}, dropped", shown(&object.table));
            self.note(format!("{}.{}", object.schema, object.name), what, None);
            if stays {
                self.dropped_objects.push(id);
            }
        }
        Ok(took)
    }

    /// Notes what the last statement has changed.
    async fn tell_changes(&mut self) -> anyhow::Result<()> {
        let after = Scene::look(self.place.admin).await?;
        let before = std::mem::replace(&mut self.scene, after);
        let after = self.scene.clone();
        for (_, index) in after.indexes.iter().filter(|(id, _)| !before.indexes.contains_key(*id)) {
            let what = format!("index on {}, {}", shown(&index.table), bytes_in_words(index.size_bytes));
            self.note(format!("{}.{}", index.schema, index.name), what, None);
            if index.has_expressions {
                self.ungathered.insert(index.table.clone());
            }
            self.place.alteration.made.push(index.clone().into());
        }
        for (id, object) in &after.objects {
            let about = format!("{}.{}", object.schema, object.name);
            match before.objects.get(id) {
                None => self.note(about, format!("statistics object on {}", shown(&object.table)), None),
                Some(was) if was.target != object.target => {
                    let change = (was.target.clone(), object.target.clone());
                    self.note(about, "what ANALYZE gathers".to_owned(), Some(change));
                }
                Some(_) => continue,
            }
            self.ungathered.insert(object.table.clone());
        }
        let columns: BTreeSet<_> = before.columns.keys().chain(after.columns.keys()).collect();
        for key in columns {
            let own = |scene: &Scene| scene.columns.get(key).map_or(AS_USUAL, String::as_str).to_owned();
            let (was, is) = (own(&before), own(&after));
            if was != is {
                let (schema, table, column) = key;
                self.note(
                    format!("{schema}.{table}.{column}"),
                    "what ANALYZE gathers".to_owned(),
                    Some((was, is)),
                );
                self.ungathered.insert(TableName {
                    schema: schema.clone(),
                    name: table.clone(),
                });
            }
        }
        Ok(())
    }

    /// Gathers what is still to be gathered, and leaves what the annex has to know.
    async fn finish(mut self, gathering: Gathering) -> Applied {
        let tables: Vec<TableName> = std::mem::take(&mut self.ungathered).into_iter().collect();
        if gathering == Gathering::Yes && !tables.is_empty() {
            let quoted: Vec<String> = tables
                .iter()
                .map(|table| ident::quote_qualified(&table.schema, &table.name))
                .collect();
            let step = Step {
                line: BEHIND,
                sql: format!("analyze {}", quoted.join(", ")),
                act: Act::Analyze,
            };
            self.execute(&step, &step.sql).await?;
            let names: Vec<String> = tables.iter().map(shown).collect();
            self.note(
                "behind the script".to_owned(),
                format!("analyze {}: something else is gathered of it now", names.join(", ")),
                None,
            );
        }
        scene::empty_objects(self.place.admin, &self.dropped_objects).await?;
        for name in std::mem::take(&mut self.order) {
            let Some(value) = self.setting(&name).await? else {
                continue;
            };
            let before = self.settings.get(&name).cloned().flatten();
            if before.as_ref() != Some(&value) {
                let change = (before.unwrap_or_default(), value.clone());
                self.note(name.clone(), "setting".to_owned(), Some(change));
            }
            self.place.alteration.settings.push(Setting { name, value });
        }
        Ok(self.notes)
    }

    /// The value of a setting in the session; none of one that the server does not know.
    async fn setting(&mut self, name: &str) -> anyhow::Result<Option<String>> {
        sqlx::query_scalar("select pg_catalog.current_setting($1, true)")
            .bind(name)
            .persistent(false)
            .fetch_one(&mut self.place.session.conn)
            .await
            .with_context(|| format!("asking for {name}"))
    }

    fn note(&mut self, about: String, what: String, change: Option<(String, String)>) {
        self.notes.push(SourceNote { about, what, change });
    }
}

impl From<Index> for IndexName {
    fn from(index: Index) -> Self {
        Self {
            schema: index.schema,
            name: index.name,
        }
    }
}

fn shown(table: &TableName) -> String {
    format!("{}.{}", table.schema, table.name)
}
