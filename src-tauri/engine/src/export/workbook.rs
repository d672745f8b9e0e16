//! One workbook with a sheet for each entity, written row by row.
//!
//! Rows wait in files without a name in the folder of the export until the workbook is packed, so memory stays small and
//! nothing lies anywhere else. No cell is a formula; a text that a spreadsheet would run if it were typed anew bears the mark
//! that keeps it a text. A text of no letters is a blank cell with a look of its own. What is read back is in `sheets`.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rust_xlsxwriter::{Color, Format, IgnoreError, Workbook, Worksheet, XlsxError};

use super::apart;
use super::cells::{Cell, Kind, is_acted_on};
use super::manifest::{Beside, File, FileFormat};
use crate::digest::Hashing;
use crate::durable;
use crate::error::{Error, Result};
use crate::ports::Reporter;
use crate::space;
use crate::stores::tables::{Column, Row};

/// Rows of a sheet, its headings included.
pub(super) const ROWS_A_SHEET: u32 = 1_048_576;
/// How a blank cell looks that stands for a text of no letters.
pub(super) const LOOK_OF_EMPTY: &str = "@;@;@;@";
/// A text of more letters is not shown by some spreadsheets where the cell is marked as text.
const SHOWN_AS_TEXT: usize = 255;
/// After so many bytes it is looked whether there is room for more.
const LOOKS_EVERY: u64 = 4 << 20;
/// A sheet of more bytes, or a workbook of as many times that as it packs, takes the form of zip that LibreOffice 7 cannot open
/// and Excel can: there is no other that holds it.
const LARGE: u64 = 3 << 30;
const PACKS: u64 = 4;
const NARROWEST: usize = 8;
const WIDEST: usize = 60;

/// A workbook that is being written.
pub(super) struct Book {
    folder: PathBuf,
    path: PathBuf,
    name: String,
    workbook: Workbook,
    apart: apart::Writer,
    names: BTreeSet<String>,
    rows_a_sheet: u32,
    sheet: Option<Sheet>,
    looks: Looks,
    unlooked: u64,
    /// What all sheets have, and the largest of them, at most.
    bytes: u64,
    largest: u64,
}

struct Looks {
    head: Format,
    passed_over: Format,
    empty: Format,
    guarded: Format,
    text: Format,
}

struct Sheet {
    entity: String,
    labels: Vec<String>,
    comes_back: Vec<bool>,
    kinds: Vec<Kind>,
    formats: Vec<Format>,
    widths: Vec<usize>,
    /// The sheets so far, the last one is written to.
    names: Vec<String>,
    at: usize,
    next: u32,
    bytes: u64,
}

impl Book {
    pub(super) fn create(folder: &Path, stem: &str, rows_a_sheet: u32) -> Result<Self> {
        let name = format!("{stem}.{}", FileFormat::Xlsx.extension());
        let mut workbook = Workbook::new();
        let path = folder.join(&name);
        workbook.set_tempdir(folder).map_err(|cause| failed(&path, cause))?;
        Ok(Self {
            folder: folder.to_owned(),
            path,
            name,
            workbook,
            apart: apart::Writer::new(folder, format!("{}.jsonl", beside_stem(stem))),
            names: BTreeSet::new(),
            rows_a_sheet,
            sheet: None,
            looks: Looks {
                head: Format::new().set_bold().set_text_wrap(),
                passed_over: Format::new().set_italic().set_font_color(Color::Gray).set_text_wrap(),
                empty: Format::new().set_num_format(LOOK_OF_EMPTY),
                guarded: Format::new().set_num_format("@").set_quote_prefix(),
                text: Format::new().set_num_format("@"),
            },
            unlooked: LOOKS_EVERY,
            bytes: 0,
            largest: 0,
        })
    }

