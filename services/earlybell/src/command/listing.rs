//! Lists for people and scripts: rows on standard output, fields between tabs; what the fields are, on standard error.

/// Prints rows under their heading; says where there is none.
pub(crate) fn print(fields: &[&str], rows: impl IntoIterator<Item = String>) {
    let mut rows = rows.into_iter().peekable();
    if rows.peek().is_none() {
        eprintln!("there is none");
        return;
    }
    eprintln!("{}", fields.join("\t"));
    for row in rows {
        println!("{row}");
    }
}
