use super::*;
use crate::snapshot::import::catalog::Operators;

fn operators(name: &str) -> Operators {
    Operators {
        equal: Some(format!("=({name},{name})")),
        less: Some(format!("<({name},{name})")),
        ..Operators::default()
    }
}

fn plain() -> Types {
    Types {
        collation: "\"default\"".to_owned(),
        operators: operators("text"),
        element: None,
        is_tsvector: false,
        is_range: false,
    }
}

fn array() -> Types {
    Types {
        operators: operators("anyarray"),
        element: Some(operators("text")),
        ..plain()
    }
}

fn range() -> Types {
    Types {
        is_range: true,
        operators: operators("anyrange"),
        ..plain()
    }
}

fn column() -> FileColumn {
    FileColumn {
        null_frac: "0.25".to_owned(),
        avg_width: 4,
        n_distinct: "-0.5".to_owned(),
        ..FileColumn::default()
    }
}

fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn kinds(given: &FileColumn, types: &Types) -> (Vec<i16>, Vec<String>) {
    let shaped = shape(given, types).unwrap();
    let (gathered, remarks) = shaped.gathered(types);
    let numbers: Vec<i16> = gathered.slots.iter().map(|slot| slot.number).collect();
    assert!(numbers.iter().copied().eq(1..).not_longer_than_a_row(), "{numbers:?}");
    (gathered.slots.iter().map(|slot| slot.kind).collect(), remarks)
}

trait NotLonger {
    fn not_longer_than_a_row(self) -> bool;
}

impl NotLonger for bool {
    fn not_longer_than_a_row(self) -> bool {
        self
    }
}
