//! Tokens and values as they lie on the wire, after MS-TDS 2.2.5 and 2.2.7.

use super::V;

const COLLATION: [u8; 5] = [0x09, 0x04, 0xd0, 0x00, 0x34];

fn units(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// A text behind its number of letters, in one byte.
fn short(text: &str) -> Vec<u8> {
    [vec![u8::try_from(text.encode_utf16().count()).unwrap()], units(text)].concat()
}

fn token(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind][..], &u16::try_from(body.len()).unwrap().to_le_bytes(), body].concat()
}

fn words(kind: u8, number: u32, class: u8, text: &str) -> Vec<u8> {
    let mut body = number.to_le_bytes().to_vec();
    body.extend([1, class]);
    body.extend(u16::try_from(text.encode_utf16().count()).unwrap().to_le_bytes());
    body.extend(units(text));
    body.extend(short("double"));
    body.extend(short(""));
    body.extend(1_u32.to_le_bytes());
    token(kind, &body)
}

pub(super) fn error(number: u32, class: u8, text: &str) -> Vec<u8> {
    words(0xaa, number, class, text)
}

pub(super) fn told(number: u32, class: u8, text: &str) -> Vec<u8> {
    words(0xab, number, class, text)
}

/// Bit 0 says that more comes, bit 1 that it failed, bit 4 that the count counts.
pub(super) fn done(status: u16, rows: u64) -> Vec<u8> {
    let mut token = vec![0xfd];
    token.extend(status.to_le_bytes());
    token.extend(0xc1_u16.to_le_bytes());
    token.extend(rows.to_le_bytes());
    token
}

pub(super) fn changed(what: u8, new: &str, old: &str) -> Vec<u8> {
    token(0xe3, &[vec![what], short(new), short(old)].concat())
}

pub(super) fn collation_changed() -> Vec<u8> {
    token(0xe3, &[&[7, 5][..], &COLLATION, &[0]].concat())
}

pub(super) fn begun(transaction: u64) -> Vec<u8> {
    token(0xe3, &[&[8, 8][..], &transaction.to_le_bytes(), &[0]].concat())
}

pub(super) fn login_ack() -> Vec<u8> {
    let version = [15, 0, 0x10, 0xd8];
    token(0xad, &[&[1, 0x74, 0, 0, 4][..], &short("Microsoft SQL Server"), &version].concat())
}

/// The name of a type and what stands in brackets behind it.
fn parts(data_type: &str) -> (&str, Vec<&str>) {
    match data_type.split_once('(') {
        Some((base, rest)) => (base, rest.trim_end_matches(')').split(',').collect()),
        None => (data_type, Vec::new()),
    }
}

fn scale(data_type: &str, at: usize) -> u8 {
    parts(data_type).1.get(at).map_or(7, |it| it.parse().unwrap())
}

/// How many bytes a value of it has at most; `None` where there is no limit.
fn limit(data_type: &str) -> Option<u16> {
    let (base, sizes) = parts(data_type);
    let size = sizes.first().and_then(|it| it.parse::<u16>().ok())?;
    Some(if base.starts_with('n') { size * 2 } else { size })
}

/// A type of a column that always has a value comes in another form, where it has one.
fn fixed(data_type: &str) -> Option<u8> {
    Some(match data_type {
        "tinyint" => 0x30,
        "bit" => 0x32,
        "smallint" => 0x34,
        "int" => 0x38,
        "bigint" => 0x7f,
        "real" => 0x3b,
        "float" => 0x3e,
        "datetime" => 0x3d,
        "smalldatetime" => 0x3a,
        _ => return None,
    })
}

