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

/// At the largest target, 10000, ANALYZE keeps so many common values, and one bound more.
const MOST_VALUES: usize = 10_000;
const MOST_BOUNDS: usize = MOST_VALUES + 1;
/// Of elements it keeps ten times as many, and behind their frequencies the least and the largest, and that of nulls.
const MOST_ELEMENTS: usize = 10 * MOST_VALUES;
/// Counts of elements are a histogram with their average behind it.
const LEAST_COUNTS: usize = 3;
/// No value of a row is wider.
const MOST_WIDTH: i64 = 1 << 30;
/// Of distinct values and rows: what the planner itself takes for too many.
const MOST_DISTINCT: f64 = 1e12;
/// So much may the frequencies of a column sum up to beyond the whole: they are rounded, each for itself.
const ROUNDING: f64 = 0.001;

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
    numbers: Vec<String>,
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
    let common = keep.part("most_common_vals", common(given, types, room));
    let histogram = keep.part("histogram_bounds", histogram(given, types));
    let correlation = keep.part("correlation", correlation(given, types));
    let elements = keep.part("most_common_elems", elements(given, types));
    let counts = keep.part("elem_count_histogram", counts(given, types));
    let range_bounds = keep.part("range_bounds_histogram", range_bounds(given, types));
    let range_lengths = keep.part("range_length_histogram", range_lengths(given, types));
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

/// What a part of a column comes to: nothing to say, something with a remark if any, or the reason to leave it out.
type Part<T> = Result<Option<(T, Option<String>)>, String>;

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

/// Refuses what is no number.
pub(super) fn finite(text: &str) -> Result<f64, String> {
    // The server keeps these as `real`, in which a large number is infinite.
    let is_real = text.trim().parse::<f32>().is_ok_and(f32::is_finite);
    let number = text.trim().parse::<f64>().ok().filter(|_| is_real);
    number.ok_or_else(|| format!("{text:?} is not a finite number"))
}

/// The number as it is written, or the nearest that is allowed.
fn clamped(name: &str, text: &str, min: f64, max: f64, remarks: &mut Vec<String>) -> Result<String, String> {
    let (kept, is_changed) = bounded(text, min, max).map_err(|reason| format!("{name}: {reason}"))?;
    if is_changed {
        remarks.push(format!("{name} {} was taken as {kept}", text.trim()));
    }
    Ok(kept)
}

fn bounded(text: &str, min: f64, max: f64) -> Result<(String, bool), String> {
    let number = finite(text)?;
    let kept = number.clamp(min, max);
    let is_changed = kept.to_bits() != number.to_bits();
    Ok((
        if is_changed {
            kept.to_string()
        } else {
            text.trim().to_owned()
        },
        is_changed,
    ))
}

/// The elements of a list of values.
fn values(text: &str, most: usize) -> Result<Vec<String>, String> {
    let values = array::split(text).ok_or("it is no plain list")?;
    if values.len() > most {
        return Err(format!(
            "{} entries are more than the {most} that ANALYZE keeps at most",
            values.len()
        ));
    }
    if values.iter().any(|value| value.trim().eq_ignore_ascii_case("null")) {
        return Err("there is a null in it".to_owned());
    }
    Ok(values.into_iter().map(str::to_owned).collect())
}

/// The elements of a list of frequencies, each brought between 0 and 1.
fn fractions(text: &str, most: usize) -> Result<(Vec<String>, bool), String> {
    let mut any_changed = false;
    let fractions = values(text, most)?.into_iter().map(|text| {
        let (kept, is_changed) = bounded(&text, 0.0, 1.0)?;
        any_changed |= is_changed;
        Ok(kept)
    });
    let fractions = fractions.collect::<Result<Vec<String>, String>>()?;
    Ok((fractions, any_changed))
}

const OUT_OF_BOUNDS: &str = "frequencies that are no fraction of the rows were brought back between 0 and 1";

/// Common values with their frequencies, which together leave `room` for no other.
fn common(given: &FileColumn, types: &Types, room: f64) -> Part<List> {
    let (list, numbers) = match (&given.most_common_vals, &given.most_common_freqs) {
        (None, None) => return Ok(None),
        (Some(list), Some(numbers)) => (values(list, MOST_VALUES)?, fractions(numbers, MOST_VALUES)?),
        _ => return Err("values and frequencies come together only".to_owned()),
    };
    if types.operators.equal.is_none() {
        return Err("values of this type cannot be compared".to_owned());
    }
    let (mut numbers, is_changed) = numbers;
    if list.len() != numbers.len() {
        return Err(format!("{} values have {} frequencies", list.len(), numbers.len()));
    }
    if list.is_empty() {
        return Err("it is empty".to_owned());
    }
    let mut remark = is_changed.then(|| OUT_OF_BOUNDS.to_owned());
    let parsed = numbers
        .iter()
        .map(|number| finite(number))
        .collect::<Result<Vec<f64>, String>>()?;
    let sum: f64 = parsed.iter().sum();
    if sum > room + ROUNDING {
        numbers = parsed.iter().map(|number| (number * room / sum).to_string()).collect();
        remark = Some(format!(
            "the frequencies sum up to {sum:.3} and were scaled to {room:.3}"
        ));
    }
    let list = List {
        values: list,
        numbers,
        is_of_elements: false,
    };
    Ok(Some((list, remark)))
}

