//! Names in columns, as `help` lists them (S-65).

/// The lines of a listing no wider than `width`, filled column by column, with two blanks between columns. Every
/// name is padded to its column's width, the last of a line too, unless there is one column only.
pub fn columns(names: &[&str], width: usize) -> Vec<String> {
    let widest = |column: &[&str]| column.iter().map(|name| name.chars().count()).max().unwrap_or(0);
    for rows in 1..names.len() {
        let widths: Vec<usize> = names.chunks(rows).map(widest).collect();
        let total = widths.iter().sum::<usize>() + 2 * (widths.len() - 1);
        if total > width {
            continue;
        }
        return (0..rows)
            .map(|row| {
                let cells: Vec<String> = names
                    .chunks(rows)
                    .zip(&widths)
                    .filter_map(|(column, &width)| column.get(row).map(|name| format!("{name:width$}")))
                    .collect();
                cells.join("  ")
            })
            .collect();
    }
    // One column is not padded.
    names.iter().map(|name| name.to_string()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table() {
        let rows: [(&[&str], usize, &[&str]); 5] = [
            (&[], 79, &[]),
            (&["a"], 79, &["a"]),
            (&["a", "bb", "c"], 79, &["a  bb  c"]),
            (&["a", "bb", "c"], 6, &["a   c", "bb"]),
            (&["long", "longer"], 3, &["long", "longer"]),
        ];
        for (names, width, expected) in rows {
            assert_eq!(columns(names, width), expected, "{names:?} {width}");
        }
    }
}
