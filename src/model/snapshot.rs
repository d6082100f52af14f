//! Planner statistics as a value: what a snapshot holds.

use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

/// The planner statistics of a database's user relations at one moment.
///
/// Values are kept as PostgreSQL prints them, so that a snapshot can be stored, compared and applied again to the byte.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Ordered by schema, relation.
    pub relations: Vec<RelationNumbers>,
    /// Ordered by schema, relation, column number, inheritance.
    pub columns: Vec<ColumnStatistics>,
    /// Ordered by schema, name, inheritance.
    pub extended: Vec<ExtendedStatistics>,
}

impl Snapshot {
    /// The same as if these relations, by schema and name, were not there.
    #[must_use]
    pub fn without(mut self, hidden: &[(&str, &str)]) -> Self {
        let is_seen = |schema: &str, name: &str| !hidden.contains(&(schema, name));
        self.relations
            .retain(|relation| is_seen(&relation.schema, &relation.relation));
        self.columns.retain(|column| is_seen(&column.schema, &column.relation));
        self
    }
}

/// The numbers of one relation in `pg_class`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RelationNumbers {
    pub schema: String,
    pub relation: String,
    /// An index: its numbers follow its table's, and few of them matter to the planner.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_index: bool,
    pub pages: i32,
    /// `reltuples` as text: a `real` that may be `Infinity`.
    pub tuples: String,
    pub all_visible_pages: i32,
    /// Came with PostgreSQL 18.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub all_frozen_pages: Option<i32>,
}

/// One row of `pg_statistic`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ColumnStatistics {
    pub schema: String,
    pub relation: String,
    /// `attnum`: expression indexes number their columns as well.
    pub column_number: i16,
    pub column: String,
    pub inherited: bool,
    #[serde(flatten)]
    pub gathered: Gathered,
}

/// What ANALYZE gathers of a column or an expression.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Gathered {
    pub null_fraction: String,
    pub average_width: i32,
    pub n_distinct: String,
    pub slots: Vec<Slot>,
}

/// One slot of a row: a kind of statistic with its numbers and values.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Slot {
    /// 1 to 5, its place in the row.
    pub number: i16,
    /// `stakind`: 1 most common values, 2 histogram, 3 correlation, 4 elements, 5 element counts, 6 and 7 ranges.
    pub kind: i16,
    /// The operator as `schema.name(left,right)`, or `-`.
    pub operator: String,
    /// The collation's qualified name, or `-`.
    pub collation: String,
    /// `stanumbers` as text.
    pub numbers: Option<String>,
    /// `stavalues` as text.
    pub values: Option<String>,
}

/// The data row of one statistics object. Its three lists have no text that a server would read back, so they are kept
/// as bytes in hexadecimal; those of most common values hold type ids, which are the same in every clone of a dataset
/// and mean nothing elsewhere.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExtendedStatistics {
    pub schema: String,
    pub name: String,
    pub inherited: bool,
    #[serde(default)]
    pub n_distinct: Option<String>,
    #[serde(default)]
    pub dependencies: Option<String>,
    #[serde(default)]
    pub most_common_values: Option<String>,
    /// In the order of the object's expressions; none where nothing could be gathered of one.
    #[serde(default)]
    pub expressions: Vec<Option<Gathered>>,
}

/// The statistics target of one column, where it has one of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ColumnTarget {
    pub schema: String,
    pub table: String,
    pub column: String,
    pub target: i32,
}

/// A table by its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TableName {
    pub schema: String,
    pub name: String,
}

/// A statistics object that a source makes in the experiment's clone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StatisticsObject {
    pub schema: String,
    pub name: String,
    /// In the same schema.
    pub table: String,
    pub columns: Vec<String>,
    /// As CREATE STATISTICS names them.
    pub kinds: Vec<String>,
    /// Why it is there, for people.
    pub reason: String,
}

/// What is taken from one snapshot into another as a whole.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "piece", rename_all = "snake_case")]
pub enum Piece {
    /// What is known of a column: of the table alone, and with the tables that inherit from it.
    Column {
        schema: String,
        relation: String,
        /// `attnum`.
        column_number: i16,
        column: String,
    },
    /// The numbers of a relation in `pg_class`.
    Sizes { schema: String, relation: String },
    /// The data of an extended statistics object.
    Object { schema: String, name: String },
}

impl std::fmt::Display for Piece {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Column {
                schema,
                relation,
                column,
                ..
            } => write!(f, "{schema}.{relation}.{column}"),
            Self::Sizes { schema, relation } => write!(f, "size of {schema}.{relation}"),
            Self::Object { schema, name } => write!(f, "statistics object {schema}.{name}"),
        }
    }
}
