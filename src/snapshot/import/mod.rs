//! Makes a snapshot for one clone out of a statistics file from elsewhere.
//!
//! What the file says is matched by name. Types, operators and collations come from the clone's own catalog, never from the
//! file; numbers and lists are checked and brought into bounds, so that nothing in a file can mislead the server's memory.

mod catalog;
mod order;
mod parts;
mod shape;

use std::collections::BTreeSet;
use std::collections::HashMap;

use crate::model::snapshot::ColumnStatistics;
use crate::model::snapshot::RelationNumbers;
use crate::model::snapshot::Snapshot;
use crate::model::statistics_file::FileColumn;
use crate::model::statistics_file::FileRelation;
use crate::model::statistics_file::SizeDifference;
use crate::model::statistics_file::StatisticsFile;
use crate::snapshot::capture;
use crate::target::session::Admin;
use crate::target::session::Session;

use catalog::Catalog;

/// Something of a file that did not become part of the snapshot as it stands there, or a table that the file leaves out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// The column or relation it is about.
    pub about: String,
    pub what: String,
}

impl Remark {
    fn new(about: String, what: impl Into<String>) -> Self {
        Self {
            about,
            what: what.into(),
        }
    }
}

/// The planner takes numbers of rows beyond this for nonsense.
const MOST_TUPLES: f64 = 1e12;

/// The snapshot that `file` means in this clone, which must be pristine, and what should be known about it.
///
/// Row counts are the file's. Page counts are the clone's own: the planner counts the pages of the files themselves, and
/// believes only the rows per page.
pub async fn fit(
    admin: &mut Admin,
    session: &mut Session,
    file: &StatisticsFile,
) -> anyhow::Result<(Snapshot, Vec<Remark>)> {
    let mut snapshot = Snapshot {
        relations: capture::relations(admin).await?,
        ..Snapshot::default()
    };
    let mut catalog = Catalog::read(admin).await?;
    let mut remarks = Vec::new();
    fit_relations(&mut snapshot.relations, file, &catalog, &mut remarks);
    let of_known = |column: &&FileColumn| catalog.has_relation(&column.schema, &column.relation);
    let columns: Vec<&FileColumn> = file.columns.iter().filter(of_known).collect();
    for given in columns {
        match fit_column(admin, session, &mut catalog, given).await? {
            Ok((column, said)) => {
                remarks.extend(said.into_iter().map(|what| Remark::new(given.full_name(), what)));
                snapshot.columns.push(column);
            }
            Err(reason) => remarks.push(Remark::new(given.full_name(), format!("not imported: {reason}"))),
        }
    }
    snapshot.columns.sort_by(|a, b| key(a).cmp(&key(b)));
    for twice in remove_doubles(&mut snapshot.columns) {
        remarks.push(Remark::new(
            twice,
            "the file has it by name and by number; one of them is imported",
        ));
    }
    Ok((snapshot, remarks))
}

fn key(column: &ColumnStatistics) -> (&str, &str, i16, bool) {
    (&column.schema, &column.relation, column.column_number, column.inherited)
}

fn remove_doubles(columns: &mut Vec<ColumnStatistics>) -> Vec<String> {
    let mut names = Vec::new();
    columns.dedup_by(|later, earlier| {
        let is_double = key(later) == key(earlier);
        if is_double {
            names.push(format!("{}.{}.{}", later.schema, later.relation, later.column));
        }
        is_double
    });
    names
}