fn type_info(data_type: &str) -> Vec<u8> {
    let sized = |kind: u8, with_collation: bool| {
        let mut info = vec![kind];
        info.extend(limit(data_type).unwrap_or(0xffff).to_le_bytes());
        if with_collation {
            info.extend(COLLATION);
        }
        info
    };
    match parts(data_type).0 {
        "tinyint" => vec![0x26, 1],
        "smallint" => vec![0x26, 2],
        "int" => vec![0x26, 4],
        "bigint" => vec![0x26, 8],
        "bit" => vec![0x68, 1],
        "decimal" => vec![0x6a, 17, scale(data_type, 0), scale(data_type, 1)],
        "numeric" => vec![0x6c, 17, scale(data_type, 0), scale(data_type, 1)],
        "money" => vec![0x6e, 8],
        "smallmoney" => vec![0x6e, 4],
        "real" => vec![0x6d, 4],
        "float" => vec![0x6d, 8],
        "date" => vec![0x28],
        "time" => vec![0x29, scale(data_type, 0)],
        "datetime2" => vec![0x2a, scale(data_type, 0)],
        "datetimeoffset" => vec![0x2b, scale(data_type, 0)],
        "datetime" => vec![0x6f, 8],
        "smalldatetime" => vec![0x6f, 4],
        "uniqueidentifier" => vec![0x24, 16],
        "binary" => sized(0xad, false),
        "varbinary" => sized(0xa5, false),
        "rowversion" => vec![0xad, 8, 0],
        "varchar" => sized(0xa7, true),
        "nchar" => sized(0xef, true),
        "nvarchar" => sized(0xe7, true),
        "sql_variant" => [&[0x62][..], &8009_u32.to_le_bytes()].concat(),
        other => panic!("the stand-in has no form for {other}, which is to be asked for otherwise"),
    }
}

/// A column of an answer.
pub(super) struct Shape {
    pub(super) name: String,
    pub(super) data_type: String,
    /// It has a value in every row.
    pub(super) is_always: bool,
}

pub(super) fn columns(shapes: &[Shape]) -> Vec<u8> {
    let mut token = vec![0x81];
    token.extend(u16::try_from(shapes.len()).unwrap().to_le_bytes());
    for it in shapes {
        token.extend(0_u32.to_le_bytes());
        token.extend(u16::from(!it.is_always).to_le_bytes());
        match fixed(&it.data_type).filter(|_| it.is_always) {
            Some(kind) => token.push(kind),
            None => token.extend(type_info(&it.data_type)),
        }
        token.extend(short(&it.name));
    }
    token
}

/// A row; one of many columns without a value comes with a map of these.
pub(super) fn row(shapes: &[Shape], values: &[V]) -> Vec<u8> {
    let nothing = values.iter().filter(|it| **it == V::Null).count();
    let is_mapped = nothing * 4 > values.len();
    let mut token = vec![if is_mapped { 0xd2 } else { 0xd1 }];
    if is_mapped {
        let bit = |(at, it): (usize, &V)| u8::from(*it == V::Null) << at;
        token.extend(values.chunks(8).map(|eight| eight.iter().enumerate().map(bit).sum::<u8>()));
    }
    for (shape, value) in shapes.iter().zip(values) {
        if is_mapped && *value == V::Null {
            continue;
        }
        if shape.is_always && fixed(&shape.data_type).is_some() {
            token.extend(bare(&shape.data_type, value));
        } else {
            token.extend(lengthy(&shape.data_type, value));
        }
    }
    token
}

/// A value behind its length.
fn lengthy(data_type: &str, value: &V) -> Vec<u8> {
    let (base, sizes) = parts(data_type);
    let is_endless = sizes.first() == Some(&"max");
    let is_long = matches!(base, "binary" | "varbinary" | "rowversion" | "varchar" | "nchar" | "nvarchar");
    if base == "sql_variant" {
        return match value {
            V::Null => vec![0; 4],
            V::Variant(inner, value) => {
                let said = variant(inner, value);
                [&u32::try_from(said.len()).unwrap().to_le_bytes()[..], &said].concat()
            }
            other => panic!("{other:?} says not what it is"),
        };
    }
    if *value == V::Null {
        return match (is_endless, is_long) {
            (true, _) => vec![0xff; 8],
            (false, true) => vec![0xff; 2],
            (false, false) => vec![0],
        };
    }
    let bytes = bare(data_type, value);
    if is_endless {
        return in_pieces(&bytes);
    }
    if is_long {
        return [&u16::try_from(bytes.len()).unwrap().to_le_bytes()[..], &bytes].concat();
    }
    [vec![u8::try_from(bytes.len()).unwrap()], bytes].concat()
}

