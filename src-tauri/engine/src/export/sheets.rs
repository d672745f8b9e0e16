//! The sheets of a workbook read back row by row: as they were written, or as a spreadsheet saved them since.

use std::fs::File as Disk;
use std::io::BufReader;
use std::path::Path;

use calamine::{DataRef, ExcelDateTime, Reader as _, Xlsx, XlsxError};
use chrono::NaiveDate;

use super::apart;
use super::cells::Kind;
use super::manifest::File;
use super::workbook::LOOK_OF_EMPTY;
use crate::durable;
use crate::error::{Error, Result};
use crate::stores::tables::Column;

/// A row of a sheet.
#[derive(Debug)]
pub struct SheetRow<'r> {
    /// The sheet.
    pub sheet: &'r str,
    /// Its number there, as spreadsheets count: the headings are row 1.
    pub line: u64,
    /// For each column of the entity its value, as the database wrote it.
    pub values: &'r [Option<Vec<u8>>],
    /// Whether any cell of it holds anything.
    pub is_filled: bool,
}

/// For each column of the entity where it stands among the headings of a sheet.
pub type Places = Vec<Option<usize>>;
/// Answers them for the name of a sheet and its headings.
pub type Place<'p> = dyn FnMut(&str, &[Option<Vec<u8>>]) -> Result<Places> + 'p;

/// Tells every row of an entity to `take`, sheet after sheet. `place` is given the name of each sheet and its headings.
///
/// # Errors
/// `bad_workbook`, `sheet_missing`, `bad_row` with sheet, row and column; what `place`, `take` or the disk answered.
pub fn read(
    path: &Path,
    file: &File,
    columns: &[Column],
    place: &mut Place<'_>,
    take: &mut dyn FnMut(&SheetRow<'_>) -> Result<()>,
) -> Result<()> {
    let disk = BufReader::with_capacity(1 << 16, durable::open_no_follow(path)?);
    let mut book: Xlsx<BufReader<Disk>> = Xlsx::new(disk).map_err(|cause| unreadable(path, &cause))?;
    let folder = path.parent().unwrap_or(path);
    let mut long = file.beside.as_ref().map(|it| apart::Reader::open(folder, &it.file)).transpose()?;
    let kinds: Vec<Kind> = columns.iter().map(Kind::of).collect();
    let known = book.sheet_names();
    for sheet in &file.sheets {
        let Some(name) = known.iter().find(|it| it.eq_ignore_ascii_case(sheet)) else {
            return Err(Error::failed("sheet_missing", format!("{}: the sheet “{sheet}” is missing.", name_of(path)))
                .remedy("Give the sheet its name back, or take the workbook as Liftlock wrote it."));
        };
        let mut rows = Rows { path, sheet: name, kinds: &kinds, long: long.as_mut(), place, take, places: None };
        rows.of(&mut book)?;
    }
    Ok(())
}

struct Rows<'r> {
    path: &'r Path,
    sheet: &'r str,
    kinds: &'r [Kind],
    long: Option<&'r mut apart::Reader>,
    place: &'r mut Place<'r>,
    take: &'r mut dyn FnMut(&SheetRow<'_>) -> Result<()>,
    /// For each column of the sheet the column of the entity.
    places: Option<Vec<Option<usize>>>,
}