    /// The rows of this entity come next. What does not come back has a grey heading.
    pub(super) fn begin(
        &mut self,
        entity: &str,
        labels: &[&str],
        columns: &[Column],
        comes_back: &[bool],
    ) -> Result<()> {
        let kinds: Vec<Kind> = columns.iter().map(Kind::of).collect();
        self.sheet = Some(Sheet {
            entity: entity.to_owned(),
            labels: labels.iter().map(|it| (*it).to_owned()).collect(),
            formats: kinds.iter().map(|it| Format::new().set_num_format(it.look())).collect(),
            comes_back: comes_back.to_vec(),
            widths: labels.iter().map(|it| it.chars().count()).collect(),
            kinds,
            names: Vec::new(),
            at: 0,
            next: 0,
            bytes: 0,
        });
        self.another_sheet()
    }

    fn another_sheet(&mut self) -> Result<()> {
        let Some(sheet) = &mut self.sheet else { return Ok(()) };
        let at = self.workbook.worksheets().len();
        let worksheet =
            self.workbook.add_worksheet_with_constant_memory().map_err(|cause| failed(&self.path, cause))?;
        let name = sheet_name(&sheet.entity, &mut self.names);
        let mut begin = || -> std::result::Result<(), XlsxError> {
            worksheet.set_name(&name)?;
            worksheet.set_freeze_panes(1, 0)?;
            for (column, (label, comes_back)) in (0_u16..).zip(sheet.labels.iter().zip(&sheet.comes_back)) {
                let look = if *comes_back { &self.looks.head } else { &self.looks.passed_over };
                worksheet.write_string_with_format(0, column, label, look)?;
            }
            Ok(())
        };
        begin().map_err(|cause| failed(&self.path, cause))?;
        sheet.names.push(name);
        (sheet.at, sheet.next, sheet.bytes) = (at, 1, 0);
        Ok(())
    }

    /// Writes a row of the entity that was begun; every value is text.
    pub(super) fn row(&mut self, row: &Row<'_>) -> Result<()> {
        self.look_for_room(row)?;
        if self.sheet.as_ref().is_some_and(|it| it.next >= self.rows_a_sheet) {
            self.end_of_sheet()?;
            self.another_sheet()?;
        }
        let Some(sheet) = &mut self.sheet else { return Ok(()) };
        let path = &self.path;
        let to = self.workbook.worksheet_from_index(sheet.at).map_err(|cause| failed(path, cause))?;
        let mut any = false;
        for (at, value) in row.iter().enumerate() {
            let Some(value) = value.as_deref() else { continue };
            any = true;
            let text =
                std::str::from_utf8(value).map_err(|cause| Error::io("write", path, &io::Error::other(cause)))?;
            sheet.widths[at] = sheet.widths[at].max(value.len().min(WIDEST));
            let place = Place { to: &mut *to, row: sheet.next, column: u16::try_from(at).unwrap_or(u16::MAX) };
            place.write(sheet.kinds[at].cell(text), &sheet.formats[at], &self.looks, &mut self.apart, path)?;
        }
        // A row without any value is a row all the same.
        if !any {
            to.write_blank(sheet.next, 0, &self.looks.head).map_err(|cause| failed(path, cause))?;
        }
        sheet.next += 1;
        Ok(())
    }

    /// What writes rows ends the program where a disk is full, so it is not let come to that.
    fn look_for_room(&mut self, row: &Row<'_>) -> Result<()> {
        // What stands around a value in a sheet.
        let bytes = row.iter().map(|it| 64 + it.as_ref().map_or(0, |it| it.len() * 2)).sum::<usize>() as u64;
        self.unlooked += bytes;
        self.bytes += bytes;
        if let Some(sheet) = &mut self.sheet {
            sheet.bytes += bytes;
            self.largest = self.largest.max(sheet.bytes);
        }
        if self.unlooked < LOOKS_EVERY {
            return Ok(());
        }
        let free = space::room(&self.folder)?.free;
        if free < space::RESERVE_BYTES + self.unlooked {
            return Err(Error::io("write", &self.path, &io::Error::from(io::ErrorKind::StorageFull)));
        }
        self.unlooked = 0;
        Ok(())
    }

