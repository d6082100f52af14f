//! Settings that a dump gives its database or its roles, as far as they decide plans or how text is read.

use crate::model::dataset::Setting;
use crate::sql::ident;

/// Settings that are taken over besides those that begin like the planner's.
const TAKEN: &[&str] = &[
    "search_path",
    "random_page_cost",
    "seq_page_cost",
    "effective_cache_size",
    "work_mem",
    "hash_mem_multiplier",
    "default_statistics_target",
    "constraint_exclusion",
    "cursor_tuple_fraction",
    "from_collapse_limit",
    "join_collapse_limit",
    "recursive_worktable_factor",
    "default_text_search_config",
    "array_nulls",
    "datestyle",
    "intervalstyle",
    "timezone",
];
const TAKEN_PREFIXES: &[&str] = &["enable_", "cpu_", "geqo", "parallel_"];

/// The session setting that `SET name TO value_sql` stands for; none when it has no place in a dataset.
pub fn taken_over(name: &str, value_sql: &str) -> Option<Setting> {
    let name = name.to_ascii_lowercase();
    let is_taken = TAKEN.contains(&name.as_str()) || TAKEN_PREFIXES.iter().any(|prefix| name.starts_with(prefix));
    if !is_taken || value_sql.trim().eq_ignore_ascii_case("default") {
        return None;
    }
    let parts = parts(value_sql);
    let value = if name == "search_path" {
        parts
            .iter()
            .map(|part| ident::quote(part))
            .collect::<Vec<_>>()
            .join(", ")
    } else {
        parts.join(", ")
    };
    Some(Setting { name, value })
}

/// The values of a list, without their quotes.
fn parts(value_sql: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut quote: Option<char> = None;
    let mut chars = value_sql.trim().chars().peekable();
    while let Some(c) = chars.next() {
        let part = parts.last_mut().expect("a list never gets empty");
        match quote {
            Some(open) if c == open => {
                if chars.peek() == Some(&open) {
                    chars.next();
                    part.push(c);
                } else {
                    quote = None;
                }
            }
            Some(_) => part.push(c),
            None => match c {
                '\'' | '"' => quote = Some(c),
                ',' => parts.push(String::new()),
                c if c.is_whitespace() => {}
                c => part.push(c),
            },
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planner_settings_and_search_paths_are_taken_over_as_values() {
        for (name, sql, value) in [
            (
                "search_path",
                "'public', 'My Schema'",
                Some("\"public\", \"My Schema\""),
            ),
            ("search_path", "\"$user\", public", Some("\"$user\", \"public\"")),
            ("Work_Mem", "'64MB'", Some("64MB")),
            ("enable_nestloop", "off", Some("off")),
            ("DateStyle", "'ISO', 'DMY'", Some("ISO, DMY")),
            ("timezone", "'O''Clock'", Some("O'Clock")),
            ("log_statement", "'all'", None),
            ("statement_timeout", "'1s'", None),
            ("work_mem", "DEFAULT", None),
        ] {
            assert_eq!(
                taken_over(name, sql).map(|setting| setting.value).as_deref(),
                value,
                "{name} {sql}"
            );
        }
    }
}
