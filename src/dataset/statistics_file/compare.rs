//! What a statistics file has that its dataset has not, and the other way round.

use std::collections::HashMap;
use std::collections::HashSet;

use crate::model::dataset::Inventory;
use crate::model::dataset::InventoryRelation;
use crate::model::statistics_file::FileColumn;
use crate::model::statistics_file::StatisticsFile;
use crate::model::statistics_file::Unseen;

/// Page counts that differ by more than this factor are pointed out.
const MOST_FACTOR: f64 = 2.0;
/// Tables as small as this are read whole whatever the planner believes.
const FEW_PAGES: i64 = 10;

/// How a file and a dataset differ. Names come with their schemas.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Comparison {
    /// Entries of the file that find their column in the dataset.
    pub n_matching: u64,
    /// Tables and indexes of the file that the dataset has not; their columns are not listed again.
    pub unknown_relations: Vec<String>,
    /// Columns of the file that the dataset's table has not.
    pub unknown_columns: Vec<String>,
    /// Columns of the dataset of which the file says nothing.
    pub without_statistics: Vec<String>,
    /// Tables of the dataset whose size in rows the file does not say.
    pub without_size: Vec<String>,
    pub sizes: Vec<SizeDifference>,
    /// What the file says of itself that it lacks.
    pub unseen: Vec<Unseen>,
}

/// A table that is of another size here than where the statistics come from.
#[derive(Clone, Debug, PartialEq)]
pub struct SizeDifference {
    pub table: String,
    pub exported_pages: i64,
    pub real_pages: i64,
    /// How many times larger the larger is; none where one of them has no page.
    pub factor: Option<f64>,
}

/// Compares by name.
pub fn compare(file: &StatisticsFile, inventory: &Inventory) -> Comparison {
    let known: HashMap<(&str, &str), &InventoryRelation> = inventory
        .relations
        .iter()
        .map(|relation| ((relation.schema.as_str(), relation.relation.as_str()), relation))
        .collect();
    let mut comparison = Comparison {
        unseen: file.unseen.clone(),
        ..Comparison::default()
    };
    let mut unknown_relations = HashSet::new();
    for relation in &file.relations {
        match known.get(&(relation.schema.as_str(), relation.relation.as_str())) {
            Some(real) => comparison.sizes.extend(size_difference(relation.pages, real)),
            None => {
                unknown_relations.insert(relation.full_name());
            }
        }
    }
    let mut with_statistics = HashSet::new();
    for column in &file.columns {
        let Some(relation) = known.get(&(column.schema.as_str(), column.relation.as_str())) else {
            unknown_relations.insert(format!("{}.{}", column.schema, column.relation));
            continue;
        };
        match find(column, relation) {
            Some(name) => {
                comparison.n_matching += 1;
                with_statistics.insert((relation.schema.as_str(), relation.relation.as_str(), name));
            }
            None => comparison.unknown_columns.push(column.full_name()),
        }
    }
    comparison.unknown_relations = unknown_relations.into_iter().collect();
    comparison.unknown_relations.sort_unstable();
    let with_size: HashSet<(&str, &str)> = file
        .relations
        .iter()
        .map(|relation| (relation.schema.as_str(), relation.relation.as_str()))
        .collect();
    for relation in inventory.relations.iter().filter(|relation| !relation.is_index()) {
        let (schema, name) = (relation.schema.as_str(), relation.relation.as_str());
        if !with_size.contains(&(schema, name)) {
            comparison.without_size.push(format!("{schema}.{name}"));
        }
        let without = relation
            .columns
            .iter()
            .filter(|column| !with_statistics.contains(&(schema, name, column.name.as_str())));
        comparison
            .without_statistics
            .extend(without.map(|column| format!("{schema}.{name}.{}", column.name)));
    }
    comparison
}

