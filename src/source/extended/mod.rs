//! `extended`: statistics objects on the pairs of columns that the workload uses together.
//!
//! The objects stand in the experiment's one clone for all its sources, with a statistics target of 0, so that no other
//! source fills them: one without data means nothing to the planner.

mod together;

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use anyhow::Context as _;
use futures_util::future::BoxFuture;

use crate::model::experiment::Params;
use crate::model::experiment::SourceNote;
use crate::model::snapshot::StatisticsObject;
use crate::model::units::counted;
use crate::plan;
use crate::source::Applied;
use crate::source::Group;
use crate::source::StatsSource;
use crate::source::analyze;
use crate::source::extended::together::Use;
use crate::source::objects;
use crate::source::objects::Found;
use crate::source::objects::Scout;
use crate::source::parameter;
use crate::source::parameter::Parameter;
use crate::source::parameter::ParameterKind;
use crate::source::workplace::Workplace;
use crate::target::execute::Ran;

pub struct Extended;

const KINDS: &[&str] = &["ndistinct", "dependencies", "mcv"];

/// Queries that are named as the reason for an object.
const N_NAMED: usize = 5;

impl StatsSource for Extended {
    fn name(&self) -> &'static str {
        "extended"
    }

    fn group(&self) -> Group {
        Group::Gathered
    }

    fn title(&self) -> &'static str {
        "Extended statistics"
    }

    fn about(&self) -> &'static str {
        "ANALYZE with CREATE STATISTICS on the pairs of columns that the queries filter, join or group on together. \
         Without it the planner takes columns for independent of each other. The objects and the queries that ask for \
         them are shown with the results."
    }

    fn parameters(&self) -> &'static [Parameter] {
        &[
            Parameter {
                name: "kinds",
                label: "Kinds",
                about: "ndistinct counts combinations for grouping, dependencies says how far one column decides the other, \
                        mcv lists the most common combinations.",
                default: "ndistinct+dependencies+mcv",
                kind: ParameterKind::Several(KINDS),
            },
            Parameter {
                name: "cap",
                label: "Objects at most",
                about: "Pairs that more queries use come first.",
                default: "12",
                kind: ParameterKind::Integer { min: 1, max: 64 },
            },
        ]
    }

    fn objects<'a>(&'a self, scout: &'a mut Scout<'_>, params: &'a Params) -> BoxFuture<'a, anyhow::Result<Found>> {
        Box::pin(async move {
            let cap: usize = params.get("cap").context("a cap")?.parse()?;
            let kinds: Vec<String> = parameter::chosen(params.get("kinds").context("kinds")?)
                .map(str::to_owned)
                .collect();
            let mut found = Found::default();
            let mut n_left_out = 0;
            for pair in pairs(scout).await? {
                let Some((schema, table)) = find_table(scout, &pair.relation).await? else {
                    continue;
                };
                if found.objects.len() == cap {
                    n_left_out += 1;
                    continue;
                }
                found.objects.push(StatisticsObject {
                    name: format!("{}{}", scout.prefix, found.objects.len() + 1),
                    schema,
                    table,
                    reason: pair.reason(),
                    columns: vec![pair.columns.0, pair.columns.1],
                    kinds: kinds.clone(),
                });
            }
            if found.objects.is_empty() {
                found.notes.push(remark(
                    "no query uses two columns of a table together, so this is plain ANALYZE",
                ));
            }
            if n_left_out > 0 {
                let what = format!(
                    "{} left out: {} allowed",
                    counted(n_left_out, "more pair is", "more pairs are"),
                    counted(cap as u64, "object is", "objects are")
                );
                found.notes.push(remark(&what));
            }
            Ok(found)
        })
    }

    fn apply<'a>(&'a self, place: &'a mut Workplace<'_>, _params: &'a Params) -> BoxFuture<'a, Applied> {
        Box::pin(async move {
            let conn = &mut place.session.conn;
            let mut notes = Vec::new();
            for object in place.objects {
                objects::set_target(conn, object, objects::DEFAULT_TARGET).await?;
                notes.push(SourceNote {
                    about: objects::shown(object),
                    what: format!("statistics object of {}: {}", object.kinds.join(", "), object.reason),
                    change: None,
                });
            }
            analyze::analyze_all(conn).await?;
            Ok(notes)
        })
    }
}

fn remark(what: &str) -> SourceNote {
    SourceNote {
        about: "workload".to_owned(),
        what: what.to_owned(),
        change: None,
    }
}

/// Two columns of a table, in order of their names, with the queries that use them together.
struct Pair {
    relation: String,
    columns: (String, String),
    uses: BTreeMap<Use, Vec<String>>,
    n_queries: usize,
}

impl Pair {
    /// `filtered together by q1, q7`.
    fn reason(&self) -> String {
        let parts = self.uses.iter().map(|(used_in, queries)| {
            let named: Vec<&str> = queries.iter().take(N_NAMED).map(String::as_str).collect();
            let more = match queries.len().saturating_sub(N_NAMED) {
                0 => String::new(),
                n => format!(" and {n} more"),
            };
            format!("{} {}{more}", used_in.words(), named.join(", "))
        });
        parts.collect::<Vec<_>>().join("; ")
    }
}

/// Every pair that some query uses together; those of more queries first.
async fn pairs(scout: &mut Scout<'_>) -> anyhow::Result<Vec<Pair>> {
    let mut found: BTreeMap<(String, String, String), BTreeMap<Use, Vec<String>>> = BTreeMap::new();
    for (label, sql) in scout.queries {
        let looked = scout.reader.explain_verbose(sql, scout.limit, scout.cancel).await?;
        // What is wrong with a query its trials will say.
        let Ran::Done(text) = looked else { continue };
        let plan = plan::parse(&text).context("reading the server's EXPLAIN")?;
        let mut of_query: BTreeSet<(String, String, String, Use)> = BTreeSet::new();
        for together in together::together(&plan) {
            let columns: Vec<&String> = together.columns.iter().collect();
            for (idx, first) in columns.iter().enumerate() {
                for second in &columns[idx + 1..] {
                    let relation = together.relation.clone();
                    of_query.insert((relation, (*first).clone(), (*second).clone(), together.used_in));
                }
            }
        }
        for (relation, first, second, used_in) in of_query {
            let uses = found.entry((relation, first, second)).or_default();
            uses.entry(used_in).or_default().push(label.clone());
        }
    }
    let mut pairs: Vec<Pair> = found
        .into_iter()
        .map(|((relation, first, second), uses)| Pair {
            relation,
            columns: (first, second),
            n_queries: uses.values().flatten().collect::<BTreeSet<_>>().len(),
            uses,
        })
        .collect();
    // Those of as many queries stay in the order of their names.
    pairs.sort_by_key(|pair| std::cmp::Reverse(pair.n_queries));
    Ok(pairs)
}

/// The table of the role's own that EXPLAIN names so.
async fn find_table(scout: &mut Scout<'_>, relation: &str) -> anyhow::Result<Option<(String, String)>> {
    let found = sqlx::query_as(
        "select n.nspname::text, c.relname::text
         from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
         where n.nspname || '.' || c.relname = $1 and c.relkind in ('r', 'p', 'm', 'f')
           and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
           and pg_catalog.pg_has_role(c.relowner, 'usage')
         limit 1",
    )
    .bind(relation)
    .persistent(false)
    .fetch_optional(&mut scout.session.conn)
    .await?;
    Ok(found)
}

#[cfg(test)]
mod tests;
