//! Colours of the page and of the sources, in hexadecimal so that style sheets can use the very same ones.

use plotters::style::RGBColor;

/// The page behind the chart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Theme {
    Light,
    Dark,
}

/// The background of a light chart, and of the page that wants no seam around it.
pub const LIGHT_BACKGROUND: &str = "#ffffff";
/// The background of a dark chart, and of the page that wants no seam around it.
pub const DARK_BACKGROUND: &str = "#14171c";

/// How many sources have a colour of their own.
pub(super) const N_COLOURS: usize = 8;

// The hues of Okabe and Ito, "Color Universal Design" (2008), blue first: blue, orange, bluish green, reddish purple,
// sky blue, vermillion, black, yellow. Their lightness is moved until each has a contrast of 3:1 or more with the
// background (WCAG 2.2, 1.4.11), and black, which would vanish on the dark page or into the text, becomes a grey.
const LIGHT: [&str; N_COLOURS] = [
    "#0069a8", "#cc8100", "#006f53", "#cc74a4", "#4298d0", "#a33d00", "#4a4f57", "#6e6800",
];
const DARK: [&str; N_COLOURS] = [
    "#1a7cc0", "#e09a00", "#2cb38d", "#e3a9ca", "#82c8f0", "#c65506", "#828a95", "#f0e442",
];

/// The colour of a source as `#rrggbb`, for legends in HTML that match the picture.
pub fn palette_hex(colour_idx: usize, theme: Theme) -> &'static str {
    let colours = match theme {
        Theme::Light => &LIGHT,
        Theme::Dark => &DARK,
    };
    colours[colour_idx % N_COLOURS]
}

/// The colour of a source.
pub(super) fn source(colour_idx: usize, theme: Theme) -> RGBColor {
    rgb(palette_hex(colour_idx, theme))
}

/// What a chart is drawn with besides the colours of its sources.
#[derive(Clone, Copy)]
pub(super) struct Inks {
    pub background: RGBColor,
    /// Words that must be read.
    pub text: RGBColor,
    /// Numbers and notes that may be read.
    pub muted: RGBColor,
    pub axis: RGBColor,
    pub grid: RGBColor,
    /// Every other row of a tall chart.
    pub band: RGBColor,
}

impl Theme {
    pub(super) fn inks(self) -> Inks {
        match self {
            Self::Light => Inks {
                background: rgb(LIGHT_BACKGROUND),
                text: rgb("#1d2126"),
                muted: rgb("#525a64"),
                axis: rgb("#8b939c"),
                grid: rgb("#e4e7ea"),
                band: rgb("#f6f7f8"),
            },
            Self::Dark => Inks {
                background: rgb(DARK_BACKGROUND),
                text: rgb("#e8eaed"),
                muted: rgb("#a3abb5"),
                axis: rgb("#636c77"),
                grid: rgb("#292e36"),
                band: rgb("#191d23"),
            },
        }
    }
}

/// Reads `#rrggbb`. A digit that is none counts as 0; the colours above are literals and a test reads them all.
fn rgb(hex: &str) -> RGBColor {
    let byte = |from: usize| {
        hex.get(from..from + 2)
            .and_then(|digits| u8::from_str_radix(digits, 16).ok())
            .unwrap_or_default()
    };
    RGBColor(byte(1), byte(3), byte(5))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Relative luminance, WCAG 2.2.
    fn luminance(colour: RGBColor) -> f64 {
        let linear = |byte: u8| {
            let c = f64::from(byte) / 255.0;
            if c <= 0.04045 {
                c / 12.92
            } else {
                ((c + 0.055) / 1.055).powf(2.4)
            }
        };
        0.2126 * linear(colour.0) + 0.7152 * linear(colour.1) + 0.0722 * linear(colour.2)
    }

    /// Contrast ratio, WCAG 2.2.
    fn contrast(a: RGBColor, b: RGBColor) -> f64 {
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    #[test]
    fn white_on_black_has_the_contrast_the_standard_says() {
        assert!((contrast(rgb("#ffffff"), rgb("#000000")) - 21.0).abs() < 1e-9);
    }

    #[test]
    fn every_source_stands_out_from_its_page() {
        for theme in [Theme::Light, Theme::Dark] {
            for colour_idx in 0..N_COLOURS {
                let ratio = contrast(source(colour_idx, theme), theme.inks().background);
                assert!(ratio >= 3.0, "{theme:?} {colour_idx}: {ratio:.2}");
            }
        }
    }

    #[test]
    fn every_word_is_readable_on_its_page() {
        for theme in [Theme::Light, Theme::Dark] {
            let inks = theme.inks();
            assert!(contrast(inks.text, inks.background) >= 7.0);
            assert!(contrast(inks.muted, inks.band) >= 4.5);
        }
    }

    #[test]
    fn colours_come_round_again_and_never_change_place() {
        assert_eq!(palette_hex(0, Theme::Light), "#0069a8");
        assert_eq!(palette_hex(N_COLOURS, Theme::Dark), palette_hex(0, Theme::Dark));
        assert_eq!(rgb("#14171c"), RGBColor(0x14, 0x17, 0x1c));
    }
}
