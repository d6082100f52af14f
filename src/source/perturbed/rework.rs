//! Makes a snapshot wrong: a pure function of the snapshot, the seed and the names in it.
//!
//! The server believes what stands in its catalogs, so nothing is invented that could hurt it: numbers stay finite and in
//! their ranges, frequencies sum to no more than the rows that are not null, and a histogram's bounds are picked among
//! its own, in their order.

use crate::model::chance;
use crate::model::chance::Chance;
use crate::model::experiment::SourceNote;
use crate::model::snapshot::ColumnStatistics;
use crate::model::snapshot::Gathered;
use crate::model::snapshot::RelationNumbers;
use crate::model::snapshot::Slot;
use crate::model::snapshot::Snapshot;
use crate::model::text::shorten;
use crate::model::units::grouped;
use crate::snapshot::apply::CORRELATION;
use crate::snapshot::apply::HISTOGRAM;
use crate::snapshot::apply::MOST_COMMON_VALUES;
use crate::snapshot::array;
use crate::source::perturbed::Kind;
use crate::source::perturbed::Wish;

/// What the strongest wish multiplies or divides a count by at most.
const MAX_FACTOR: f64 = 100.0;
/// More rows than any table has; the planner still computes with them.
const MAX_ROWS: f64 = 1e12;
/// A column in which every row is null has no other statistics to agree with it.
const MAX_NULL_FRACTION: f64 = 0.999;
/// Entries of a list that are shown to people, and characters of each.
const N_SHOWN: usize = 3;
const SHOWN_LEN: usize = 24;

/// The snapshot that is wished for, and what differs in it from `base`.
pub fn rework(base: &Snapshot, wish: &Wish) -> (Snapshot, Vec<SourceNote>) {
    let mut wanted = base.clone();
    let mut notes = Vec::new();
    if wish.has(Kind::RowCounts) {
        for relation in wanted.relations.iter_mut().filter(|relation| !relation.is_index) {
            notes.extend(row_count(relation, wish));
        }
    }
    let Snapshot { relations, columns, .. } = &mut wanted;
    for column in columns {
        let about = format!("{}.{}.{}", column.schema, column.relation, column.column);
        let mut reworked = ColumnWork {
            names: names(column),
            n_rows: n_rows(&base.relations, column),
            n_rows_believed: n_rows(relations, column),
            gathered: &mut column.gathered,
            wish,
            about: if column.inherited {
                format!("{about} with its children")
            } else {
                about
            },
            notes: &mut notes,
        };
        reworked.work();
    }
    (wanted, notes)
}

/// Of a column's relation, 1 at least.
fn n_rows(relations: &[RelationNumbers], column: &ColumnStatistics) -> f64 {
    let mut relations = relations.iter();
    let relation = relations.find(|relation| relation.schema == column.schema && relation.relation == column.relation);
    let n_rows = relation.and_then(|relation| number(&relation.tuples));
    n_rows.unwrap_or(0.0).max(1.0)
}

/// What a column's chance depends on.
fn names(column: &ColumnStatistics) -> Vec<String> {
    let whose = if column.inherited { "inherited" } else { "own" };
    vec![
        column.schema.clone(),
        column.relation.clone(),
        column.column.clone(),
        whose.to_owned(),
    ]
}

fn row_count(relation: &mut RelationNumbers, wish: &Wish) -> Option<SourceNote> {
    let before = relation
        .tuples
        .parse::<f64>()
        .ok()
        .filter(|n| n.is_finite() && *n > 0.0)?;
    let drawn = chance::share_of(wish.seed, &["row_counts", &relation.schema, &relation.relation]);
    let after = real((before * factor(wish, drawn)).clamp(1.0, MAX_ROWS).round());
    relation.tuples = after.to_string();
    changed(
        &format!("{}.{}", relation.schema, relation.relation),
        "row count",
        count(before),
        count(after.into()),
    )
}

/// Between one over the largest factor of the wish and that factor; one where `drawn` is a half.
fn factor(wish: &Wish, drawn: f64) -> f64 {
    MAX_FACTOR.powf(wish.strength * (2.0 * drawn - 1.0))
}

/// What the server keeps such numbers as.
#[expect(clippy::cast_possible_truncation, reason = "in range: callers clamp")]
fn real(number: f64) -> f32 {
    number as f32
}

/// One column under work.
struct ColumnWork<'a> {
    names: Vec<String>,
    gathered: &'a mut Gathered,
    /// Of its relation, 1 at least.
    n_rows: f64,
    /// The same as it was made wrong.
    n_rows_believed: f64,
    wish: &'a Wish,
    about: String,
    notes: &'a mut Vec<SourceNote>,
}

