//! What the stand-in answers: the catalog of its tables, their totals, and their rows.

use std::io;
use std::sync::atomic::Ordering;

use super::wire::{self, Shape};
use super::{Column, Packets, Rows, Shared, Table, V, text};

pub(super) fn answer(sql: &str, shared: &Shared, out: &mut Packets<'_>) -> io::Result<()> {
    let manner = &shared.manner;
    let words = |count: usize| -> Vec<Shape> { (0..count).map(|it| shape(it, "nvarchar(128)")).collect() };
    if sql.get(..4).is_some_and(|it| it.eq_ignore_ascii_case("SET ")) {
        out.say(&wire::done(0, 0))?;
        return out.end();
    }
    if sql.contains("SERVERPROPERTY('ProductVersion')") {
        let shapes = [shape(0, "nvarchar(128)"), shape(1, "int")];
        return told(out, &shapes, [vec![text("15.0.4312.2"), V::Int(i64::from(manner.has_snapshots))]]);
    }
    if sql.contains("sys.foreign_keys f") {
        let of = |it: &Table| -> Vec<Vec<V>> {
            let one = |[column, schema, table, to]: &[&str; 4]| {
                [it.schema, it.name, column, schema, table, to].map(text).to_vec()
            };
            it.refers.iter().map(one).collect()
        };
        return told(out, &words(6), manner.tables.iter().flat_map(of));
    }
    if sql.contains("sys.indexes i") {
        let of = |it: &Table| -> Vec<Vec<V>> {
            it.key.iter().map(|key| [it.schema, it.name, key].map(text).to_vec()).collect()
        };
        return told(out, &words(3), manner.tables.iter().flat_map(of));
    }
    if sql.contains("sys.types y") {
        let mut shapes = words(4);
        shapes.extend((4..9).map(|it| shape(it, "int")));
        let of = |it: &Table| it.columns.iter().map(|column| declared(it, column)).collect::<Vec<_>>();
        return told(out, &shapes, manner.tables.iter().flat_map(of));
    }
    if sql.contains("FROM sys.tables t") {
        return told(out, &words(2), manner.tables.iter().map(|it| vec![text(it.schema), text(it.name)]));
    }
    let Some(table) = manner.tables.iter().find(|it| sql.contains(&format!(" FROM {}", place(it)))) else {
        out.say(&wire::error(208, 16, "Invalid object name."))?;
        out.say(&wire::done(2, 0))?;
        return out.end();
    };
    if table.is_closed {
        out.say(&wire::error(229, 14, &format!("The SELECT permission was denied on the object '{}'.", table.name)))?;
        out.say(&wire::done(2, 0))?;
        return out.end();
    }
    if sql.starts_with("SELECT COUNT_BIG(*)") { totals(sql, table, out) } else { rows(sql, table, shared, out) }
}

fn shape(at: usize, data_type: &str) -> Shape {
    Shape { name: format!("c{at}"), data_type: data_type.to_owned(), is_always: false }
}

fn place(table: &Table) -> String {
    format!("[{}].[{}]", table.schema, table.name)
}

fn told(out: &mut Packets<'_>, shapes: &[Shape], rows: impl IntoIterator<Item = Vec<V>>) -> io::Result<()> {
    out.say(&wire::columns(shapes))?;
    let mut count = 0;
    for row in rows {
        out.say(&wire::row(shapes, &row))?;
        count += 1;
    }
    out.say(&wire::done(0x10, count))?;
    out.end()
}

/// A column as the catalog has it.
fn declared(table: &Table, column: &Column) -> Vec<V> {
    let (base, sizes) = column.data_type.split_once('(').unwrap_or((column.data_type, ""));
    let mut sizes = sizes.trim_end_matches(')').split(',').map(str::parse::<i64>);
    let (first, second) = (sizes.next().and_then(Result::ok), sizes.next().and_then(Result::ok));
    let is_of_letters = matches!(base, "char" | "varchar" | "nchar" | "nvarchar" | "binary" | "varbinary");
    let (length, precision, scale) = match base {
        "decimal" | "numeric" => (17, first.unwrap(), second.unwrap()),
        "datetime2" | "datetimeoffset" | "time" => (8, 0, first.unwrap()),
        base if is_of_letters => (first.map_or(-1, |it| if base.starts_with('n') { it * 2 } else { it }), 0, 0),
        _ => (8, 0, 0),
    };
    // The name that the catalog has for it.
    let base = if base == "rowversion" { "timestamp" } else { base };
    let numbers = [length, precision, scale, i64::from(column.is_computed), 0];
    [table.schema, table.name, column.name, base].map(text).into_iter().chain(numbers.map(V::Int)).collect()
}

fn each(table: &Table) -> Box<dyn Iterator<Item = Vec<V>> + '_> {
    match &table.rows {
        Rows::Are(rows) => Box::new(rows.iter().cloned()),
        Rows::Made(count, make) => Box::new((0..*count).map(make)),
    }
}

/// The pieces between commas that are in no brackets and no quotes.
fn items(list: &str) -> Vec<&str> {
    let (mut depth, mut from, mut until, mut all) = (0, 0, None, Vec::new());
    for (at, sign) in list.char_indices() {
        match (sign, until) {
            // A bracket in a name is written twice, so that the second one opens it again.
            (sign, Some(end)) if sign == end => until = None,
            (_, Some(_)) => {}
            ('[', None) => until = Some(']'),
            ('\'', None) => until = Some('\''),
            (']', None) => until = Some(']'),
            ('(', None) => depth += 1,
            (')', None) => depth -= 1,
            (',', None) if depth == 0 => {
                all.push(list[from..at].trim());
                from = at + 1;
            }
            _ => {}
        }
    }
    all.push(list[from..].trim());
    all
}