fn fit_relations(real: &mut [RelationNumbers], file: &StatisticsFile, catalog: &Catalog, remarks: &mut Vec<Remark>) {
    let given: HashMap<(&str, &str), &FileRelation> = file
        .relations
        .iter()
        .map(|relation| ((relation.schema.as_str(), relation.relation.as_str()), relation))
        .collect();
    for relation in real.iter_mut() {
        let name = format!("{}.{}", relation.schema, relation.relation);
        let found = given.get(&(relation.schema.as_str(), relation.relation.as_str()));
        let Some(given) = found.copied() else {
            if !relation.is_index {
                remarks.push(Remark::new(name, "the file does not say its size; it keeps its own"));
            }
            continue;
        };
        let pages = catalog.pages(&relation.schema, &relation.relation);
        if let Err(reason) = fit_sizes(relation, given, pages) {
            remarks.push(Remark::new(name, format!("its size is not imported: {reason}")));
        } else if let Some(pages) = pages.filter(|_| !relation.is_index)
            && let Some(difference) = SizeDifference::of(&name, given.pages, pages.into())
        {
            let what = "and the planner counts pages itself: it expects the rows of there on the pages of here";
            remarks.push(Remark::new(name, format!("{}, {what}", difference.in_words())));
        }
    }
    let of_relations = file
        .relations
        .iter()
        .map(|relation| (&relation.schema, &relation.relation));
    let of_columns = file.columns.iter().map(|column| (&column.schema, &column.relation));
    let unknown: BTreeSet<(&String, &String)> = of_relations
        .chain(of_columns)
        .filter(|(schema, relation)| !catalog.has_relation(schema, relation))
        .collect();
    for (schema, relation) in unknown {
        let what = "not imported: the dataset has no such table or index";
        remarks.push(Remark::new(format!("{schema}.{relation}"), what));
    }
}

/// Puts the file's rows on the clone's pages. The share of all-visible pages is kept.
fn fit_sizes(real: &mut RelationNumbers, given: &FileRelation, pages: Option<i32>) -> Result<(), String> {
    let tuples = parts::finite(&given.tuples)?;
    if tuples > MOST_TUPLES {
        return Err(format!("{} are more rows than a planner believes in", given.tuples));
    }
    if tuples < 0.0 {
        // Never counted there, and so not here: the planner guesses from the width of a row.
        "-1".clone_into(&mut real.tuples);
        return Ok(());
    }
    real.tuples.clone_from(&given.tuples);
    let Some(pages) = pages else {
        // Of partitioned and foreign tables there are no pages to count, and the stored number is all there is.
        real.pages = i32::try_from(given.pages).unwrap_or(i32::MAX);
        return Ok(());
    };
    real.pages = pages;
    let whole = given.pages.clamp(0, i32::MAX.into());
    let visible = given.all_visible_pages.clamp(0, whole);
    real.all_visible_pages = i32::try_from(share_of(visible, whole, real.pages.into())).unwrap_or(0);
    if let Some(frozen) = &mut real.all_frozen_pages {
        *frozen = (*frozen).min(real.all_visible_pages);
    }
    Ok(())
}

/// `part` of `whole` as so many of `total`, rounded; none of an empty whole.
fn share_of(part: i64, whole: i64, total: i64) -> i64 {
    if whole == 0 {
        return 0;
    }
    let share = (i128::from(part) * i128::from(total) * 2 + i128::from(whole)) / (i128::from(whole) * 2);
    i64::try_from(share).unwrap_or(total)
}

/// One entry as a row for the clone, and what is remarkable about it. The inner error is the reason why it is left out.
async fn fit_column(
    admin: &mut Admin,
    session: &mut Session,
    catalog: &mut Catalog,
    given: &FileColumn,
) -> anyhow::Result<Result<(ColumnStatistics, Vec<String>), String>> {
    let place = match catalog.find(admin, given).await? {
        Ok(place) => place,
        Err(reason) => return Ok(Err(reason)),
    };
    let mut shaped = match shape::shape(given, &place.types) {
        Ok(shaped) => shaped,
        Err(reason) => return Ok(Err(reason)),
    };
    let mut any_changed = false;
    for list in shaped.ordered_lists() {
        match order::put_in_order(session, &place.types, list).await? {
            Ok(ordered) => any_changed |= ordered == order::Order::Changed,
            Err(reason) => return Ok(Err(reason)),
        }
    }
    if any_changed {
        let said = "its values stood in another order than this database sorts them in, and were sorted again";
        shaped.remarks.push(said.to_owned());
    }
    let (gathered, remarks) = shaped.gathered(&place.types);
    let column = ColumnStatistics {
        schema: given.schema.clone(),
        relation: given.relation.clone(),
        column_number: place.column_number,
        column: place.column,
        inherited: given.inherited,
        gathered,
    };
    Ok(Ok((column, remarks)))
}