impl ColumnWork<'_> {
    fn work(&mut self) {
        // In this order: each must find the frequencies in agreement with the null fraction.
        for kind in [
            Kind::NullFraction,
            Kind::NDistinct,
            Kind::McvDrop,
            Kind::McvShuffle,
            Kind::HistogramDrop,
            Kind::HistogramDistort,
            Kind::Correlation,
        ] {
            if !self.wish.has(kind) {
                continue;
            }
            match kind {
                Kind::NullFraction => self.null_fraction(),
                Kind::NDistinct => self.n_distinct(),
                Kind::McvDrop => self.mcv_drop(),
                Kind::McvShuffle => self.mcv_shuffle(),
                Kind::HistogramDrop => self.histogram_drop(),
                Kind::HistogramDistort => self.histogram_distort(),
                Kind::Correlation => self.correlation(),
                Kind::RowCounts => {}
            }
        }
    }

    fn parts<'a>(&'a self, tag: &'a str) -> Vec<&'a str> {
        std::iter::once(tag)
            .chain(self.names.iter().map(String::as_str))
            .collect()
    }

    fn share(&self, tag: &str) -> f64 {
        chance::share_of(self.wish.seed, &self.parts(tag))
    }

    fn chance(&self, tag: &str) -> Chance {
        Chance::of_names(self.wish.seed, &self.parts(tag))
    }

    fn note(&mut self, what: &str, before: String, after: String) {
        self.notes.extend(changed(&self.about, what, before, after));
    }

    fn slot(&self, kind: i16) -> Option<usize> {
        self.gathered.slots.iter().position(|slot| slot.kind == kind)
    }

    fn null_fraction(&mut self) {
        let Some(before) = number(&self.gathered.null_fraction).filter(|n| (0.0..=1.0).contains(n)) else {
            return;
        };
        let strength = self.wish.strength;
        let drawn = self.share("null_fraction");
        let after = real(((1.0 - strength) * before + strength * drawn).clamp(0.0, MAX_NULL_FRACTION));
        self.gathered.null_fraction = after.to_string();
        self.note("share of nulls", percent(before), percent(after.into()));
        let Some(mut list) = self.most_common() else { return };
        // What is not null keeps its proportions.
        let room = 1.0 - f64::from(after);
        let scale = if before < 1.0 { room / (1.0 - before) } else { 0.0 };
        for entry in &mut list {
            entry.1 *= scale;
        }
        let sum: f64 = list.iter().map(|entry| entry.1).sum();
        if sum > room {
            for entry in &mut list {
                entry.1 *= room / sum;
            }
        }
        self.set_most_common(&list);
    }

    fn n_distinct(&mut self) {
        let Some(stored) = number(&self.gathered.n_distinct).filter(|n| *n != 0.0 && *n >= -1.0) else {
            return;
        };
        // Below zero it is a share of the rows.
        let before = if stored < 0.0 { -stored * self.n_rows } else { stored };
        let most = if stored < 0.0 {
            self.n_rows_believed
        } else {
            self.n_rows.max(before)
        };
        let after = (before * factor(self.wish, self.share("n_distinct"))).clamp(1.0, most);
        // The server multiplies a share by the rows that it believes in.
        let kept = if stored < 0.0 {
            real((-after / self.n_rows_believed).clamp(-1.0, 0.0))
        } else {
            real(after.round())
        };
        self.gathered.n_distinct = kept.to_string();
        self.note("distinct values", count(before), count(after));
    }

    /// The most common values as they are written, with their frequencies; none where there are none to be read.
    fn most_common(&self) -> Option<Vec<(String, f64)>> {
        let slot = self.gathered.slots.get(self.slot(MOST_COMMON_VALUES)?)?;
        let values = array::split(slot.values.as_deref()?)?;
        let numbers = array::split(slot.numbers.as_deref()?)?;
        let frequencies: Option<Vec<f64>> = numbers.into_iter().map(number).collect();
        let frequencies = frequencies.filter(|numbers| numbers.len() == values.len())?;
        let values = values.into_iter().map(str::to_owned);
        Some(values.zip(frequencies).collect())
    }

    /// As the server keeps such a list: the most frequent first, and no list where it would be empty.
    fn set_most_common(&mut self, list: &[(String, f64)]) {
        let Some(idx) = self.slot(MOST_COMMON_VALUES) else {
            return;
        };
        let mut list: Vec<(&str, f32)> = list
            .iter()
            .map(|(value, share)| (value.as_str(), real(*share)))
            .collect();
        list.retain(|(_, share)| *share > 0.0);
        list.sort_by(|a, b| b.1.total_cmp(&a.1));
        if list.is_empty() {
            self.gathered.slots.remove(idx);
            return;
        }
        let numbers: Vec<String> = list.iter().map(|(_, share)| share.to_string()).collect();
        let values: Vec<&str> = list.iter().map(|(value, _)| *value).collect();
        let slot = &mut self.gathered.slots[idx];
        slot.numbers = Some(array::join(&numbers));
        slot.values = Some(array::join(&values));
    }

    fn mcv_drop(&mut self) {
        let Some(list) = self.most_common() else { return };
        let mut chance = self.chance("mcv_drop");
        let strength = self.wish.strength;
        let kept: Vec<(String, f64)> = list.iter().filter(|_| chance.share() >= strength).cloned().collect();
        if kept.len() == list.len() {
            return;
        }
        self.set_most_common(&kept);
        self.note("most common values", common(&list), common(&kept));
    }

    fn mcv_shuffle(&mut self) {
        let Some(before) = self.most_common() else { return };
        let mut chance = self.chance("mcv_shuffle");
        let strength = self.wish.strength;
        let hit: Vec<usize> = (0..before.len()).filter(|_| chance.share() < strength).collect();
        let mut after = before.clone();
        // Fisher and Yates as Durstenfeld has it (CACM 7, 1964).
        for last in (1..hit.len()).rev() {
            let other = chance.below_by_product(last + 1);
            let (a, b) = (hit[last], hit[other]);
            let (share_a, share_b) = (after[a].1, after[b].1);
            (after[a].1, after[b].1) = (share_b, share_a);
        }
        if after == before {
            return;
        }
        self.set_most_common(&after);
        let shown = self.most_common().unwrap_or_default();
        self.note("most common values", common(&before), common(&shown));
    }

    fn histogram_drop(&mut self) {
        let Some(idx) = self.slot(HISTOGRAM) else { return };
        if self.share("histogram_drop") >= self.wish.strength {
            return;
        }
        let slot = self.gathered.slots.remove(idx);
        self.note("histogram", bounds(&slot), "none".to_owned());
    }

    fn histogram_distort(&mut self) {
        let Some(idx) = self.slot(HISTOGRAM) else { return };
        let slot = self.gathered.slots[idx].clone();
        let Some(values) = slot.values.as_deref().and_then(array::split) else {
            return;
        };
        let mut chance = self.chance("histogram_distort");
        let mut picked: Vec<usize> = (0..values.len())
            .map(|at| {
                let other = chance.below_by_product(values.len());
                if chance.share() < self.wish.strength { other } else { at }
            })
            .collect();
        picked.sort_unstable();
        let is_as_before = picked.iter().enumerate().all(|(at, from)| at == *from);
        // A histogram lies between two bounds.
        if is_as_before || picked.first() == picked.last() {
            return;
        }
        let values: Vec<&str> = picked.iter().map(|from| values[*from]).collect();
        self.gathered.slots[idx].values = Some(array::join(&values));
        let (before, after) = (bounds(&slot), bounds(&self.gathered.slots[idx]));
        self.note("histogram", before, after);
    }

    fn correlation(&mut self) {
        let Some(idx) = self.slot(CORRELATION) else { return };
        let numbers = self.gathered.slots[idx].numbers.as_deref().and_then(array::split);
        let Some(before) = numbers.and_then(|numbers| number(numbers.first()?)) else {
            return;
        };
        let strength = self.wish.strength;
        let drawn = 2.0 * self.share("correlation") - 1.0;
        let after = real(((1.0 - strength) * before + strength * drawn).clamp(-1.0, 1.0));
        self.gathered.slots[idx].numbers = Some(array::join(&[after.to_string()]));
        self.note("correlation", format!("{before:.2}"), format!("{after:.2}"));
    }
}

