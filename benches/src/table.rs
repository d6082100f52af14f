//! The table of ratios, in Markdown, and the medians in it.

/// What was measured, in the order in which it is shown.
#[derive(Default)]
pub struct Table {
    rows: Vec<[String; 6]>,
}

impl Table {
    /// A row; `against` says beside what, `ratio` and `budget` may be empty.
    pub fn row(&mut self, what: &str, ours: &str, against: &str, ratio: &str, budget: &str, verdict: &str) {
        eprintln!("  {what}: {ours} | {against} | {ratio} | {budget} | {verdict}");
        self.rows
            .push([what, ours, against, ratio, budget, verdict].map(str::to_owned));
    }

    /// Pairs that were measured one after the other, in `unit`: medians, and the median of their ratios.
    pub fn pairs(&mut self, what: &str, peer: &str, unit: &str, pairs: &[(f64, f64)], budget: Option<f64>) {
        let ours = median(pairs.iter().map(|(ours, _)| *ours));
        let theirs = median(pairs.iter().map(|(_, theirs)| *theirs));
        let ratio = median(pairs.iter().map(|(ours, theirs)| ours / theirs));
        self.row(
            what,
            &format!("{} {unit}", number(ours)),
            &format!("{peer}: {} {unit}", number(theirs)),
            &format!("{ratio:.2}"),
            &budget.map(|most| format!("at most {most:.2}")).unwrap_or_default(),
            verdict(budget.map(|most| ratio <= most)),
        );
    }

    /// A number with a budget in its own unit.
    pub fn single(&mut self, what: &str, unit: &str, value: f64, budget: Option<f64>) {
        self.row(
            what,
            &format!("{} {unit}", number(value)),
            "",
            "",
            &budget
                .map(|most| format!("{} {unit}", number(most)))
                .unwrap_or_default(),
            verdict(budget.map(|most| value <= most)),
        );
    }

    pub fn markdown(&self) -> String {
        let mut text =
            String::from("| what | pgassay | beside it | ratio | budget | met |\n|---|---|---|---|---|---|\n");
        for row in &self.rows {
            text.extend(["| ", &row.join(" | "), " |\n"]);
        }
        text
    }
}

pub fn verdict(is_met: Option<bool>) -> &'static str {
    match is_met {
        Some(true) => "yes",
        Some(false) => "**no**",
        None => "",
    }
}

/// The middle of some numbers; the upper one of two.
pub fn median(numbers: impl IntoIterator<Item = f64>) -> f64 {
    let mut numbers: Vec<f64> = numbers.into_iter().collect();
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or(f64::NAN)
}

/// About three digits.
pub fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}
