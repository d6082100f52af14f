//! Passwords that are tried first: made of nothing but the commonest words, walks over the keyboard, repetition, and names.
//!
//! Lists of leaked passwords hold few of twelve characters or more, and many of those are one of the commonest short
//! ones, grown: with four digits behind it, twice, or with a row of keys. So what is listed here is the parts, and what is
//! asked is how much of a password is left without them. What a password is made of beside that is nobody's business.

/// So many characters have to be left.
pub const LEAST_LEFT: usize = 6;
/// Shorter names are found in any text.
const LEAST_PART: usize = 4;
/// Two keys side by side are found in any word.
const LEAST_WALK: usize = 3;

/// Parts that say nothing: the commonest passwords, as every list of leaked ones has them at its top. Lower case, each of
/// at least four characters, with commas between them.
const COMMON: &str = include_str!("common.txt");

/// Keys, letters and digits one after the other, along which fingers walk, both ways: rows of American, German, French and
/// Russian keyboards, columns, and the ways between two rows.
const WALKS: &[&str] = &[
    "01234567890",
    "abcdefghijklmnopqrstuvwxyz",
    "qwertyuiop",
    "qwertzuiop",
    "azertyuiop",
    "asdfghjkl",
    "qsdfghjklm",
    "zxcvbnm",
    "yxcvbnm",
    "wxcvbn",
    "1qaz",
    "2wsx",
    "3edc",
    "4rfv",
    "5tgb",
    "6yhn",
    "7ujm",
    "1q2w3e4r5t6y7u8i9o0p",
    "q1w2e3r4t5y6u7i8o9p0",
    "1a2s3d4f5g6h7j8k9l",
    "a1s2d3f4g5h6j7k8l9",
    "z1x2c3v4b5n6m7",
    "!@#$%^&*()",
    "йцукенгшщзхъ",
    "фывапролджэ",
    "ячсмитьбю",
];

/// What stands where a part was, so that what was left and right of it does not become one.
const GAP: char = '\0';

/// Whether next to nothing of the password is left without its common parts and these names.
pub fn is_common(password: &str, names: &[&str]) -> bool {
    n_left(password, names) < LEAST_LEFT
}

fn n_left(password: &str, names: &[&str]) -> usize {
    let mut text: String = once(&password.to_lowercase()).collect();
    for part in parts(names) {
        text = text.replace(&part, &GAP.to_string());
    }
    let chars: Vec<char> = text.chars().collect();
    chars
        .split(|c| *c == GAP)
        .flat_map(|left| left.chunk_by(|a, b| is_step(*a, *b)))
        .map(|walk| if walk.len() < LEAST_WALK { walk.len() } else { 1 })
        .sum()
}

/// The text, or what it is a repetition of.
fn once(text: &str) -> impl Iterator<Item = char> {
    let chars: Vec<char> = text.chars().collect();
    let is_period = |n: &usize| chars.iter().skip(*n).eq(chars.iter().take(chars.len() - n));
    let n = (1..=chars.len() / 2).find(is_period).unwrap_or(chars.len());
    chars.into_iter().take(n)
}

/// Everything that does not count, the longest first, as a short one may be within a long one.
fn parts(names: &[&str]) -> Vec<String> {
    let names = names.iter().map(|name| name.to_lowercase());
    let mut parts: Vec<String> = names
        .flat_map(|name| {
            let pieces: Vec<String> = name.split(|c: char| !c.is_alphanumeric()).map(str::to_owned).collect();
            pieces.into_iter().chain([name])
        })
        .filter(|part| part.chars().count() >= LEAST_PART)
        .chain(common().map(str::to_owned))
        .collect();
    parts.sort_by_key(|part| std::cmp::Reverse(part.len()));
    parts
}

fn common() -> impl Iterator<Item = &'static str> {
    COMMON
        .lines()
        .filter(|line| !line.starts_with('#'))
        .flat_map(|line| line.split(','))
        .map(str::trim)
        .filter(|part| !part.is_empty())
}

fn is_step(from: char, to: char) -> bool {
    let is_on = |walk: &str| {
        let steps = walk.chars().zip(walk.chars().skip(1));
        steps.into_iter().any(|step| step == (from, to) || step == (to, from))
    };
    from == to || WALKS.iter().any(|walk| is_on(walk))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_everybody_tries_is_common_and_what_nobody_tries_is_not() {
        for (password, is_refused) in [
            ("password1234", true),
            ("Password!2024", true),
            ("passwordpassword", true),
            ("P@ssw0rd-1234", true),
            ("111111111111", true),
            ("123456789012", true),
            ("987654321098", true),
            ("abcdefghijkl", true),
            ("qwertyuiop123", true),
            ("1qaz2wsx3edc4rfv", true),
            ("zaq12wsxcde3", true),
            ("1q2w3e4r5t6y", true),
            ("йцукенгшщзхъ", true),
            ("ghbdtnghbdtn", true),
            ("qazwsxedcrfv", true),
            ("q1w2e3r4t5y6", true),
            ("annaannaannaanna", true),
            ("abcabcabcabcab", true),
            ("iloveyou anna", true),
            ("Welcome to pgassay", true),
            ("administrator1", true),
            ("correct horse battery staple", true),
            ("correct pony battery staple", false),
            ("my dragon likes my monkey", false),
            ("property tweeted", false),
            ("were deposed", false),
            ("38192837465019", false),
            ("Xk3#vTq9!mLz", false),
            ("схемаблокнотчай", false),
            ("一二三四五六七八九十甲乙", false),
        ] {
            let left = n_left(password, &[]);
            assert_eq!(is_common(password, &[]), is_refused, "{password}: {left} left");
        }
    }

    #[test]
    fn a_name_says_nothing_and_neither_do_its_pieces() {
        let names = ["Ariadne.Quux@maze.example"];
        for (password, is_refused) in [
            ("ariadne.quux@maze.example", true),
            ("ariadne-quux-1", true),
            ("QuuxAriadne2024!", true),
            ("ariadne in the labyrinth", false),
        ] {
            assert_eq!(is_common(password, &names), is_refused, "{password}");
            assert!(!is_common(&password.replace("ariadne", "xzvqkwj"), &[]), "{password}");
        }
        // A name of one letter is in every text.
        assert!(!is_common("a banana amazes many", &["a"]));
    }

    #[test]
    fn common_parts_are_as_they_are_looked_for() {
        let all: Vec<&str> = common().collect();
        assert!(all.len() > 200);
        for part in &all {
            assert_eq!(part.to_lowercase(), *part);
            assert!(part.chars().count() >= LEAST_PART, "{part}");
            assert_eq!(all.iter().filter(|other| *other == part).count(), 1, "{part}");
        }
    }
}
