//! Which percentiles a reader wants to see.

/// As many as a table can bear.
const MOST: usize = 8;

/// Digits behind the point: 99.9999 is one in a million.
const MOST_DIGITS: usize = 4;

/// Percentiles, ascending, each once; at least one.
#[derive(Clone, Debug, PartialEq)]
pub struct Percentiles(Vec<f64>);

impl Default for Percentiles {
    fn default() -> Self {
        Self(vec![50.0, 95.0, 99.0, 99.9])
    }
}

impl Percentiles {
    /// Reads `50,95,99.9`, or `p50 p95`, as addresses have it; the usual ones where nothing is written. The error is for the
    /// person who typed it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let words = text.split(|c: char| c == ',' || c == ';' || c.is_whitespace());
        let mut percentiles = words
            .filter(|word| !word.is_empty())
            .map(percentile)
            .collect::<Result<Vec<f64>, String>>()?;
        percentiles.sort_by(f64::total_cmp);
        percentiles.dedup_by(|a, b| a.total_cmp(b).is_eq());
        match percentiles.len() {
            0 => Ok(Self::default()),
            n if n > MOST => Err(format!("These are {n} percentiles; {MOST} can be shown at once.")),
            _ => Ok(Self(percentiles)),
        }
    }

    pub fn as_slice(&self) -> &[f64] {
        &self.0
    }

    /// As it stands in addresses: `50,95,99,99.9`.
    pub fn to_text(&self) -> String {
        let words: Vec<String> = self.0.iter().map(f64::to_string).collect();
        words.join(",")
    }

    /// As heads of columns: `p50`.
    pub fn labels(&self) -> Vec<String> {
        self.0.iter().map(|percentile| label(*percentile)).collect()
    }
}

/// `p99.9`.
pub fn label(percentile: f64) -> String {
    format!("p{percentile}")
}

fn percentile(word: &str) -> Result<f64, String> {
    let digits = word.trim_start_matches(['p', 'P']).trim_end_matches('%');
    let n_behind_point = digits.split_once('.').map_or(0, |(_, behind)| behind.len());
    let is_plain = digits.chars().all(|c| c.is_ascii_digit() || c == '.');
    match digits.parse::<f64>() {
        Ok(value) if is_plain && value > 0.0 && value < 100.0 && n_behind_point <= MOST_DIGITS => Ok(value),
        _ => Err(format!(
            "A percentile is a number above 0 and below 100 with at most {MOST_DIGITS} digits behind the point, such as 99.9; \
             {word:?} is none."
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_read_as_people_write_them() {
        for (text, expected) in [
            ("", "50,95,99,99.9"),
            (" , ", "50,95,99,99.9"),
            ("99,50,99.0", "50,99"),
            ("p50 P99.9%", "50,99.9"),
            ("99.9999;0.1", "0.1,99.9999"),
        ] {
            assert_eq!(Percentiles::parse(text).unwrap().to_text(), expected, "{text:?}");
        }
        assert_eq!(Percentiles::default().labels(), ["p50", "p95", "p99", "p99.9"]);
    }

    #[test]
    fn what_is_no_percentile_is_refused_with_an_example() {
        for text in [
            "0", "100", "-5", "1e1", "NaN", "inf", "99.99999", "p", "median", "5 0x7",
        ] {
            let error = Percentiles::parse(text).unwrap_err();
            assert!(error.contains("such as 99.9"), "{text:?}: {error}");
        }
        let many = Percentiles::parse("1,2,3,4,5,6,7,8,9").unwrap_err();
        assert!(many.contains("9 percentiles; 8 can"), "{many}");
    }
}
