//! What stands along the x axis of a chart beside its series: stretches behind them, posts and arrow's heads.

use super::Layout;
use super::MarkShape;
use super::XyChart;
use super::XyMark;
use crate::report::chart::ChartError;
use crate::report::chart::font::Face;
use crate::report::chart::frame::LINE;
use crate::report::chart::frame::Mark;
use crate::report::chart::frame::paint_shaded;
use crate::report::chart::frame::paint_striped;
use crate::report::chart::numerals::as_count;
use crate::report::chart::numerals::as_f64;
use crate::report::chart::painter::Align;
use crate::report::chart::painter::Painter;
use crate::report::chart::painter::Point;
use crate::report::chart::painter::Rect;

/// Points closer than this, on average, are not marked one by one.
const MARKER_ROOM: f64 = 14.0;
/// About this far apart stand the markers of a line whose points are too many.
const SPARSE_MARKERS: f64 = 110.0;
/// Between the words of two posts.
const WORD_GAP: f64 = 8.0;

impl MarkShape {
    pub(super) fn in_legend(self) -> Option<Mark> {
        match self {
            Self::Post => None,
            Self::Striped => Some(Mark::Striped),
            Self::Shaded => Some(Mark::Shaded),
            Self::Caret => Some(Mark::Caret),
        }
    }
}

impl XyChart {
    /// The room above the plot for the words of posts.
    pub(super) fn head(&self) -> f64 {
        let has_posts = self.marks.iter().any(|mark| mark.shape == MarkShape::Post);
        if has_posts { LINE } else { 0.0 }
    }
}

impl Layout {
    /// Which points of a line carry a marker: all where they have room, else some along it.
    pub(super) fn marked<'a>(&self, stretches: &'a [Vec<Point>]) -> impl Iterator<Item = &'a Point> + use<'a> {
        let n_points = stretches.iter().map(Vec::len).sum::<usize>().max(1);
        let room = self.plot.width() / as_f64(n_points);
        let stride = if room >= MARKER_ROOM {
            1
        } else {
            as_count(SPARSE_MARKERS / room).max(1)
        };
        stretches.iter().flatten().skip(stride / 2).step_by(stride)
    }

    pub(super) fn paint_stretches(&self, painter: &mut Painter<'_>, marks: &[XyMark]) -> Result<(), ChartError> {
        for mark in marks {
            let rect = self.stretch(mark);
            match mark.shape {
                MarkShape::Striped => paint_striped(painter, rect)?,
                MarkShape::Shaded => paint_shaded(painter, rect)?,
                MarkShape::Post | MarkShape::Caret => {}
            }
        }
        Ok(())
    }

    /// At least two pixels wide, so that a moment can be seen.
    fn stretch(&self, mark: &XyMark) -> Rect {
        let left = self.at(mark.from);
        Rect {
            left,
            top: self.plot.top,
            right: self.at(mark.to).max(left + 2.0),
            bottom: self.plot.bottom,
        }
    }

    pub(super) fn paint_moments(&self, painter: &mut Painter<'_>, marks: &[XyMark]) -> Result<(), ChartError> {
        let (face, muted, axis) = (Face::get()?, painter.inks.muted, painter.inks.axis);
        let (mut word_end, mut last_caret) = (f64::NEG_INFINITY, f64::NEG_INFINITY);
        for mark in marks {
            let x = self.at(mark.from);
            match mark.shape {
                MarkShape::Post => {
                    painter.post(x - 0.5, self.plot.top - 4.0, self.plot.bottom, axis)?;
                    let width = face.width(&mark.label);
                    // Words that would cover those before them, or leave the picture, are left out; their post stays.
                    if x >= word_end && x + width <= self.plot.right + LINE {
                        painter.text(&mark.label, (x, self.plot.top - 8.0), Align::Left, muted)?;
                        word_end = x + width + WORD_GAP;
                    }
                }
                MarkShape::Caret if x - last_caret >= WORD_GAP => {
                    painter.caret((x, self.plot.bottom - WORD_GAP), muted)?;
                    last_caret = x;
                }
                MarkShape::Caret | MarkShape::Striped | MarkShape::Shaded => {}
            }
        }
        Ok(())
    }

    fn at(&self, x: f64) -> f64 {
        self.plot.left + self.x.position(x) * self.plot.width()
    }
}

#[cfg(test)]
mod tests {
    use crate::report::chart::Canvas;
    use crate::report::chart::MarkShape;
    use crate::report::chart::Numbers;
    use crate::report::chart::Scale;
    use crate::report::chart::Shape;
    use crate::report::chart::SourceKey;
    use crate::report::chart::Theme;
    use crate::report::chart::Unit;
    use crate::report::chart::XyChart;
    use crate::report::chart::XyMark;
    use crate::report::chart::XySeries;
    use crate::report::chart::canvas::png_size;
    use crate::report::chart::font::Face;
    use crate::report::chart::xy::Layout;

    fn chart() -> XyChart {
        let numbers = |title: &str| Numbers {
            title: title.to_owned(),
            unit: Some(Unit::Count),
            scale: Scale::Linear,
        };
        let mark = |shape, from, to, label: &str| XyMark {
            shape,
            from,
            to,
            label: label.to_owned(),
        };
        XyChart {
            x: numbers("second"),
            y: numbers("transactions"),
            shape: Shape::Lines,
            series: vec![XySeries {
                source: SourceKey {
                    label: "throughput".to_owned(),
                    colour: 0,
                },
                points: (0..60).map(|second| (f64::from(second), 100.0)).collect(),
            }],
            marks: vec![
                mark(MarkShape::Post, 0.0, 0.0, "2 clients"),
                mark(MarkShape::Post, 1.0, 1.0, "4 clients"),
                mark(MarkShape::Striped, 10.0, 12.0, "no server"),
                mark(MarkShape::Striped, 20.0, f64::NAN, "no server"),
                mark(MarkShape::Shaded, 70.0, 80.0, "interrupted"),
                mark(MarkShape::Caret, 5.0, 5.0, "errors"),
            ],
        }
    }

    #[test]
    fn every_kind_of_mark_stands_in_the_legend_once_and_posts_have_words_of_their_own() {
        let chart = chart();
        let labels: Vec<String> = chart.legend_entries().into_iter().map(|(_, label)| label).collect();
        assert_eq!(labels, ["throughput", "no server", "interrupted", "errors"]);
    }

    #[test]
    fn marks_reach_as_far_as_they_say_and_the_axis_holds_them() {
        let chart = chart();
        let layout = Layout::new(&chart, Face::get().unwrap(), 880.0, 420.0);
        let gap = layout.stretch(&chart.marks[2]);
        assert!((gap.left - layout.at(10.0)).abs() < 1e-9 && (gap.right - layout.at(12.0)).abs() < 1e-9);
        let last = layout.stretch(&chart.marks[4]);
        assert!(last.right <= layout.plot.right + 1e-9 && last.left < last.right);
        let moment = layout.stretch(&chart.marks[3]);
        assert!(moment.right >= moment.left + 2.0);
        let canvas = Canvas {
            width: 880,
            height: 420,
            scale: 1,
            theme: Theme::Light,
        };
        assert_eq!(png_size(&chart.draw(&canvas).unwrap()), (880, 420));
    }
}
