//! A call of `pg_restore_relation_stats` and its kin, taken into a statistics file instead of being made.

use super::BadFile;
use super::FileColumn;
use super::FileRelation;
use super::StatisticsFile;
use super::Unseen;

/// The named arguments of one call, as text; none for NULL.
pub type Arguments = Vec<(String, Option<String>)>;

impl StatisticsFile {
    /// Adds what the call would have set. A function or an argument that is not known is refused by name.
    pub fn add_call(&mut self, function: &str, arguments: Arguments) -> Result<(), BadFile> {
        let mut taken = Taken { function, arguments };
        if let Some(version) = taken.whole("version")? {
            self.server_version_num = u32::try_from(version).ok();
        }
        match function {
            "pg_restore_relation_stats" => self.relations.push(relation(&mut taken)?),
            "pg_restore_attribute_stats" => self.columns.push(column(&mut taken)?),
            "pg_restore_extended_stats" => {
                self.unseen.push(object(&mut taken)?);
                return Ok(());
            }
            _ => {
                return Err(BadFile(format!(
                    "A call of {function} cannot be read: this pgassay does not know that function."
                )));
            }
        }
        taken.end()
    }
}

/// The arguments that are still to be read.
struct Taken<'a> {
    function: &'a str,
    arguments: Arguments,
}

impl Taken<'_> {
    /// Takes the first of that name; none where there is none, or it is NULL.
    fn text(&mut self, name: &str) -> Option<String> {
        let at = self.arguments.iter().position(|(other, _)| other == name)?;
        self.arguments.swap_remove(at).1
    }

    fn required(&mut self, name: &str) -> Result<String, BadFile> {
        self.text(name)
            .ok_or_else(|| BadFile(format!("A call of {} comes without its {name}.", self.function)))
    }

    fn whole(&mut self, name: &str) -> Result<Option<i64>, BadFile> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let wrong = || {
            BadFile(format!(
                "{name} {text:?} in a call of {} is no whole number.",
                self.function
            ))
        };
        text.trim().parse().map(Some).map_err(|_| wrong())
    }

    fn truth(&mut self, name: &str) -> Result<bool, BadFile> {
        let text = self.required(name)?;
        match text.trim().to_ascii_lowercase().as_str() {
            "t" | "true" | "on" | "yes" | "1" => Ok(true),
            "f" | "false" | "off" | "no" | "0" => Ok(false),
            _ => Err(BadFile(format!(
                "{name} {text:?} in a call of {} is neither true nor false.",
                self.function
            ))),
        }
    }

    fn end(self) -> Result<(), BadFile> {
        match self.arguments.first() {
            None => Ok(()),
            Some((name, _)) => Err(BadFile(format!(
                "A call of {} has {name} again, or this pgassay does not know it.",
                self.function
            ))),
        }
    }
}

fn relation(taken: &mut Taken<'_>) -> Result<FileRelation, BadFile> {
    let relation = FileRelation {
        schema: taken.required("schemaname")?,
        relation: taken.required("relname")?,
        relkind: None,
        pages: taken.whole("relpages")?.unwrap_or(0),
        tuples: taken.text("reltuples").unwrap_or_else(|| "-1".to_owned()),
        all_visible_pages: taken.whole("relallvisible")?.unwrap_or(0),
    };
    // Frozen pages are vacuum's business, not the planner's.
    taken.text("relallfrozen");
    Ok(relation)
}

fn column(taken: &mut Taken<'_>) -> Result<FileColumn, BadFile> {
    let number = taken.whole("attnum")?;
    let no_number = || BadFile(format!("A call of {} has an attnum out of range.", taken.function));
    Ok(FileColumn {
        column_number: number.map(i16::try_from).transpose().map_err(|_| no_number())?,
        schema: taken.required("schemaname")?,
        relation: taken.required("relname")?,
        column: taken.text("attname"),
        inherited: taken.truth("inherited")?,
        // What the functions take for a column of which these are not said.
        null_frac: taken.text("null_frac").unwrap_or_else(|| "0".to_owned()),
        avg_width: taken.whole("avg_width")?.unwrap_or(0),
        n_distinct: taken.text("n_distinct").unwrap_or_else(|| "0".to_owned()),
        most_common_vals: taken.text("most_common_vals"),
        most_common_freqs: taken.text("most_common_freqs"),
        histogram_bounds: taken.text("histogram_bounds"),
        correlation: taken.text("correlation"),
        most_common_elems: taken.text("most_common_elems"),
        most_common_elem_freqs: taken.text("most_common_elem_freqs"),
        elem_count_histogram: taken.text("elem_count_histogram"),
        range_length_histogram: taken.text("range_length_histogram"),
        range_empty_frac: taken.text("range_empty_frac"),
        range_bounds_histogram: taken.text("range_bounds_histogram"),
    })
}

