//! Tables on a terminal.

use std::io::Write as _;

/// On which side of its column a cell stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Left,
    Right,
}

/// Prints lines of the same number of cells, each column as wide as its widest cell.
pub fn print(lines: &[Vec<String>], side: impl Fn(usize) -> Side) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    for line in set(lines, side) {
        writeln!(out, "{line}")?;
    }
    Ok(())
}

fn set(lines: &[Vec<String>], side: impl Fn(usize) -> Side) -> Vec<String> {
    let n_columns = lines.first().map_or(0, Vec::len);
    let widths: Vec<usize> = (0..n_columns)
        .map(|column| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0))
        .collect();
    let of_line = |line: &Vec<String>| {
        let cells = line.iter().zip(&widths).enumerate();
        let cells = cells.map(|(column, (cell, width))| match side(column) {
            Side::Left => format!("{cell:<width$}"),
            Side::Right => format!("{cell:>width$}"),
        });
        cells.collect::<Vec<String>>().join("  ").trim_end().to_owned()
    };
    lines.iter().map(of_line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_and_lines_end_with_their_text() {
        let lines = [["clients", "tps", ""], ["2", "1500", "late"]].map(|line| line.map(str::to_owned).to_vec());
        let side = |column| if column == 2 { Side::Left } else { Side::Right };
        assert_eq!(set(&lines, side), ["clients   tps", "      2  1500  late"]);
        assert_eq!(set(&[], side), Vec::<String>::new());
    }
}
