//! A published table beside the same table computed again: which numbers differ.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Map;
use serde_json::Value;

/// Numbers that are this close are the same: another machine's library may round a logarithm otherwise.
const TOLERANCE: f64 = 1e-9;

/// A row with its columns by name.
pub(super) type Row = Map<String, Value>;

/// What differs between two tables.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Difference {
    /// One number of a row.
    Number {
        key: Row,
        name: String,
        published: Value,
        recomputed: Value,
    },
    /// A row that does not follow from what was measured, or that is there twice.
    NotRecomputed { key: Row },
    /// A row that follows from what was measured and was not published.
    NotPublished { key: Row },
}

/// A table computed again, waiting for the published one. Its rows are told apart by their `keys`.
pub(super) struct Table<'a, T> {
    keys: &'a [&'a str],
    rows: BTreeMap<Vec<i64>, &'a T>,
    pub(super) differences: Vec<Difference>,
    /// Numbers compared.
    pub(super) n_numbers: u64,
}

impl<'a, T: Serialize> Table<'a, T> {
    pub(super) fn new(keys: &'a [&'a str], rows: &'a [T]) -> Result<Self, serde_json::Error> {
        let mut by_key = BTreeMap::new();
        for row in rows {
            by_key.insert(numbers(keys, &columns(row)?), row);
        }
        Ok(Self {
            keys,
            rows: by_key,
            differences: Vec::new(),
            n_numbers: 0,
        })
    }

    /// Compares one published row, whose twin is then done with.
    pub(super) fn compare(&mut self, published: &Row) -> Result<(), serde_json::Error> {
        let key = self.key(published);
        let Some(row) = self.rows.remove(&numbers(self.keys, published)) else {
            self.differences.push(Difference::NotRecomputed { key });
            return Ok(());
        };
        let recomputed = columns(row)?;
        let names = recomputed
            .keys()
            .chain(published.keys().filter(|name| !recomputed.contains_key(*name)));
        for name in names.filter(|name| !self.keys.contains(&name.as_str())) {
            let before = published.get(name).unwrap_or(&Value::Null);
            let now = recomputed.get(name).unwrap_or(&Value::Null);
            self.n_numbers += u64::from(!before.is_null() || !now.is_null());
            if !is_same(before, now) {
                self.differences.push(Difference::Number {
                    key: key.clone(),
                    name: name.clone(),
                    published: before.clone(),
                    recomputed: now.clone(),
                });
            }
        }
        Ok(())
    }

    /// When every published row was compared: those that are left were not published.
    pub(super) fn finish(&mut self) -> Result<(), serde_json::Error> {
        for row in std::mem::take(&mut self.rows).into_values() {
            let key = self.key(&columns(row)?);
            self.differences.push(Difference::NotPublished { key });
        }
        Ok(())
    }

    fn key(&self, row: &Row) -> Row {
        let columns = self.keys.iter().map(|key| (*key).to_owned());
        columns
            .map(|key| {
                let value = row.get(&key).cloned().unwrap_or(Value::Null);
                (key, value)
            })
            .collect()
    }
}

fn columns(row: &impl Serialize) -> Result<Row, serde_json::Error> {
    serde_json::from_value(serde_json::to_value(row)?)
}

fn numbers(keys: &[&str], row: &Row) -> Vec<i64> {
    keys.iter()
        .map(|key| row.get(*key).and_then(Value::as_i64).unwrap_or(i64::MIN))
        .collect()
}

/// Whether two values are the same number, or the same otherwise.
fn is_same(a: &Value, b: &Value) -> bool {
    match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => is_near(a, b),
        _ => a == b,
    }
}

/// Whether two numbers are the same but for the last of their digits.
pub(super) fn is_near(a: f64, b: f64) -> bool {
    (a - b).abs() <= TOLERANCE * a.abs().max(b.abs())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[derive(Serialize)]
    struct Made {
        query_idx: i32,
        median_ms: Option<f64>,
        plan_letter: &'static str,
    }

    fn row(value: Value) -> Row {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_changed_a_missing_and_a_foreign_row_are_told_apart_by_their_keys() {
        let made = [0, 1, 2].map(|query_idx| Made {
            query_idx,
            median_ms: Some(1.5),
            plan_letter: "A",
        });
        let mut table = Table::new(&["query_idx"], &made).unwrap();
        for published in [
            json!({"query_idx": 0, "median_ms": 1.500_000_000_000_1, "plan_letter": "A"}),
            json!({"query_idx": 1, "median_ms": 1.6, "plan_letter": "B"}),
            json!({"query_idx": 7, "median_ms": 1.5, "plan_letter": "A"}),
        ] {
            table.compare(&row(published)).unwrap();
        }
        table.finish().unwrap();
        let key = |idx: i32| row(json!({"query_idx": idx}));
        assert_eq!(
            table.differences,
            [
                Difference::Number {
                    key: key(1),
                    name: "median_ms".into(),
                    published: json!(1.6),
                    recomputed: json!(1.5),
                },
                Difference::Number {
                    key: key(1),
                    name: "plan_letter".into(),
                    published: json!("B"),
                    recomputed: json!("A"),
                },
                Difference::NotRecomputed { key: key(7) },
                Difference::NotPublished { key: key(2) },
            ]
        );
        assert_eq!(table.n_numbers, 4);
    }

    #[test]
    fn a_number_that_was_taken_out_or_added_differs() {
        let made = [Made {
            query_idx: 0,
            median_ms: None,
            plan_letter: "A",
        }];
        let mut table = Table::new(&["query_idx"], &made).unwrap();
        table
            .compare(&row(json!({"query_idx": 0, "median_ms": 3, "extra": 1})))
            .unwrap();
        let names: Vec<&str> = table
            .differences
            .iter()
            .map(|difference| match difference {
                Difference::Number { name, .. } => name.as_str(),
                Difference::NotRecomputed { .. } | Difference::NotPublished { .. } => "row",
            })
            .collect();
        assert_eq!(names, ["median_ms", "plan_letter", "extra"]);
    }
}