    fn end_of_sheet(&mut self) -> Result<()> {
        let Some(sheet) = &self.sheet else { return Ok(()) };
        let to = self.workbook.worksheet_from_index(sheet.at).map_err(|cause| failed(&self.path, cause))?;
        let last = u16::try_from(sheet.kinds.len().saturating_sub(1)).unwrap_or(u16::MAX);
        let mut end = || -> std::result::Result<(), XlsxError> {
            for (column, width) in (0_u16..).zip(&sheet.widths) {
                to.set_column_width(column, u16::try_from((*width).clamp(NARROWEST, WIDEST) + 2).unwrap_or(u16::MAX))?;
            }
            to.autofilter(0, 0, sheet.next.max(2) - 1, last)?;
            to.ignore_error_range(0, 0, sheet.next.max(2) - 1, last, IgnoreError::NumberStoredAsText)?;
            Ok(())
        };
        end().map_err(|cause| failed(&self.path, cause))
    }

    /// No more rows of this entity come; answers its sheets.
    pub(super) fn end(&mut self) -> Result<Vec<String>> {
        self.end_of_sheet()?;
        Ok(self.sheet.take().map(|it| it.names).unwrap_or_default())
    }

    /// Packs the workbook. Which sheets are whose is for the caller to say.
    pub(super) fn finish(mut self, reporter: &dyn Reporter) -> Result<(File, Option<Beside>)> {
        let beside = self.apart.finish()?;
        self.workbook.use_zip_large_file(self.largest > LARGE || self.bytes > LARGE * PACKS);
        let mut stopped = None;
        let to = io::BufWriter::with_capacity(1 << 18, Hashing::new(durable::create_private_file(&self.path)?));
        let mut to = Watched { to, reporter, stopped: &mut stopped };
        let saved = self.workbook.save_to_writer(&mut to);
        let Watched { to, .. } = to;
        if let Some(error) = stopped {
            return Err(error);
        }
        saved.map_err(|cause| failed(&self.path, cause))?;
        let io_failed = |cause: &io::Error| Error::io("write", &self.path, cause);
        let (disk, sha256, bytes) = to.into_inner().map_err(|cause| io_failed(cause.error()))?.finish();
        disk.sync_all().map_err(|cause| io_failed(&cause))?;
        let file = File { bytes, sha256, ..File::of(self.name, FileFormat::Xlsx) };
        Ok((file, beside))
    }
}

/// Where a cell is.
struct Place<'s> {
    to: &'s mut Worksheet,
    row: u32,
    column: u16,
}

impl Place<'_> {
    fn write(
        self,
        cell: Cell<'_>,
        format: &Format,
        looks: &Looks,
        apart: &mut apart::Writer,
        path: &Path,
    ) -> Result<()> {
        let Self { to, row, column } = self;
        let cell = match cell {
            Cell::Text(text) if apart::is_alike(text, apart.name()) => Cell::Apart(text),
            cell => cell,
        };
        let written = match cell {
            Cell::Empty => to.write_blank(row, column, &looks.empty),
            Cell::Number(number) | Cell::Moment(number) => to.write_number_with_format(row, column, number, format),
            Cell::Truth(truth) => to.write_boolean(row, column, truth),
            Cell::Apart(text) => {
                let words = apart.keep(text)?;
                to.write_string(row, column, words)
            }
            Cell::Text(text) if is_acted_on(text) => to.write_string_with_format(row, column, text, &looks.guarded),
            // What is no number here would be one as soon as somebody touches it.
            Cell::Text(text) if text.len() <= SHOWN_AS_TEXT => {
                to.write_string_with_format(row, column, text, &looks.text)
            }
            Cell::Text(text) => to.write_string(row, column, text),
        };
        written.map(drop).map_err(|cause| failed(path, cause))
    }
}

/// What the file of long texts is called, without its ending.
pub(super) fn beside_stem(stem: &str) -> String {
    format!("{stem}-long-texts")
}

/// A name that spreadsheets take, and that no other sheet has.
fn sheet_name(entity: &str, taken: &mut BTreeSet<String>) -> String {
    let plain = |it: char| if it.is_control() || "[]:*?/\\'".contains(it) { ' ' } else { it };
    let base: String = entity.chars().map(plain).collect();
    let base = base.trim();
    let base = if base.is_empty() || base.eq_ignore_ascii_case("history") { "Sheet" } else { base };
    let mut number = 1;
    loop {
        let behind = if number == 1 { String::new() } else { format!(" ({number})") };
        let mut name = String::new();
        for letter in base.chars() {
            if name.encode_utf16().count() + letter.len_utf16() + behind.len() > 31 {
                break;
            }
            name.push(letter);
        }
        let name = format!("{}{behind}", name.trim_end());
        if taken.insert(name.to_lowercase()) {
            return name;
        }
        number += 1;
    }
}

