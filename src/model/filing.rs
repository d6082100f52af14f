//! Tags and a memo: by what a person finds a thing of theirs again.

use crate::model::ids::BenchmarkId;
use crate::model::ids::DatasetId;
use crate::model::ids::ExperimentId;
use crate::model::ids::InstrumentId;
use crate::model::ids::WorkloadId;

/// Tags that one thing may carry.
const MAX_TAGS: usize = 8;
const MAX_TAG_CHARS: usize = 32;
const MAX_MEMO_CHARS: usize = 2000;
/// What a tag may hold beside letters and digits.
const MARKS: &str = "-_.:/";

/// A thing that can be filed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Filed {
    Experiment(ExperimentId),
    Instrument(InstrumentId),
    Benchmark(BenchmarkId),
    Dataset(DatasetId),
    Workload(WorkloadId),
}

/// How a thing is filed. It is beside the thing: an experiment that has settled may still get a tag.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filing {
    pub tags: Tags,
    pub memo: Memo,
}

/// Short words in their normal form: lower case, each once, in alphabetical order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tags(Vec<String>);

impl Tags {
    /// Reads words apart by blanks or commas. The error is for the person who typed them.
    pub fn parse(text: &str) -> Result<Self, String> {
        let words = text.split(|c: char| c.is_whitespace() || c == ',');
        let mut tags = words
            .filter(|word| !word.is_empty())
            .map(tag)
            .collect::<Result<Vec<String>, String>>()?;
        tags.sort_unstable();
        tags.dedup();
        match tags.len() {
            n if n > MAX_TAGS => Err(format!("These are {n} tags; {MAX_TAGS} are allowed.")),
            _ => Ok(Self(tags)),
        }
    }

    /// What the store holds, which was read by `parse` once.
    pub fn stored(tags: Vec<String>) -> Self {
        Self(tags)
    }

    pub fn as_slice(&self) -> &[String] {
        &self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As a person types them.
    pub fn to_text(&self) -> String {
        self.0.join(" ")
    }
}

/// The normal form of one tag.
fn tag(word: &str) -> Result<String, String> {
    let tag = word.to_lowercase();
    let is_wrong = |c: &char| !c.is_alphanumeric() && !MARKS.contains(*c);
    if let Some(wrong) = tag.chars().find(is_wrong) {
        return Err(format!(
            "A tag is made of letters, digits and {}; {word:?} has {wrong:?} in it.",
            MARKS.chars().map(String::from).collect::<Vec<_>>().join(" ")
        ));
    }
    if !tag.starts_with(char::is_alphanumeric) {
        return Err(format!("A tag begins with a letter or a digit, unlike {word:?}."));
    }
    match tag.chars().count() {
        n if n > MAX_TAG_CHARS => Err(format!(
            "A tag has at most {MAX_TAG_CHARS} characters; {word:?} has {n}."
        )),
        _ => Ok(tag),
    }
}

/// A few sentences, or none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memo(String);

impl Memo {
    /// What a person typed, without control characters but for line ends. The error is for that person.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.replace("\r\n", "\n").replace('\r', "\n").replace('\t', " ");
        let clean: String = text.chars().filter(|c| *c == '\n' || !c.is_control()).collect();
        let memo = clean.trim();
        match memo.chars().count() {
            n if n > MAX_MEMO_CHARS => Err(format!(
                "A memo has at most {MAX_MEMO_CHARS} characters; these are {n}."
            )),
            _ => Ok(Self(memo.to_owned())),
        }
    }

    /// What the store holds, which was read by `parse` once.
    pub fn stored(memo: String) -> Self {
        Self(memo)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_read_into_their_normal_form() {
        for (text, tags) in [
            ("", vec![]),
            (" , ", vec![]),
            ("Nightly, pg15 nightly\nv1.2", vec!["nightly", "pg15", "v1.2"]),
            ("team/Data:JOIN-order_2", vec!["team/data:join-order_2"]),
            ("Größe ЗАКАЗ 順序", vec!["größe", "заказ", "順序"]),
            (&"x".repeat(32), vec![&"x".repeat(32)]),
        ] {
            assert_eq!(Tags::parse(text).unwrap().as_slice(), tags, "{text:?}");
            assert_eq!(Tags::parse(&tags.join(" ")).unwrap().as_slice(), tags, "{text:?} again");
        }
    }

    #[test]
    fn what_is_no_tag_is_refused_with_the_reason() {
        let long = "x".repeat(33);
        for (text, reason) in [
            ("good #bad", "\"#bad\" has '#' in it"),
            ("50%", "has '%' in it"),
            ("a\0b", "has '\\0' in it"),
            ("-x", "begins with a letter or a digit"),
            (long.as_str(), "at most 32 characters"),
            ("a b c d e f g h i", "These are 9 tags; 8 are allowed."),
        ] {
            let error = Tags::parse(text).unwrap_err();
            assert!(error.contains(reason), "{text:?}: {error}");
        }
    }

    #[test]
    fn a_memo_keeps_its_lines_and_nothing_that_steers() {
        let memo = Memo::parse(" before\r\nthe\u{1b}[31m index\0\n\n").unwrap();
        assert_eq!(memo.as_str(), "before\nthe[31m index");
        assert!(Memo::parse(&"ß".repeat(2000)).is_ok());
        assert!(Memo::parse(&"ß".repeat(2001)).unwrap_err().contains("these are 2001"));
    }
}
