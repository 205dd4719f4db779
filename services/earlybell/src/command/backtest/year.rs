//! Which school year is judged: the one that `--year` names, else the last that has marks and is not ahead. A mistyped year
//! must not decide it.

use super::read::Input;
use anyhow::bail;
use attendance::SchoolYear;
use ingest::parse::registers_csv::LastYear;

/// Registers up to which year are taken. `present` is the school year of today.
pub(crate) fn last_taken(named: Option<SchoolYear>, present: SchoolYear) -> LastYear {
    let why = if named.is_some() {
        "the one that --year names; correct the date, or name the later year with it"
    } else {
        "the present one; correct the date, or name a later year to be judged with --year"
    };
    LastYear { year: named.unwrap_or(present), why }
}

/// The year to be judged. `refused` rows there were.
pub(crate) fn judged(input: &Input, named: Option<SchoolYear>, refused: u64) -> anyhow::Result<SchoolYear> {
    let year = named.or_else(|| input.last_year());
    if let Some(year) = year.filter(|year| input.has_marks(*year)) {
        return Ok(year);
    }
    let years: Vec<String> = input.years().iter().map(|(year, rows)| format!("{year} (rows: {rows})")).collect();
    let years = years.join(", ");
    match named {
        _ if input.rows() == 0 => {
            bail!("there is no mark to judge: no file has a row below its header; export the registers once more")
        }
        _ if years.is_empty() => {
            bail!(
                "there is no mark to judge: every row ({refused}) was refused; --rejected OUT.csv tells why and what to do"
            )
        }
        Some(year) => {
            bail!(
                "there is no mark to judge in {year}, which --year names; there are marks of {years}: name one of these"
            )
        }
        None => bail!("there is no mark to judge up to the present school year, but of {years}: name one with --year"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_name_nothing_after_the_present_year_is_taken() {
        let [present, later] = [2025, 2031].map(SchoolYear::beginning);
        assert_eq!(last_taken(None, present).year, present);
        assert_eq!(last_taken(Some(later), present).year, later, "invented data may be of any year");
    }
}
