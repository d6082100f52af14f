//! Brings what a file says of one column into the shape of a row of `pg_statistic`, checked and within bounds.
//!
//! The server believes these rows: it reads a frequency for every common value and finds its way in lists that it takes for
//! sorted. A list that is not as ANALYZE makes it is therefore left out, and a number out of its range is brought back to it.

use crate::model::snapshot::Gathered;
use crate::model::snapshot::Slot;
use crate::model::statistics_file::FileColumn;
use crate::snapshot::apply;
use crate::snapshot::array;
use crate::snapshot::import::catalog::Types;
use crate::snapshot::import::parts;
use crate::snapshot::import::parts::Part;
use crate::snapshot::import::parts::bounded;
use crate::snapshot::import::parts::finite;

/// No value of a row is wider.
const MOST_WIDTH: i64 = 1 << 30;
/// Of distinct values and rows: what the planner itself takes for too many.
const MOST_DISTINCT: f64 = 1e12;

/// The operator of the histogram of range lengths, which are `float8` whatever the range.
const LESS_FLOAT8: &str = "<(double precision,double precision)";
const NONE: &str = "-";

/// A column in hand: lists as their elements, to be put into order before they become text again.
#[derive(Debug)]
pub(super) struct Shaped {
    null_fraction: String,
    average_width: i32,
    n_distinct: String,
    common: Option<List>,
    histogram: Option<List>,
    correlation: Option<String>,
    elements: Option<List>,
    counts: Option<Vec<String>>,
    range_bounds: Option<Vec<String>>,
    range_lengths: Option<(Vec<String>, String)>,
    /// What was changed or left out.
    pub remarks: Vec<String>,
}

/// Values as the elements of an array are written, and the numbers that go with them.
#[derive(Debug, Default)]
pub(super) struct List {
    pub values: Vec<String>,
    /// One for each value first; more of them behind.
    pub numbers: Vec<String>,
    /// Whether these are elements of the column's values.
    pub is_of_elements: bool,
}

impl List {
    /// The value at the first of `places` comes first, and so on; numbers go with their values.
    pub fn rearrange(&mut self, places: &[usize]) {
        self.values = places
            .iter()
            .filter_map(|place| self.values.get(*place).cloned())
            .collect();
        let of_values = places.iter().filter_map(|place| self.numbers.get(*place).cloned());
        let behind = self.numbers.iter().skip(places.len()).cloned();
        self.numbers = of_values.chain(behind).collect();
    }
}

/// Checks what the file says of a column of such types. The error is the reason why nothing of it can be used.
pub(super) fn shape(given: &FileColumn, types: &Types) -> Result<Shaped, String> {
    let mut remarks = Vec::new();
    let null_fraction = clamped("null_frac", &given.null_frac, 0.0, 1.0, &mut remarks)?;
    let n_distinct = clamped("n_distinct", &given.n_distinct, -1.0, MOST_DISTINCT, &mut remarks)?;
    let average_width = given.avg_width.clamp(0, MOST_WIDTH);
    if average_width != given.avg_width {
        remarks.push(format!("avg_width {} was taken as {average_width}", given.avg_width));
    }
    let room = 1.0 - finite(&null_fraction)?;
    let mut keep = Keep { remarks };
    let common = keep.part("most_common_vals", parts::common(given, types, room));
    let histogram = keep.part("histogram_bounds", parts::histogram(given, types));
    let correlation = keep.part("correlation", parts::correlation(given, types));
    let elements = keep.part("most_common_elems", parts::elements(given, types));
    let counts = keep.part("elem_count_histogram", parts::counts(given, types));
    let range_bounds = keep.part("range_bounds_histogram", parts::range_bounds(given, types));
    let range_lengths = keep.part("range_length_histogram", parts::range_lengths(given, types));
    Ok(Shaped {
        null_fraction,
        average_width: i32::try_from(average_width).unwrap_or(i32::MAX),
        n_distinct,
        common,
        histogram,
        correlation,
        elements,
        counts,
        range_bounds,
        range_lengths,
        remarks: keep.remarks,
    })
}

impl Shaped {
    /// The lists that the planner takes for sorted by their values.
    pub fn ordered_lists(&mut self) -> impl Iterator<Item = &mut List> {
        self.histogram.iter_mut().chain(&mut self.elements)
    }

    /// The row, its slots in the order in which ANALYZE fills them, and what is remarkable about it.
    pub fn gathered(self, types: &Types) -> (Gathered, Vec<String>) {
        let mut slots = Vec::new();
        let mut add = |kind: i16, operator: Option<&String>, collation: &str, numbers, values| {
            slots.push(Slot {
                // A row has five slots, and no type has more kinds than that.
                number: i16::try_from(slots.len() + 1).unwrap_or(i16::MAX),
                kind,
                operator: operator.map_or(NONE, String::as_str).to_owned(),
                collation: collation.to_owned(),
                numbers,
                values,
            });
        };
        let (equal, less) = (types.operators.equal.as_ref(), types.operators.less.as_ref());
        let equal_elements = types.element.as_ref().and_then(|element| element.equal.as_ref());
        let collation = types.collation.as_str();
        let joined = |list: &[String]| Some(array::join(list));
        if let Some(list) = self.common {
            add(
                apply::MOST_COMMON_VALUES,
                equal,
                collation,
                joined(&list.numbers),
                joined(&list.values),
            );
        }
        if let Some(list) = self.histogram {
            add(apply::HISTOGRAM, less, collation, None, joined(&list.values));
        }
        if let Some(correlation) = self.correlation {
            add(apply::CORRELATION, less, collation, joined(&[correlation]), None);
        }
        if let Some(list) = self.elements {
            add(
                apply::ELEMENTS,
                equal_elements,
                collation,
                joined(&list.numbers),
                joined(&list.values),
            );
        }
        if let Some(bounds) = self.range_bounds {
            add(apply::RANGE_BOUNDS, None, NONE, None, joined(&bounds));
        }
        if let Some((lengths, empty)) = self.range_lengths {
            let less = LESS_FLOAT8.to_owned();
            add(
                apply::RANGE_LENGTHS,
                Some(&less),
                NONE,
                joined(&[empty]),
                joined(&lengths),
            );
        }
        if let Some(counts) = self.counts {
            add(apply::ELEMENT_COUNTS, equal_elements, collation, joined(&counts), None);
        }
        let gathered = Gathered {
            null_fraction: self.null_fraction,
            average_width: self.average_width,
            n_distinct: self.n_distinct,
            slots,
        };
        (gathered, self.remarks)
    }
}

struct Keep {
    remarks: Vec<String>,
}

impl Keep {
    fn part<T>(&mut self, name: &str, part: Part<T>) -> Option<T> {
        match part {
            Ok(None) => None,
            Ok(Some((part, remark))) => {
                self.remarks.extend(remark.map(|remark| format!("{name}: {remark}")));
                Some(part)
            }
            Err(reason) => {
                self.remarks.push(format!("{name} was left out: {reason}"));
                None
            }
        }
    }
}

/// The number as it is written, or the nearest that is allowed.
fn clamped(name: &str, text: &str, min: f64, max: f64, remarks: &mut Vec<String>) -> Result<String, String> {
    let (kept, is_changed) = bounded(text, min, max).map_err(|reason| format!("{name}: {reason}"))?;
    if is_changed {
        remarks.push(format!("{name} {} was taken as {kept}", text.trim()));
    }
    Ok(kept)
}