/// Whole length, then pieces behind theirs, then none. Every other one does not say its whole length, as servers may.
fn in_pieces(bytes: &[u8]) -> Vec<u8> {
    let known = u64::try_from(bytes.len()).unwrap();
    let mut out = if bytes.len().is_multiple_of(2) { known } else { 0xffff_ffff_ffff_fffe }.to_le_bytes().to_vec();
    // No piece ends with a whole letter by chance.
    for piece in bytes.chunks(4091) {
        out.extend(u32::try_from(piece.len()).unwrap().to_le_bytes());
        out.extend_from_slice(piece);
    }
    out.extend([0; 4]);
    out
}

fn time(digits: u8, parts: u64) -> Vec<u8> {
    let length = match digits {
        0..=2 => 3,
        3..=4 => 4,
        _ => 5,
    };
    parts.to_le_bytes()[..length].to_vec()
}

fn day(days: u32) -> Vec<u8> {
    days.to_le_bytes()[..3].to_vec()
}

/// A value as it is.
fn bare(data_type: &str, value: &V) -> Vec<u8> {
    let (base, _) = parts(data_type);
    match (base, value) {
        ("tinyint", V::Int(it)) => vec![u8::try_from(*it).unwrap()],
        ("smallint", V::Int(it)) => i16::try_from(*it).unwrap().to_le_bytes().to_vec(),
        ("int", V::Int(it)) => i32::try_from(*it).unwrap().to_le_bytes().to_vec(),
        ("bigint", V::Int(it)) => it.to_le_bytes().to_vec(),
        ("bit", V::Bit(it)) => vec![u8::from(*it)],
        ("decimal" | "numeric", V::Decimal(it)) => {
            [vec![u8::from(*it >= 0)], it.unsigned_abs().to_le_bytes().to_vec()].concat()
        }
        ("money", V::Decimal(it)) => {
            let it = i64::try_from(*it).unwrap().to_le_bytes();
            [&it[4..], &it[..4]].concat()
        }
        ("smallmoney", V::Decimal(it)) => i32::try_from(*it).unwrap().to_le_bytes().to_vec(),
        ("real", V::Real(it)) => it.to_le_bytes().to_vec(),
        ("float", V::Float(it)) => it.to_le_bytes().to_vec(),
        ("date", V::Date(it)) => day(*it),
        ("time", V::Time(it)) => time(scale(data_type, 0), *it),
        ("datetime2", V::At(days, parts)) => [time(scale(data_type, 0), *parts), day(*days)].concat(),
        ("datetimeoffset", V::Zoned(days, parts, ahead)) => {
            [time(scale(data_type, 0), *parts), day(*days), ahead.to_le_bytes().to_vec()].concat()
        }
        ("datetime", V::Old(days, parts)) => [days.to_le_bytes(), parts.to_le_bytes()].concat(),
        ("smalldatetime", V::Small(days, minutes)) => [days.to_le_bytes(), minutes.to_le_bytes()].concat(),
        // The first three groups of its letters lie the other way round.
        ("uniqueidentifier", V::Guid(it)) => {
            [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15].map(|at| it[at]).to_vec()
        }
        ("binary" | "varbinary" | "rowversion", V::Bytes(it)) => it.clone(),
        ("nchar" | "nvarchar", V::Text(it)) => units(it),
        ("varchar", V::Text(it)) => {
            it.chars().map(|it| if it == '€' { 0x80 } else { u8::try_from(u32::from(it)).unwrap() }).collect()
        }
        other => panic!("{other:?} has no form"),
    }
}

/// A value with its type before it.
fn variant(data_type: &str, value: &V) -> Vec<u8> {
    let of =
        |kind: u8, about: &[u8]| [&[kind, u8::try_from(about.len()).unwrap()], about, &bare(data_type, value)].concat();
    match parts(data_type).0 {
        "decimal" => of(0x6a, &[scale(data_type, 0), scale(data_type, 1)]),
        "nvarchar" => of(0xe7, &[&COLLATION[..], &8000_u16.to_le_bytes()].concat()),
        "datetime2" => of(0x2a, &[scale(data_type, 0)]),
        "date" => of(0x28, &[]),
        "uniqueidentifier" => of(0x24, &[]),
        "money" => of(0x3c, &[]),
        other => of(fixed(other).unwrap(), &[]),
    }
}
