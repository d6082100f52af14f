//! What every chart has around its plot: a title above the axis and a legend that wraps, as places first and as ink
//! afterwards; and the calm words in place of a plot that has no data.

use plotters::style::Color;
use plotters::style::RGBAColor;

use super::ChartError;
use super::canvas::Canvas;
use super::font::Face;
use super::painter::Align;
use super::painter::Marker;
use super::painter::Painter;
use super::painter::Point;
use super::painter::Rect;
use super::palette::N_COLOURS;
use super::palette::source;

/// Empty room at the edge of the picture.
pub(super) const PAD: f64 = 16.0;
/// From one line of text to the next.
pub(super) const LINE: f64 = 20.0;
/// From the middle of a line of text down to its base line.
pub(super) const BASE: f64 = 4.0;

/// The middle of the legend's first line, under the title.
const FIRST_LINE: f64 = PAD + LINE * 1.5;
/// How strongly a band covers what is behind it, so that three of them can be told apart.
pub(super) const BAND_OPACITY: f64 = 0.36;

const MARK_WIDTH: f64 = 22.0;
const ENTRY_GAP: f64 = 20.0;
const MAX_LABEL: f64 = 260.0;

/// What a legend entry shows before its words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// A bar in the colour of a source.
    Bar(usize),
    /// A line with the marker of a source.
    Line(usize),
    Whisker,
    Censored,
    Cross,
    Caret,
    Limit,
    /// What a line shows of many numbers.
    Band,
    /// A stretch of the x axis with stripes, and one without.
    Striped,
    Shaded,
    /// Words only.
    Nothing,
}

/// One entry of a legend, placed.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    pub mark: Mark,
    pub label: String,
    /// The left end of the entry, in the middle of its line.
    pub at: Point,
    pub width: f64,
}

/// The legend above a plot.
#[derive(Clone, Debug)]
pub(super) struct Legend {
    pub entries: Vec<Entry>,
    /// Where the plot, with whatever stands on its upper edge, may begin.
    pub bottom: f64,
}

impl Legend {
    /// Sets marks with their words in lines, left to right, in a picture of `width`. What would go below `lowest` is
    /// left out, and an entry says how many that are.
    pub fn new(face: &Face, wished: &[(Mark, String)], width: f64, lowest: f64) -> Self {
        let room = (PAD, width - PAD);
        let mut entries: Vec<Entry> = Vec::with_capacity(wished.len());
        for (mark, label) in wished {
            let label = face.shorten(label, MAX_LABEL.min(room.1 - room.0 - MARK_WIDTH));
            let entry = next_entry(face, entries.last(), *mark, label, room);
            entries.push(entry);
        }
        let too_low = |entry: &Entry| entry.at.1 > lowest && entry.at.1 > FIRST_LINE;
        while entries.last().is_some_and(too_low) {
            entries.pop_if(|last| last.mark == Mark::Nothing);
            entries.pop();
            let more = format!("and {} more", wished.len() - entries.len());
            entries.push(next_entry(face, entries.last(), Mark::Nothing, more, room));
        }
        let last_line = entries.last().map_or(FIRST_LINE - LINE, |entry| entry.at.1);
        Self {
            entries,
            bottom: last_line + LINE / 2.0 + 8.0,
        }
    }

    pub fn paint(&self, painter: &mut Painter<'_>) -> Result<(), ChartError> {
        for entry in &self.entries {
            let (x, y) = entry.at;
            paint_mark(painter, entry.mark, entry.at)?;
            let text_x = x + entry.mark.width();
            let text = painter.inks.text;
            painter.text(&entry.label, (text_x, y + BASE), Align::Left, text)?;
        }
        Ok(())
    }
}

impl Mark {
    fn width(self) -> f64 {
        if self == Self::Nothing { 0.0 } else { MARK_WIDTH }
    }
}

/// The entry after `last`: beside it if there is room between the left and the right edge, else on the next line.
fn next_entry(face: &Face, last: Option<&Entry>, mark: Mark, label: String, room: (f64, f64)) -> Entry {
    let width = mark.width() + face.width(&label);
    let at = match last {
        None => (room.0, FIRST_LINE),
        Some(last) => {
            let beside = last.at.0 + last.width + ENTRY_GAP;
            if beside + width <= room.1 {
                (beside, last.at.1)
            } else {
                (room.0, last.at.1 + LINE)
            }
        }
    };
    Entry { mark, label, at, width }
}

fn paint_mark(painter: &mut Painter<'_>, mark: Mark, (x, y): Point) -> Result<(), ChartError> {
    let swatch = Rect {
        left: x,
        top: y - 5.0,
        right: x + 14.0,
        bottom: y + 5.0,
    };
    let (text, muted) = (painter.inks.text, painter.inks.muted);
    match mark {
        Mark::Nothing => Ok(()),
        Mark::Bar(colour_idx) => paint_bar(painter, swatch, colour_idx),
        Mark::Censored => paint_censored(painter, swatch, muted.into()),
        Mark::Cross => painter.cross((x + 7.0, y), muted),
        Mark::Striped => paint_striped(painter, swatch),
        Mark::Shaded => paint_shaded(painter, swatch),
        Mark::Caret => painter.caret((x + 7.0, y - 2.0), muted),
        Mark::Limit => paint_dashes(painter, x, x + 15.0, y),
        Mark::Band => {
            painter.fill(swatch, muted.mix(BAND_OPACITY))?;
            painter.stroke((x, y), (x + 14.0, y), 1.75, muted.into())
        }
        Mark::Whisker => {
            painter.stroke((x + 7.0, y - 5.0), (x + 7.0, y + 5.0), 1.25, text.into())?;
            painter.stroke((x + 4.0, y - 5.0), (x + 10.0, y - 5.0), 1.25, text.into())?;
            painter.stroke((x + 4.0, y + 5.0), (x + 10.0, y + 5.0), 1.25, text.into())
        }
        Mark::Line(colour_idx) => {
            let ink = source(colour_idx, painter.theme);
            painter.stroke((x, y), (x + 16.0, y), 2.0, ink.into())?;
            painter.marker(Marker::of_source(colour_idx), (x + 8.0, y), 3.5, ink)
        }
    }
}