fn number(text: &str) -> Option<f64> {
    text.parse::<f64>().ok().filter(|n| n.is_finite())
}

fn changed(about: &str, what: &str, before: String, after: String) -> Option<SourceNote> {
    (before != after).then(|| SourceNote {
        about: about.to_owned(),
        what: what.to_owned(),
        change: Some((before, after)),
    })
}

fn count(n: f64) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "counts up to a million million"
    )]
    grouped(n.round() as u64)
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

fn common(list: &[(String, f64)]) -> String {
    let shown: Vec<String> = list
        .iter()
        .take(N_SHOWN)
        .map(|(value, share)| format!("{} {}", shorten(&array::shown(value), SHOWN_LEN), percent(*share)))
        .collect();
    match list.len() {
        0 => "none".to_owned(),
        n if n > N_SHOWN => format!("{} and {} more", shown.join(", "), n - N_SHOWN),
        _ => shown.join(", "),
    }
}

fn bounds(slot: &Slot) -> String {
    let values = slot.values.as_deref().and_then(array::split).unwrap_or_default();
    let mut different = values.clone();
    different.dedup();
    let ends = match (values.first(), values.last()) {
        (Some(first), Some(last)) => {
            let shown = |value: &str| shorten(&array::shown(value), SHOWN_LEN);
            format!(" from {} to {}", shown(first), shown(last))
        }
        _ => String::new(),
    };
    if different.len() == values.len() {
        format!("{} bounds{ends}", values.len())
    } else {
        format!("{} bounds, {} different,{ends}", values.len(), different.len())
    }
}
