//! Statistics files: planner statistics that came out of another server, as text in the words of `pg_stats`.
//!
//! A value of this type is well-formed and says nothing about any dataset: what of it fits is found out when it is used.

mod call;
mod read;

use std::collections::HashSet;

use chrono::DateTime;
use chrono::Utc;
use serde::Deserialize;
use serde::Serialize;

use crate::model::ids::StatisticsFileId;
use crate::model::text::shorten;

/// What a statistics file says. As JSON it is the file format that the page on exporting describes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatisticsFile {
    /// Tells the format and its version.
    pub pgassay_statistics: Version,
    /// Of the server that they come from: 160004.
    #[serde(default)]
    pub server_version_num: Option<u32>,
    #[serde(default)]
    pub exported_at: Option<DateTime<Utc>>,
    pub relations: Vec<FileRelation>,
    pub columns: Vec<FileColumn>,
    /// What the exporting role could not see, or the format cannot say.
    #[serde(default)]
    pub unseen: Vec<Unseen>,
}

/// The only version there is: 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Version;

/// The numbers of one relation in `pg_class`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileRelation {
    #[serde(rename = "schemaname")]
    pub schema: String,
    #[serde(rename = "relname")]
    pub relation: String,
    /// `relkind`, where the file says it: it is for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relkind: Option<String>,
    #[serde(rename = "relpages")]
    pub pages: i64,
    #[serde(rename = "reltuples", deserialize_with = "read::number")]
    pub tuples: String,
    #[serde(rename = "relallvisible")]
    pub all_visible_pages: i64,
}

/// One row of `pg_stats`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileColumn {
    #[serde(rename = "schemaname")]
    pub schema: String,
    #[serde(rename = "tablename")]
    pub relation: String,
    /// None for the column of an index that goes by its number.
    #[serde(rename = "attname", default, skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    #[serde(rename = "attnum", default, skip_serializing_if = "Option::is_none")]
    pub column_number: Option<i16>,
    pub inherited: bool,
    #[serde(deserialize_with = "read::number")]
    pub null_frac: String,
    pub avg_width: i64,
    #[serde(deserialize_with = "read::number")]
    pub n_distinct: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub most_common_vals: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub most_common_freqs: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub histogram_bounds: Option<String>,
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "read::number_if_any"
    )]
    pub correlation: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub most_common_elems: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub most_common_elem_freqs: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elem_count_histogram: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range_length_histogram: Option<String>,
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "read::number_if_any"
    )]
    pub range_empty_frac: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range_bounds_histogram: Option<String>,
}

/// Statistics that the file knows it does not have.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unseen {
    #[serde(rename = "schemaname")]
    pub schema: String,
    #[serde(rename = "relname")]
    pub relation: String,
    /// None for something of the whole table.
    #[serde(rename = "attname", default)]
    pub column: Option<String>,
    pub reason: String,
}

/// In which form a statistics file came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileFormat {
    Json,
    /// Calls as `pg_dump --statistics-only` writes them, from 18 on.
    PgDump,
    /// The same calls, in the dump of the dataset itself.
    InDump,
}

impl FileFormat {
    const ALL: [Self; 3] = [Self::Json, Self::PgDump, Self::InDump];

    /// The word kept in the store and shown to people.
    pub fn word(self) -> &'static str {
        match self {
            Self::Json => "JSON of pgassay",
            Self::PgDump => "pg_dump --statistics-only",
            Self::InDump => "in the dump itself",
        }
    }

    /// The format of a stored word.
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.word() == word)
    }
}

/// A statistics file that was read and is to be kept for a dataset.
#[derive(Clone, Debug)]
pub struct NewStatisticsFile {
    pub request_id: String,
    pub name: String,
    pub format: FileFormat,
    pub size_bytes: u64,
    pub sha256: String,
    pub contents: StatisticsFile,
}