/// Of extended statistics it is kept that there were some.
fn object(taken: &mut Taken<'_>) -> Result<Unseen, BadFile> {
    let name = taken.required("statistics_name")?;
    let schema = match taken.text("schemaname") {
        Some(schema) => schema,
        None => taken.required("statistics_schemaname")?,
    };
    Ok(Unseen {
        schema,
        relation: taken.text("relname").unwrap_or_default(),
        column: None,
        reason: format!("the statistics object {name} is not imported"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(pairs: &[(&str, &str)]) -> Arguments {
        let pair = |(name, value): &(&str, &str)| {
            let value = (*value != "NULL").then(|| (*value).to_owned());
            ((*name).to_owned(), value)
        };
        pairs.iter().map(pair).collect()
    }

    const COLUMN: [(&str, &str); 4] = [
        ("schemaname", "s"),
        ("relname", "t"),
        ("attname", "a"),
        ("inherited", "f"),
    ];

    #[test]
    fn calls_say_what_a_row_of_the_view_says() {
        let mut file = StatisticsFile::default();
        let pairs = [
            ("version", "180004"),
            ("schemaname", "s"),
            ("relname", "t"),
            ("relpages", "3"),
            ("reltuples", "500"),
            ("relallvisible", "2"),
            ("relallfrozen", "0"),
        ];
        file.add_call("pg_restore_relation_stats", arguments(&pairs)).unwrap();
        let more = [
            ("null_frac", "0.5"),
            ("avg_width", "4"),
            ("n_distinct", "-1"),
            ("correlation", "NULL"),
        ];
        let pairs: Vec<_> = COLUMN.into_iter().chain(more).collect();
        file.add_call("pg_restore_attribute_stats", arguments(&pairs)).unwrap();
        let pairs = [
            ("schemaname", "s"),
            ("relname", "i"),
            ("attnum", "2"),
            ("inherited", "false"),
        ];
        file.add_call("pg_restore_attribute_stats", arguments(&pairs)).unwrap();
        file.check().unwrap();
        assert_eq!(file.server_version_num, Some(180_004));
        assert_eq!((file.relations[0].pages, file.relations[0].tuples.as_str()), (3, "500"));
        assert_eq!(
            (
                file.columns[0].null_frac.as_str(),
                file.columns[0].correlation.as_deref()
            ),
            ("0.5", None)
        );
        assert_eq!(file.columns[1].full_name(), "s.i.column 2");
    }

    #[test]
    fn a_call_that_cannot_be_understood_is_refused_and_says_why() {
        let attribute = "pg_restore_attribute_stats";
        let with = |name: &'static str, value: &'static str| {
            arguments(
                &COLUMN
                    .into_iter()
                    .filter(|pair| pair.0 != name)
                    .chain([(name, value)])
                    .collect::<Vec<_>>(),
            )
        };
        for (function, arguments, said) in [
            (attribute, with("relname", "NULL"), "without its relname"),
            (attribute, with("inherited", "maybe"), "neither true nor false"),
            (attribute, with("avg_width", "wide"), "no whole number"),
            (attribute, with("attnum", "99999"), "out of range"),
            (
                attribute,
                with("color", "red"),
                "has color again, or this pgassay does not know it",
            ),
            (
                "pg_restore_dreams_stats",
                with("color", "red"),
                "does not know that function",
            ),
        ] {
            let error = StatisticsFile::default().add_call(function, arguments).unwrap_err().0;
            assert!(error.contains(said), "{said}: {error}");
        }
        let object = arguments(&[
            ("statistics_name", "pair"),
            ("schemaname", "s"),
            ("relname", "t"),
            ("n_distinct", "x"),
        ]);
        let mut file = StatisticsFile::default();
        file.add_call("pg_restore_extended_stats", object).unwrap();
        assert_eq!(file.unseen[0].reason, "the statistics object pair is not imported");
    }
}