fn histogram(given: &FileColumn, types: &Types) -> Part<List> {
    let Some(text) = &given.histogram_bounds else {
        return Ok(None);
    };
    let values = values(text, MOST_BOUNDS)?;
    if types.operators.less.is_none() {
        return Err("values of this type cannot be sorted".to_owned());
    }
    if values.len() < 2 {
        return Err("it has less than two bounds".to_owned());
    }
    let list = List {
        values,
        ..List::default()
    };
    Ok(Some((list, None)))
}

fn correlation(given: &FileColumn, types: &Types) -> Part<String> {
    let Some(text) = &given.correlation else {
        return Ok(None);
    };
    if types.operators.less.is_none() {
        return Err("values of this type cannot be sorted".to_owned());
    }
    let (kept, is_changed) = bounded(text, -1.0, 1.0)?;
    let remark = is_changed.then(|| format!("{} was taken as {kept}", text.trim()));
    Ok(Some((kept, remark)))
}

fn elements(given: &FileColumn, types: &Types) -> Part<List> {
    let (list, numbers) = match (&given.most_common_elems, &given.most_common_elem_freqs) {
        (None, None) => return Ok(None),
        (Some(list), Some(numbers)) => (values(list, MOST_ELEMENTS)?, fractions(numbers, MOST_ELEMENTS + 3)?),
        _ => return Err("elements and frequencies come together only".to_owned()),
    };
    has_elements(types)?;
    let (numbers, is_changed) = numbers;
    // Behind the frequencies stand their least and largest, and for arrays that of null.
    let behind = if types.is_tsvector { 2 } else { 3 };
    if list.is_empty() || numbers.len() != list.len() + behind {
        return Err(format!("{} elements have {} frequencies", list.len(), numbers.len()));
    }
    let list = List {
        values: list,
        numbers,
        is_of_elements: true,
    };
    Ok(Some((list, is_changed.then(|| OUT_OF_BOUNDS.to_owned()))))
}

fn has_elements(types: &Types) -> Result<(), String> {
    let element = types.element.as_ref().ok_or("values of this type have no elements")?;
    element.equal.as_ref().ok_or("its elements cannot be compared")?;
    Ok(())
}

/// How many elements values have, as a histogram, and behind it how many on average.
fn counts(given: &FileColumn, types: &Types) -> Part<Vec<String>> {
    let Some(text) = &given.elem_count_histogram else {
        return Ok(None);
    };
    has_elements(types)?;
    let counts = values(text, MOST_BOUNDS + 1)?;
    let parsed = counts
        .iter()
        .map(|count| finite(count))
        .collect::<Result<Vec<f64>, String>>()?;
    let histogram = parsed.len().checked_sub(1).and_then(|n| parsed.get(..n)).unwrap_or(&[]);
    if types.is_tsvector
        || parsed.len() < LEAST_COUNTS
        || parsed.iter().any(|count| *count < 0.0)
        || !histogram.is_sorted()
    {
        return Err("it is no histogram of counts with their average behind it".to_owned());
    }
    Ok(Some((counts, None)))
}

fn range_bounds(given: &FileColumn, types: &Types) -> Part<Vec<String>> {
    let Some(text) = &given.range_bounds_histogram else {
        return Ok(None);
    };
    is_range(types)?;
    let bounds = values(text, MOST_BOUNDS)?;
    if bounds.len() < 2 {
        return Err("it has less than two bounds".to_owned());
    }
    if bounds
        .iter()
        .any(|bound| array::shown(bound).trim().eq_ignore_ascii_case("empty"))
    {
        return Err("there is an empty range in it".to_owned());
    }
    Ok(Some((bounds, None)))
}

/// The lengths of ranges, none where there were too few, and how many of all are empty.
fn range_lengths(given: &FileColumn, types: &Types) -> Part<(Vec<String>, String)> {
    let (lengths, empty) = match (&given.range_length_histogram, &given.range_empty_frac) {
        (None, None) => return Ok(None),
        (lengths, empty) => (lengths.as_deref().unwrap_or("{}"), empty.as_deref().unwrap_or("0")),
    };
    is_range(types)?;
    let lengths = values(lengths, MOST_BOUNDS)?;
    // A range without end is of infinite length.
    let parsed: Option<Vec<f64>> = lengths
        .iter()
        .map(|length| {
            array::shown(length)
                .trim()
                .parse()
                .ok()
                .filter(|length: &f64| *length >= 0.0)
        })
        .collect();
    if lengths.len() == 1 || !parsed.is_some_and(|lengths| lengths.is_sorted()) {
        return Err("it is no histogram of lengths".to_owned());
    }
    let (empty, is_changed) = bounded(empty, 0.0, 1.0)?;
    Ok(Some(((lengths, empty), is_changed.then(|| OUT_OF_BOUNDS.to_owned()))))
}

fn is_range(types: &Types) -> Result<(), String> {
    if types.is_range {
        Ok(())
    } else {
        Err("values of this type are no ranges".to_owned())
    }
}