/// A kept statistics file without its contents.
#[derive(Clone, Debug)]
pub struct StatisticsFileInfo {
    pub id: StatisticsFileId,
    /// Unique in its dataset; experiments name the file by it.
    pub name: String,
    pub format: FileFormat,
    pub size_bytes: u64,
    pub sha256: String,
    pub created_at: DateTime<Utc>,
    pub server_version_num: Option<u32>,
    pub exported_at: Option<DateTime<Utc>>,
    pub n_relations: u64,
    /// Rows of `pg_stats`.
    pub n_columns: u64,
}

/// Why a file is not one of planner statistics, for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadFile(pub String);

impl StatisticsFile {
    /// Reads JSON.
    pub fn from_json(bytes: &[u8]) -> Result<Self, BadFile> {
        let file: Self = serde_json::from_slice(bytes).map_err(|error| {
            BadFile(match error.classify() {
                serde_json::error::Category::Eof => {
                    format!("The file ends in the middle of its JSON, in line {}.", error.line())
                }
                serde_json::error::Category::Syntax => format!("The file is no JSON: {error}."),
                _ => format!("The JSON is not a statistics file of pgassay: {error}."),
            })
        })?;
        file.check()?;
        Ok(file)
    }

    /// Refuses what says nothing, or says it twice.
    pub fn check(&self) -> Result<(), BadFile> {
        if self.relations.is_empty() && self.columns.is_empty() {
            return Err(BadFile("The file holds no planner statistics.".to_owned()));
        }
        if let Some(text) = self.texts().find(|text| text.contains('\0')) {
            let shown = shorten(&text.replace('\0', "\\0"), 60);
            return Err(BadFile(format!(
                "The file has a zero byte in {shown:?}, which no text of PostgreSQL has."
            )));
        }
        let mut relations = HashSet::new();
        for relation in &self.relations {
            if !relations.insert((&relation.schema, &relation.relation)) {
                return Err(twice(&format!("{}.{}", relation.schema, relation.relation)));
            }
        }
        let mut columns = HashSet::new();
        for column in &self.columns {
            if column.column.is_none() && column.column_number.is_none() {
                let table = format!("{}.{}", column.schema, column.relation);
                return Err(BadFile(format!(
                    "An entry of {table} does not say which column it is of."
                )));
            }
            let key = (
                &column.schema,
                &column.relation,
                &column.column,
                column.column_number,
                column.inherited,
            );
            if !columns.insert(key) {
                return Err(twice(&column.full_name()));
            }
        }
        Ok(())
    }

    fn texts(&self) -> impl Iterator<Item = &str> {
        let of_relations = self
            .relations
            .iter()
            .flat_map(|relation| [&relation.schema, &relation.relation]);
        let of_columns = self.columns.iter().flat_map(FileColumn::texts);
        let of_unseen = self.unseen.iter().flat_map(|unseen| {
            let always = [&unseen.schema, &unseen.relation, &unseen.reason];
            always.into_iter().chain(&unseen.column)
        });
        of_relations.chain(of_columns).chain(of_unseen).map(String::as_str)
    }

    /// Keeps what is of these schemas.
    pub fn retain_schemas(&mut self, schemas: &[String]) {
        self.relations.retain(|relation| schemas.contains(&relation.schema));
        self.columns.retain(|column| schemas.contains(&column.schema));
        self.unseen.retain(|unseen| schemas.contains(&unseen.schema));
    }
}

fn twice(name: &str) -> BadFile {
    BadFile(format!("The file has {name} twice."))
}

impl Unseen {
    /// With its schema and relation, as people read it.
    pub fn full_name(&self) -> String {
        let column = self.column.as_ref().map(|column| format!(".{column}"));
        format!("{}.{}{}", self.schema, self.relation, column.unwrap_or_default())
    }
}

impl FileRelation {
    /// With its schema.
    pub fn full_name(&self) -> String {
        format!("{}.{}", self.schema, self.relation)
    }
}

