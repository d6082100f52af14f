//! Tables that are of another size than where their statistics come from.

use crate::model::units::grouped;

/// Page counts that differ by more than this factor are pointed out.
const MOST_FACTOR: f64 = 2.0;
/// Tables as small as this are read whole whatever the planner believes.
const FEW_PAGES: i64 = 10;

/// A table whose pages are more than twice or less than half as many here as there.
#[derive(Clone, Debug, PartialEq)]
pub struct SizeDifference {
    pub table: String,
    pub exported_pages: i64,
    pub real_pages: i64,
}

impl SizeDifference {
    /// None where the sizes are about the same, or both small.
    #[expect(clippy::cast_precision_loss, reason = "two digits of a factor decide")]
    pub fn of(table: &str, exported_pages: i64, real_pages: i64) -> Option<Self> {
        let (small, large) = (exported_pages.min(real_pages), exported_pages.max(real_pages));
        let differs = large >= FEW_PAGES && large as f64 > small.max(0) as f64 * MOST_FACTOR;
        differs.then(|| Self {
            table: table.to_owned(),
            exported_pages,
            real_pages,
        })
    }

    /// `4.0 times smaller here`
    #[expect(clippy::cast_precision_loss, reason = "shown with two digits")]
    pub fn in_words(&self) -> String {
        let (there, here) = (self.exported_pages as f64, self.real_pages as f64);
        match (self.exported_pages, self.real_pages) {
            (_, ..=0) => "empty here".to_owned(),
            (..=0, _) => "empty there".to_owned(),
            (exported, real) if real < exported => format!("{:.1} times smaller here", there / here),
            _ => format!("{:.1} times larger here", here / there),
        }
    }

    /// Pages there and here, for people.
    pub fn pages(&self) -> (String, String) {
        let shown = |n: i64| grouped(u64::try_from(n).unwrap_or(0));
        (shown(self.exported_pages), shown(self.real_pages))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_of_another_size_is_pointed_out_unless_both_are_small() {
        for (exported, real, words) in [
            (100, 201, Some("2.0 times larger here")),
            (1000, 100, Some("10.0 times smaller here")),
            (100, 200, None),
            (200, 100, None),
            (1, 9, None),
            (100, 0, Some("empty here")),
            (0, 100, Some("empty there")),
        ] {
            let found = SizeDifference::of("t", exported, real);
            let found = found.map(|found| found.in_words());
            assert_eq!(found.as_deref(), words, "{exported} {real}");
        }
    }
}