/// A bar in the colour of a source; the second eight sources are pale with a rim.
pub(super) fn paint_bar(painter: &mut Painter<'_>, rect: Rect, colour_idx: usize) -> Result<(), ChartError> {
    let ink = source(colour_idx, painter.theme);
    if (colour_idx / N_COLOURS).is_multiple_of(2) {
        return painter.fill(rect, ink.into());
    }
    painter.fill(rect, ink.mix(0.3))?;
    painter.fill(
        Rect {
            right: rect.left + 1.0,
            ..rect
        },
        ink.into(),
    )?;
    painter.fill(
        Rect {
            left: rect.right - 1.0,
            ..rect
        },
        ink.into(),
    )?;
    painter.fill(
        Rect {
            bottom: rect.top + 1.0,
            ..rect
        },
        ink.into(),
    )?;
    painter.fill(
        Rect {
            top: rect.bottom - 1.0,
            ..rect
        },
        ink.into(),
    )
}

/// A bar that ends where the clock was stopped, not where the query did.
pub(super) fn paint_censored(painter: &mut Painter<'_>, rect: Rect, ink: RGBAColor) -> Result<(), ChartError> {
    painter.fill(rect, ink.mix(0.22))?;
    painter.hatch(rect, ink)
}

/// A stretch with stripes.
pub(super) fn paint_striped(painter: &mut Painter<'_>, rect: Rect) -> Result<(), ChartError> {
    let muted = painter.inks.muted;
    painter.hatch(rect, muted.mix(0.5))
}

/// A stretch without stripes.
pub(super) fn paint_shaded(painter: &mut Painter<'_>, rect: Rect) -> Result<(), ChartError> {
    let muted = painter.inks.muted;
    painter.fill(rect, muted.mix(0.16))
}

/// A broken line across the plot.
pub(super) fn paint_dashes(painter: &mut Painter<'_>, left: f64, right: f64, y: f64) -> Result<(), ChartError> {
    let ink = painter.inks.muted;
    let mut x = left;
    while x < right {
        painter.rule(x, (x + 5.0).min(right), y - 0.5, ink)?;
        x += 10.0;
    }
    Ok(())
}

/// The picture of a chart without data.
pub(super) fn paint_empty(canvas: &Canvas) -> Result<Vec<u8>, ChartError> {
    canvas.paint(|painter| {
        let middle = (f64::from(canvas.width) / 2.0, f64::from(canvas.height) / 2.0 + BASE);
        let muted = painter.inks.muted;
        painter.text("Nothing was measured", middle, Align::Centre, muted)
    })
}

/// The title, at the upper left where reading begins; turned on its side it would be read by nobody.
pub(super) fn paint_title(painter: &mut Painter<'_>, title: &str, width: u32) -> Result<(), ChartError> {
    let title = Face::get()?.shorten(title, f64::from(width) - 2.0 * PAD);
    let muted = painter.inks.muted;
    painter.text(&title, (PAD, PAD + LINE / 2.0 + BASE), Align::Left, muted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wished(n_entries: usize) -> Vec<(Mark, String)> {
        (0..n_entries)
            .map(|colour_idx| (Mark::Bar(colour_idx), format!("a source with a name {colour_idx}")))
            .collect()
    }

    #[test]
    fn legend_entries_never_overlap_and_stay_in_the_picture() {
        let face = Face::get().unwrap();
        for width in [240.0, 480.0, 880.0] {
            for n_entries in [1, 3, 10, 40] {
                let legend = Legend::new(face, &wished(n_entries), width, f64::INFINITY);
                assert_eq!(legend.entries.len(), n_entries);
                for entry in &legend.entries {
                    assert!(entry.at.0 >= PAD && entry.at.0 + entry.width <= width - PAD);
                    assert!(entry.at.1 < legend.bottom);
                }
                for pair in legend.entries.windows(2) {
                    let same_line = (pair[1].at.1 - pair[0].at.1).abs() < 1e-9;
                    let beside = same_line && pair[1].at.0 > pair[0].at.0 + pair[0].width;
                    let below = pair[1].at.1 >= pair[0].at.1 + LINE;
                    assert!(beside || below);
                }
            }
        }
    }

    #[test]
    fn a_legend_without_room_says_how_much_it_leaves_out() {
        let legend = Legend::new(Face::get().unwrap(), &wished(40), 480.0, 120.0);
        let last = legend.entries.last().unwrap();
        assert_eq!(last.label, format!("and {} more", 40 - (legend.entries.len() - 1)));
        assert!(legend.entries.iter().all(|entry| entry.at.1 <= 120.0));
    }

    #[test]
    fn an_endless_label_is_shortened_to_the_width_of_the_picture() {
        let endless = [(Mark::Line(0), "x".repeat(5_000))];
        let legend = Legend::new(Face::get().unwrap(), &endless, 240.0, f64::INFINITY);
        assert!(legend.entries[0].width <= 240.0 - 2.0 * PAD);
    }
}