impl Rows<'_> {
    fn of(&mut self, book: &mut Xlsx<BufReader<Disk>>) -> Result<()> {
        let mut cells = book.worksheet_cells_reader(self.sheet).map_err(|cause| unreadable(self.path, &cause))?;
        // Looks by which a blank cell is an empty text.
        let empties: Vec<bool> = cells
            .styles()
            .iter()
            .map(|it| it.number_format.as_ref().is_some_and(|it| it.format_code == LOOK_OF_EMPTY))
            .collect();
        let mut head: Vec<Option<Vec<u8>>> = Vec::new();
        let mut values = vec![None; self.kinds.len()];
        let (mut at, mut is_filled) = (0, false);
        while let Some((cell, style)) =
            cells.next_cell_with_style_id().map_err(|cause| unreadable(self.path, &cause))?
        {
            let (row, column) = cell.get_position();
            let index = column as usize;
            if row == 0 {
                if head.len() <= index {
                    head.resize(index + 1, None);
                }
                head[index] = self.value(Kind::Text, cell.get_value(), (row, column))?.map(String::into_bytes);
                continue;
            }
            if at == 0 {
                self.found(&head)?;
            } else if row != at {
                self.tell(at, &mut values, &mut is_filled)?;
            }
            at = row;
            let place = self.places.as_ref().and_then(|it| it.get(index).copied().flatten());
            let kind = place.map_or(Kind::Text, |it| self.kinds[it]);
            let is_empty_text = matches!(cell.get_value(), DataRef::Empty) && empties.get(style) == Some(&true);
            let value =
                if is_empty_text { Some(String::new()) } else { self.value(kind, cell.get_value(), (row, column))? };
            is_filled |= value.is_some();
            if let Some(place) = place {
                values[place] = value.map(String::into_bytes);
            }
        }
        if at == 0 { self.found(&head) } else { self.tell(at, &mut values, &mut is_filled) }
    }

    fn found(&mut self, head: &[Option<Vec<u8>>]) -> Result<()> {
        let mut places = vec![None; head.len()];
        for (column, place) in (self.place)(self.sheet, head)?.into_iter().enumerate() {
            if let Some(place) = place.and_then(|it| places.get_mut(it)) {
                *place = Some(column);
            }
        }
        self.places = Some(places);
        Ok(())
    }

    fn tell(&mut self, row: u32, values: &mut [Option<Vec<u8>>], is_filled: &mut bool) -> Result<()> {
        let row = SheetRow { sheet: self.sheet, line: u64::from(row) + 1, values, is_filled: *is_filled };
        (self.take)(&row)?;
        values.fill(None);
        *is_filled = false;
        Ok(())
    }

    fn value(&mut self, kind: Kind, cell: &DataRef<'_>, at: (u32, u32)) -> Result<Option<String>> {
        let text = match cell {
            DataRef::Empty => return Ok(None),
            DataRef::String(text) => text.clone(),
            DataRef::SharedString(text) => (*text).to_owned(),
            DataRef::Int(number) => return Ok(Some(number.to_string())),
            DataRef::Float(number) => return Ok(Some(kind.of_number(*number))),
            DataRef::Bool(truth) => return Ok(Some(kind.of_truth(*truth))),
            DataRef::DateTime(moment) => return Ok(Some(kind.of_moment(days(moment)))),
            DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => text.replacen('T', " ", 1),
            DataRef::Error(what) => return Err(self.bad(at, format!("the cell holds the error {what}"))),
        };
        // What has no letters is nothing, but where a text is expected.
        if text.is_empty() && kind != Kind::Text {
            return Ok(None);
        }
        match self.long.as_mut().map(|it| it.text(&text)) {
            Some(Ok(Some(whole))) => Ok(Some(whole)),
            Some(Err(why)) => Err(self.bad(at, why)),
            Some(Ok(None)) | None => Ok(Some(kind.of_text(text))),
        }
    }

    fn bad(&self, (row, column): (u32, u32), what: String) -> Error {
        let place = place_of(self.path, self.sheet, u64::from(row) + 1, Some(column as usize));
        Error::failed("bad_row", format!("{place}: {what}."))
            .remedy("Correct the cell in a spreadsheet, save the file as .xlsx, then try again.")
    }
}

/// `shop.xlsx, sheet “orders”, row 12, column C`.
pub fn place_of(path: &Path, sheet: &str, line: u64, column: Option<usize>) -> String {
    let column = column.map(|it| format!(", column {}", letters(it))).unwrap_or_default();
    format!("{}, sheet “{sheet}”, row {line}{column}", name_of(path))
}

/// What people call a column: `A`, `B`, …, `AA`.
fn letters(mut column: usize) -> String {
    let mut name = Vec::new();
    loop {
        name.push(b'A' + u8::try_from(column % 26).unwrap_or_default());
        if column < 26 {
            break;
        }
        column = column / 26 - 1;
    }
    name.iter().rev().map(|it| char::from(*it)).collect()
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

/// Some workbooks count their days from 1904.
fn days(moment: &ExcelDateTime) -> f64 {
    let days = moment.as_f64();
    let (year, month, day, ..) = moment.to_ymd_hms_milli();
    let told = NaiveDate::from_ymd_opt(i32::from(year), u32::from(month), u32::from(day))
        .zip(NaiveDate::from_ymd_opt(1899, 12, 30))
        .map(|(told, epoch)| (told - epoch).num_days());
    match told {
        Some(told) if moment.is_datetime() && (told as f64 - days) > 1400.0 => days + 1462.0,
        _ => days,
    }
}

fn unreadable(path: &Path, cause: &XlsxError) -> Error {
    Error::failed("bad_workbook", format!("{} cannot be read as a workbook.", name_of(path)))
        .remedy("Save it again as an Excel workbook (.xlsx) without a password, then try again.")
        .because(cause)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_called_as_spreadsheets_call_them() {
        assert_eq!([0, 25, 26, 701, 702].map(letters), ["A", "Z", "AA", "ZZ", "AAA"]);
    }
}
