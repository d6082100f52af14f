//! The lists and numbers that a file may say of a column, each by itself: read, checked, and brought within its bounds.

use crate::model::statistics_file::FileColumn;
use crate::snapshot::array;
use crate::snapshot::import::catalog::Types;
use crate::snapshot::import::shape::List;

/// At the largest target, 10000, ANALYZE keeps so many common values, and one bound more.
const MOST_VALUES: usize = 10_000;
const MOST_BOUNDS: usize = MOST_VALUES + 1;
/// Of elements it keeps ten times as many, and behind their frequencies the least and the largest, and that of nulls.
const MOST_ELEMENTS: usize = 10 * MOST_VALUES;
/// Counts of elements are a histogram with their average behind it.
const LEAST_COUNTS: usize = 3;
/// So much may the frequencies of a column sum up to beyond the whole: they are rounded, each for itself.
const ROUNDING: f64 = 0.001;

/// What a part of a column comes to: nothing to say, something with a remark if any, or the reason to leave it out.
pub(super) type Part<T> = Result<Option<(T, Option<String>)>, String>;

const OUT_OF_BOUNDS: &str = "frequencies that are no fraction of the rows were brought back between 0 and 1";

/// Common values with their frequencies, which together leave `room` for no other.
pub(super) fn common(given: &FileColumn, types: &Types, room: f64) -> Part<List> {
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

pub(super) fn histogram(given: &FileColumn, types: &Types) -> Part<List> {
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

pub(super) fn correlation(given: &FileColumn, types: &Types) -> Part<String> {
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

pub(super) fn elements(given: &FileColumn, types: &Types) -> Part<List> {
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
pub(super) fn counts(given: &FileColumn, types: &Types) -> Part<Vec<String>> {
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

pub(super) fn range_bounds(given: &FileColumn, types: &Types) -> Part<Vec<String>> {
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
pub(super) fn range_lengths(given: &FileColumn, types: &Types) -> Part<(Vec<String>, String)> {
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

/// Refuses what is no number.
pub(super) fn finite(text: &str) -> Result<f64, String> {
    // The server keeps these as `real`, in which a large number is infinite.
    let is_real = text.trim().parse::<f32>().is_ok_and(f32::is_finite);
    let number = text.trim().parse::<f64>().ok().filter(|_| is_real);
    number.ok_or_else(|| format!("{text:?} is not a finite number"))
}

pub(super) fn bounded(text: &str, min: f64, max: f64) -> Result<(String, bool), String> {
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
