//! Registers as CSV, in the order of sending: what `POST /v1/registers` and `backtest` read. Takes days; keeps nothing.

use std::io::Write;

use crate::stream::SchoolDay;
use crate::types::Sending;

/// The columns.
pub const COLUMNS: [&str; 7] = ["school_urn", "date", "session", "upn", "code", "minutes_late", "revised_at"];

/// Writes a row a mark. An exact duplicate is written twice, as it is sent.
pub fn write_registers_csv<W: Write>(days: impl Iterator<Item = SchoolDay>, out: W) -> Result<(), csv::Error> {
    let mut writer = csv::Writer::from_writer(out);
    writer.write_record(COLUMNS)?;
    for day in days {
        for sending in &day.sendings {
            write_sending(&mut writer, sending)?;
        }
    }
    writer.flush()?;
    Ok(())
}

fn write_sending<W: Write>(writer: &mut csv::Writer<W>, sending: &Sending) -> Result<(), csv::Error> {
    let register = &sending.register;
    // The four fields that all rows of a register share are made once.
    let urn = register.school_urn.to_string();
    let date = register.date.to_string();
    let revised_at = register.revised_at.to_string();
    for mark in &register.marks {
        let minutes = mark.minutes_late.map(|minutes| minutes.to_string()).unwrap_or_default();
        let session = register.session.text();
        let upn = mark.upn.bytes();
        let upn = str::from_utf8(&upn).unwrap_or_default();
        writer.write_record([&urn, &date, session, upn, mark.code.text(), &minutes, &revised_at])?;
    }
    Ok(())
}