/// The column's name in the dataset.
fn find<'a>(wanted: &FileColumn, relation: &'a InventoryRelation) -> Option<&'a str> {
    let found = relation
        .columns
        .iter()
        .find(|column| match (&wanted.column, wanted.column_number) {
            (Some(name), _) => column.name == *name,
            (None, number) => Some(column.number) == number,
        });
    found.map(|column| column.name.as_str())
}

#[expect(clippy::cast_precision_loss, reason = "a factor, shown with two digits")]
fn size_difference(exported_pages: i64, real: &InventoryRelation) -> Option<SizeDifference> {
    let (small, large) = (exported_pages.min(real.pages), exported_pages.max(real.pages));
    let factor = (small > 0).then(|| large as f64 / small as f64);
    let differs = large >= FEW_PAGES && factor.is_none_or(|factor| factor > MOST_FACTOR);
    (real.has_pages() && differs).then(|| SizeDifference {
        table: format!("{}.{}", real.schema, real.relation),
        exported_pages,
        real_pages: real.pages,
        factor,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::dataset::InventoryColumn;
    use crate::model::statistics_file::FileRelation;

    fn relation(name: &str, kind: &str, pages: i64, columns: &[&str]) -> InventoryRelation {
        InventoryRelation {
            schema: "public".to_owned(),
            relation: name.to_owned(),
            kind: kind.to_owned(),
            pages,
            columns: (1..)
                .zip(columns)
                .map(|(number, name)| InventoryColumn {
                    number,
                    name: (*name).to_owned(),
                })
                .collect(),
        }
    }

    fn size(name: &str, pages: i64) -> FileRelation {
        FileRelation {
            schema: "public".to_owned(),
            relation: name.to_owned(),
            relkind: None,
            pages,
            tuples: "1".to_owned(),
            all_visible_pages: 0,
        }
    }

    fn column(relation: &str, column: Option<&str>, column_number: Option<i16>) -> FileColumn {
        FileColumn {
            schema: "public".to_owned(),
            relation: relation.to_owned(),
            column: column.map(str::to_owned),
            column_number,
            ..FileColumn::default()
        }
    }

    #[test]
    fn what_either_side_lacks_is_listed_and_nothing_is_dropped() {
        let inventory = Inventory {
            relations: vec![
                relation("t", "r", 100, &["a", "b"]),
                relation("t_idx", "i", 7, &["lower"]),
                relation("u", "r", 0, &["c"]),
            ],
        };
        let file = StatisticsFile {
            relations: vec![size("t", 100), size("gone", 5)],
            columns: vec![
                column("t", Some("a"), None),
                column("t", Some("x"), None),
                column("t_idx", None, Some(1)),
                column("t_idx", None, Some(2)),
                column("gone", Some("y"), None),
                column("gone too", Some("y"), None),
            ],
            ..StatisticsFile::default()
        };
        let found = compare(&file, &inventory);
        assert_eq!(
            found,
            Comparison {
                n_matching: 2,
                unknown_relations: vec!["public.gone".to_owned(), "public.gone too".to_owned()],
                unknown_columns: vec!["public.t.x".to_owned(), "public.t_idx.column 2".to_owned()],
                without_statistics: vec!["public.t.b".to_owned(), "public.u.c".to_owned()],
                without_size: vec!["public.u".to_owned()],
                sizes: Vec::new(),
                unseen: Vec::new(),
            }
        );
    }

    #[test]
    fn a_table_of_another_size_is_pointed_out_unless_both_are_small() {
        for (kind, exported, real, factor) in [
            ("r", 100, 201, Some(Some(2.01))),
            ("m", 1000, 100, Some(Some(10.0))),
            ("r", 100, 200, None),
            ("r", 1, 9, None),
            ("r", 100, 0, Some(None)),
            ("r", 0, 100, Some(None)),
            ("p", 0, 100, None),
            ("i", 1, 100, None),
        ] {
            let found = size_difference(exported, &relation("t", kind, real, &[]));
            assert_eq!(found.map(|found| found.factor), factor, "{kind} {exported} {real}");
        }
    }
}