impl FileColumn {
    /// With its schema and relation, as people read it.
    pub fn full_name(&self) -> String {
        let column = match (&self.column, self.column_number) {
            (Some(name), _) => name.clone(),
            (None, number) => format!("column {}", number.unwrap_or_default()),
        };
        format!("{}.{}.{column}", self.schema, self.relation)
    }

    fn texts(&self) -> impl Iterator<Item = &String> {
        let optional = [
            &self.column,
            &self.most_common_vals,
            &self.most_common_freqs,
            &self.histogram_bounds,
            &self.correlation,
            &self.most_common_elems,
            &self.most_common_elem_freqs,
            &self.elem_count_histogram,
            &self.range_length_histogram,
            &self.range_empty_frac,
            &self.range_bounds_histogram,
        ];
        let always = [&self.schema, &self.relation, &self.null_frac, &self.n_distinct];
        always.into_iter().chain(optional.into_iter().flatten())
    }
}

/// `16.4` for 160004.
pub fn version_in_words(server_version_num: u32) -> String {
    format!("{}.{}", server_version_num / 10_000, server_version_num % 10_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"pgassay_statistics": 1, "server_version_num": 150020, "exported_at": "2026-11-21T12:00:00+00:00",
        "relations": [{"schemaname": "public", "relname": "t", "relkind": "r", "relpages": 3, "reltuples": 1e+06,
                       "relallvisible": 2}],
        "columns": [{"schemaname": "public", "tablename": "t", "attname": "a", "inherited": false, "null_frac": 0.25,
                     "avg_width": 4, "n_distinct": "-1", "most_common_vals": "{1}", "most_common_freqs": "{0.5}",
                     "correlation": -1e-05}],
        "unseen": [{"schemaname": "public", "relname": "u", "attname": null, "reason": "row level security"}]}"#;

    #[test]
    fn a_file_is_read_with_its_numbers_as_text_and_reads_back_as_it_was() {
        let file = StatisticsFile::from_json(GOOD.as_bytes()).unwrap();
        assert_eq!(file.relations[0].tuples, "1000000");
        let column = &file.columns[0];
        assert_eq!(
            (
                column.null_frac.as_str(),
                column.n_distinct.as_str(),
                column.correlation.as_deref()
            ),
            ("0.25", "-1", Some("-0.00001"))
        );
        let again = serde_json::to_vec(&file).unwrap();
        assert_eq!(StatisticsFile::from_json(&again).unwrap(), file);
        assert_eq!(version_in_words(file.server_version_num.unwrap()), "15.20");
    }

    #[test]
    fn what_is_no_statistics_file_is_refused_in_words() {
        let changed = |from: &str, to: &str| GOOD.replacen(from, to, 1);
        for (text, said) in [
            ("{".to_owned(), "ends in the middle"),
            (GOOD[..GOOD.len() - 40].to_owned(), "ends in the middle"),
            ("{]".to_owned(), "no JSON"),
            ("{}".to_owned(), "missing field `pgassay_statistics`"),
            (changed(": 1,", ": 2,"), "version 2"),
            (changed(": 1,", ": \"one\","), "version"),
            (changed("\"relkind\"", "\"color\""), "unknown field `color`"),
            (changed("0.25", "[1]"), "a number"),
            (changed("\"avg_width\": 4", "\"avg_width\": \"wide\""), "\"wide\""),
            (changed("\"{1}\"", "\"{1\\u0000}\""), "a zero byte"),
            (changed("\"attname\": \"a\",", ""), "which column"),
            (
                "{\"pgassay_statistics\":1,\"relations\":[],\"columns\":[]}".to_owned(),
                "holds no planner statistics",
            ),
        ] {
            let error = StatisticsFile::from_json(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(said), "{said}: {error}");
        }
        let mut twice = StatisticsFile::from_json(GOOD.as_bytes()).unwrap();
        twice.columns.push(twice.columns[0].clone());
        assert_eq!(twice.check().unwrap_err().0, "The file has public.t.a twice.");
    }
}
