//! Numbers of clients as people type them: `20, 40, 80` or `1..16 step 3`.

use crate::experiment::fields::FieldError;

/// More levels take a day, and their chart says no more.
const MAX_LEVELS: usize = 64;
/// Each is a server process; nobody has a server for more.
pub const MAX_CLIENTS: u32 = 20_000;

/// The numbers in the order in which they were given.
pub(super) fn read(text: &str) -> Result<Vec<u32>, FieldError> {
    let mut levels: Vec<u32> = Vec::new();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        match range(part)? {
            Some((from, to, step)) => {
                let room = MAX_LEVELS + 1 - levels.len().min(MAX_LEVELS);
                levels.extend((from..=to).step_by(step as usize).take(room));
            }
            None => levels.push(count(part)?),
        }
    }
    if levels.is_empty() {
        return Err(wrong(
            "Give at least one number of clients, like 20, 40, 80 or 1..16 step 3.",
        ));
    }
    if levels.len() > MAX_LEVELS {
        return Err(wrong(format!("These are more than the {MAX_LEVELS} levels allowed.")));
    }
    for (idx, level) in levels.iter().enumerate() {
        if levels[..idx].contains(level) {
            return Err(wrong(format!("{level} stands there twice.")));
        }
    }
    Ok(levels)
}

/// First, last and step; none for a plain number.
fn range(part: &str) -> Result<Option<(u32, u32, u32)>, FieldError> {
    let Some((from, rest)) = part.split_once("..") else {
        return Ok(None);
    };
    let (to, step) = match rest.split_once("step") {
        Some((to, step)) => (to, count(step)?),
        None => (rest, 1),
    };
    let (from, to) = (count(from)?, count(to)?);
    if from > to {
        return Err(wrong(format!("{part:?} ends before it begins.")));
    }
    Ok(Some((from, to, step)))
}

fn count(text: &str) -> Result<u32, FieldError> {
    match text.trim().parse::<u32>() {
        Ok(n) if (1..=MAX_CLIENTS).contains(&n) => Ok(n),
        _ => Err(wrong(format!(
            "Numbers of clients are whole numbers from 1 to {MAX_CLIENTS}, unlike {:?}.",
            text.trim()
        ))),
    }
}

fn wrong(message: impl Into<String>) -> FieldError {
    FieldError::new("thread_counts", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_ranges_are_read_in_order() {
        for (text, levels) in [
            ("20, 40, 80", vec![20, 40, 80]),
            ("1..16 step 3", vec![1, 4, 7, 10, 13, 16]),
            ("1..4", vec![1, 2, 3, 4]),
            ("80,1 .. 3, 16", vec![80, 1, 2, 3, 16]),
            ("7", vec![7]),
        ] {
            assert_eq!(read(text).unwrap(), levels, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_is_refused_with_the_reason() {
        for (text, reason) in [
            ("", "at least one"),
            (" , ", "at least one"),
            ("0", "from 1 to 20000"),
            ("4000000000", "from 1 to 20000"),
            ("1..9 step 0", "from 1 to 20000"),
            ("16..1", "ends before it begins"),
            ("1..2000", "more than the 64 levels"),
            ("2, 4, 2", "2 stands there twice"),
            ("1..", "from 1 to 20000"),
            ("four", "\"four\""),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.message.contains(reason), "{text}: {}", error.message);
            assert_eq!(error.field, "thread_counts");
        }
    }
}