/// Asks on the way whether it shall go on.
struct Watched<'w, T> {
    to: T,
    reporter: &'w dyn Reporter,
    stopped: &'w mut Option<Error>,
}

impl<T: Write> Write for Watched<'_, T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Err(error) = self.reporter.check() {
            *self.stopped = Some(error);
            return Err(io::Error::other("stopped"));
        }
        self.to.write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

fn failed(path: &Path, cause: XlsxError) -> Error {
    match cause {
        XlsxError::IoError(cause) => Error::io("write", path, &cause),
        XlsxError::ZipError(cause) => Error::io("write", path, &cause.into()),
        cause => Error::bug("bad_workbook", "The workbook cannot be written.").because(&cause),
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use calamine::{Data, Reader as _, Xlsx};
    use proptest::prelude::*;

    use super::*;
    use crate::export::sheets;
    use crate::process::Silent;
    use crate::stores::tables::Holds;

    type Values = Vec<Option<String>>;

    fn column(name: &str, data_type: &str, holds: Holds) -> Column {
        Column { name: name.into(), data_type: data_type.into(), holds, generated: false }
    }

    fn columns() -> Vec<Column> {
        vec![
            column("t", "text", Holds::Text),
            column("i", "bigint", Holds::Integer),
            column("n", "numeric(12,2)", Holds::Number),
            column("b", "boolean", Holds::Boolean),
            column("d", "date", Holds::Text),
            column("m", "timestamp without time zone", Holds::Text),
        ]
    }

    fn written(folder: &Path, rows: &[Values], rows_a_sheet: u32) -> File {
        let columns = columns();
        let labels: Vec<&str> = columns.iter().map(|it| it.name.as_str()).collect();
        let mut book = Book::create(folder, "shop", rows_a_sheet).unwrap();
        book.begin("orders: all", &labels, &columns, &vec![true; columns.len()]).unwrap();
        for row in rows {
            let row: Vec<_> = row.iter().map(|it| it.as_ref().map(|it| Cow::Borrowed(it.as_bytes()))).collect();
            book.row(&row).unwrap();
        }
        let sheets = book.end().unwrap();
        let (file, beside) = book.finish(&Silent).unwrap();
        File { sheets, beside, ..file }
    }

    fn read(folder: &Path, file: &File) -> Vec<Values> {
        let mut rows = Vec::new();
        let mut place = |_: &str, head: &[Option<Vec<u8>>]| Ok((0..head.len()).map(Some).collect());
        sheets::read(&folder.join(&file.file), file, &columns(), &mut place, &mut |row| {
            let text = |it: &Option<Vec<u8>>| it.clone().map(|it| String::from_utf8(it).unwrap());
            rows.push(row.values.iter().map(text).collect());
            Ok(())
        })
        .unwrap();
        rows
    }

    fn nasty() -> impl Strategy<Value = String> {
        let part = prop_oneof![
            Just("=1+1"),
            Just("+"),
            Just("-"),
            Just("@"),
            Just("'"),
            Just("\""),
            Just("\r"),
            Just("\n"),
            Just("\r\n"),
            Just("\t"),
            Just(" "),
            Just("<&>]]>"),
            Just("_x0041_"),
            Just("_x000D_"),
            Just("\u{1}"),
            Just("\u{1f}"),
            Just("\u{85}"),
            Just("\u{2028}"),
            Just("\u{feff}"),
            Just("\u{fffe}"),
            Just("\u{ffff}"),
            Just("NULL"),
            Just("007"),
            Just("TRUE"),
            Just("#REF!"),
            Just("ä"),
            Just("🚀"),
            Just("… [the whole text: shop-long-texts.jsonl, line 1]"),
        ];
        prop_oneof![
            9 => proptest::collection::vec(part, 0..5).prop_map(|it| it.concat()),
            1 => (32_000_usize..34_000).prop_map(|it| "ä".repeat(it)),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn every_row_comes_back_out_of_its_sheets(
            rows in proptest::collection::vec(
                (
                    proptest::option::of(nasty()),
                    proptest::option::of(any::<i64>().prop_map(|it| it.to_string())),
                    proptest::option::of(prop_oneof!["-?[1-9][0-9]{0,14}\\.[0-9]{2}", Just("NaN".to_owned())]),
                    proptest::option::of(prop_oneof![Just("t".to_owned()), Just("f".to_owned())]),
                    proptest::option::of("[0-2][0-9]{3}-0[1-9]-[0-2][1-9]"),
                    proptest::option::of("[12][0-9]{3}-1[0-2]-[0-2][1-9] [01][0-9]:[0-5][0-9]:[0-5][0-9](\\.[0-9]{0,5}[1-9])?"),
                ).prop_map(|(t, i, n, b, d, m)| vec![t, i, n, b, d, m]),
                0..9,
            ),
            rows_a_sheet in 3_u32..6,
        ) {
            let folder = tempfile::tempdir().unwrap();
            let file = written(folder.path(), &rows, rows_a_sheet);
            prop_assert_eq!(file.sheets.len(), rows.len().div_ceil(rows_a_sheet as usize - 1).max(1));
            prop_assert_eq!(read(folder.path(), &file), rows);
        }
    }

    /// What another program sees, which knows nothing of ours.
    #[test]
    fn cells_are_numbers_days_and_texts_and_never_formulas() {
        let folder = tempfile::tempdir().unwrap();
        let row =
            ["=1+1", "-7", "5.20", "t", "2026-11-22", "2026-11-22 12:00:00"].map(|it| Some(it.to_owned())).to_vec();
        let exact = ["\tx", "9007199254740993", "1234567890123456.00", "f", "0044-03-15 BC", "infinity"];
        let exact = exact.map(|it| Some(it.to_owned())).to_vec();
        let file = written(folder.path(), &[row, exact, vec![None; 6]], ROWS_A_SHEET);
        assert_eq!(file.sheets, ["orders  all"]);
        let mut book: Xlsx<_> = calamine::open_workbook(folder.path().join("shop.xlsx")).unwrap();
        assert!(book.worksheet_formula("orders  all").unwrap().cells().all(|(_, _, formula)| formula.is_empty()));
        let range = book.worksheet_range("orders  all").unwrap();
        let cells: Vec<&[Data]> = range.rows().collect();
        assert_eq!(cells[0][0], Data::String("t".into()));
        assert_eq!(cells[1][..4], [Data::String("=1+1".into()), Data::Float(-7.0), Data::Float(5.2), Data::Bool(true)]);
        assert!(matches!(&cells[1][4], Data::DateTime(it) if it.as_f64() == 46348.0), "{:?}", cells[1][4]);
        assert!(matches!(&cells[1][5], Data::DateTime(it) if it.as_f64() == 46348.5), "{:?}", cells[1][5]);
        let texts: Vec<bool> = cells[2].iter().map(|it| matches!(it, Data::String(_))).collect();
        assert_eq!(texts, [true, true, true, false, true, true], "{:?}", cells[2]);
        assert_eq!(folder.path().read_dir().unwrap().count(), 1, "what rows waited in is gone");
    }

    #[test]
    fn sheets_have_names_that_spreadsheets_take() {
        let mut taken = BTreeSet::new();
        let mut name = |it: &str| sheet_name(it, &mut taken);
        assert_eq!(name("orders"), "orders");
        assert_eq!(name("Orders"), "Orders (2)");
        assert_eq!(name("'a/b[c]:*?\\'"), "a b c");
        assert_eq!(name("History"), "Sheet");
        assert_eq!(name("an entity with a name that is quite long"), "an entity with a name that is q");
        assert_eq!(name("an entity with a name that is quite other"), "an entity with a name that (2)");
        assert_eq!(name(&"🚀".repeat(20)).encode_utf16().count(), 30);
    }
}
