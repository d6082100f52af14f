//! What a browser says of itself, in two words. It may say anything, so nothing depends on it.

/// Browsers by a word that they say; one that also says the words of others comes before them.
const BROWSERS: [(&str, &str); 6] = [
    ("Firefox/", "Firefox"),
    ("Edg/", "Edge"),
    ("OPR/", "Opera"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
    ("curl/", "curl"),
];

/// Systems, likewise.
const SYSTEMS: [(&str, &str); 6] = [
    ("Windows", "Windows"),
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
];

/// Of what nobody knows, so many characters are shown.
const MOST_CHARS: usize = 60;

/// `Firefox on Linux`; of what is not known as much as there is room for.
pub fn in_words(agent: &str) -> String {
    let known = |words: &[(&str, &'static str)]| {
        words
            .iter()
            .find(|(word, _)| agent.contains(word))
            .map(|(_, name)| *name)
    };
    match (known(&BROWSERS), known(&SYSTEMS)) {
        (Some(browser), Some(system)) => format!("{browser} on {system}"),
        (Some(browser), None) => browser.to_owned(),
        (None, _) if agent.trim().is_empty() => "unnamed".to_owned(),
        (None, _) => agent.chars().take(MOST_CHARS).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_are_told_apart_although_each_says_to_be_the_others_too() {
        let chrome =
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36";
        let safari =
            "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 Version/17.0 Safari/604.1";
        for (agent, words) in [
            (
                "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
                "Firefox on Linux",
            ),
            (chrome, "Chrome on Linux"),
            (&format!("{chrome} Edg/130.0"), "Edge on Linux"),
            (safari, "Safari on iPhone"),
            ("curl/8.5.0", "curl"),
            ("", "unnamed"),
        ] {
            assert_eq!(in_words(agent), words, "{agent}");
        }
        assert_eq!(in_words(&"é".repeat(200)).chars().count(), 60);
    }
}