/// The column that is named first in it.
fn named(table: &Table, item: &str) -> usize {
    let from = item.find('[').unwrap() + 1;
    let mut name = String::new();
    let mut signs = item[from..].chars().peekable();
    while let Some(sign) = signs.next() {
        match sign {
            ']' if signs.peek() == Some(&']') => name.extend(signs.next()),
            ']' => break,
            other => name.push(other),
        }
    }
    table.columns.iter().position(|it| it.name == name).unwrap_or_else(|| panic!("no column {name}"))
}

fn totals(sql: &str, table: &Table, out: &mut Packets<'_>) -> io::Result<()> {
    let list = sql.trim_start_matches("SELECT ").split(" FROM ").next().unwrap();
    let asked = items(list);
    let mut shapes = Vec::new();
    let mut found: Vec<i128> = vec![0; asked.len()];
    for (at, item) in asked.iter().enumerate() {
        let data_type = match *item {
            "NULL" => "int",
            it if it.contains("decimal(38,0)") => "decimal(38,0)",
            _ => "bigint",
        };
        shapes.push(shape(at, data_type));
    }
    for row in each(table) {
        for (at, item) in asked.iter().enumerate() {
            found[at] += match (*item, shapes[at].data_type.as_str()) {
                ("COUNT_BIG(*)", _) => 1,
                ("NULL", _) => 0,
                (item, "bigint") => i128::from(row[named(table, item)] != V::Null),
                (item, _) => match row[named(table, item)] {
                    V::Int(it) => i128::from(it),
                    V::Null => 0,
                    ref other => panic!("a sum of {other:?}"),
                },
            };
        }
    }
    let value = |(at, item): (usize, &&str)| match (*item, shapes[at].data_type.as_str()) {
        ("NULL", _) => V::Null,
        (_, "bigint") => V::Int(i64::try_from(found[at]).unwrap()),
        _ => V::Decimal(found[at]),
    };
    let row = asked.iter().enumerate().map(value).collect();
    told(out, &shapes, [row])
}

/// What a server makes of an expression.
fn type_of(table: &Table, item: &str) -> String {
    let column = &table.columns[named(table, item)];
    match item.rsplit_once(" AS ") {
        _ if item.contains("SQL_VARIANT_PROPERTY") => "sql_variant".to_owned(),
        _ if item.contains("AsTextZM()") => "nvarchar(max)".to_owned(),
        _ if item.ends_with(".ToString()") => "nvarchar(4000)".to_owned(),
        Some((_, to)) => to.strip_suffix(')').unwrap().to_owned(),
        None => column.data_type.to_owned(),
    }
}

fn rows(sql: &str, table: &Table, shared: &Shared, out: &mut Packets<'_>) -> io::Result<()> {
    let rest = sql.trim().trim_end_matches(';').trim_start_matches("SELECT ");
    let (list, rest) = rest.split_once(&format!(" FROM {}", place(table))).unwrap();
    let asked = items(list);
    let places: Vec<usize> = asked.iter().map(|item| named(table, item)).collect();
    let shapes: Vec<Shape> = asked
        .iter()
        .zip(&places)
        .map(|(item, at)| Shape {
            name: table.columns[*at].name.to_owned(),
            data_type: type_of(table, item),
            is_always: item.starts_with('[') && table.key.contains(&table.columns[*at].name),
        })
        .collect();
    let ordered: Box<dyn Iterator<Item = Vec<V>>> = match rest.split_once("ORDER BY ") {
        Some((_, by)) => {
            let by: Vec<usize> =
                items(by).iter().filter(|it| it.starts_with("CASE WHEN")).map(|it| named(table, it)).collect();
            let mut all: Vec<Vec<V>> = each(table).collect();
            all.sort_by_key(|row| by.iter().map(|at| sorted(&row[*at])).collect::<Vec<_>>());
            Box::new(all.into_iter())
        }
        None => each(table),
    };
    let manner = &shared.manner;
    out.say(&wire::columns(&shapes))?;
    let mut count = 0;
    for row in ordered {
        if manner.dies_after == Some(count) {
            // A part of a row, and no more.
            out.say(&[0xd1, 1])?;
            let said = std::mem::take(&mut out.waiting);
            out.packet(&said, false)?;
            out.wire.flush()?;
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        if let Some((after, number, words)) = manner.fails_after
            && after == count
        {
            out.say(&wire::error(number, 16, words))?;
            out.say(&wire::done(2, count))?;
            return out.end();
        }
        let values: Vec<V> = asked.iter().zip(&places).map(|(item, at)| made(item, row[*at].clone())).collect();
        out.say(&wire::row(&shapes, &values))?;
        count += 1;
        shared.rows.fetch_add(1, Ordering::Relaxed);
    }
    out.say(&wire::done(0x10, count))?;
    out.end()
}

/// What a server makes of a value.
fn made(item: &str, value: V) -> V {
    match value {
        V::Variant("money", it) if item.contains("CAST(CAST(") => V::Variant("decimal(19,4)", it),
        other => other,
    }
}

/// What decides the order: whether it is there, then a number, then the bytes of a text as the server has them.
fn sorted(value: &V) -> (bool, i64, Vec<u8>) {
    match value {
        V::Null => (true, 0, Vec::new()),
        V::Int(it) => (false, *it, Vec::new()),
        V::Text(it) => (false, 0, it.encode_utf16().flat_map(u16::to_le_bytes).collect()),
        other => panic!("the stand-in cannot order by {other:?}"),
    }
}
