//! How a column of SQL Server is asked for, so that what the protocol brings is exact.
//!
//! Most types come as they are, and our client tells them to the last digit. What would go through a floating point number
//! on the way (`money`), through a code page (`varchar`) or comes as the bytes of a library of .NET (`hierarchyid`) is made
//! into something exact by the server itself.

use crate::stores::tables::{Column, Holds};

/// A column as the catalog has it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Declared<'d> {
    /// Its type, or what the type of its own is made of.
    pub(super) base: &'d str,
    /// Bytes; -1 where there is no limit.
    pub(super) length: i32,
    pub(super) precision: u8,
    pub(super) scale: u8,
}

/// A name in a statement.
pub(super) fn ident(name: &str) -> String {
    format!("[{}]", name.replace(']', "]]"))
}

/// The name of a type without its length: `decimal` of `decimal(19,4)`.
pub(super) fn base(data_type: &str) -> &str {
    data_type.split('(').next().unwrap_or_default()
}

/// The whole type in words: `decimal(19,4)`, `nvarchar(max)`.
pub(super) fn data_type(it: Declared<'_>) -> String {
    let Declared { base, length, precision, scale } = it;
    let sized = |length: i32| if length < 0 { format!("{base}(max)") } else { format!("{base}({length})") };
    match base {
        "decimal" | "numeric" => format!("{base}({precision},{scale})"),
        "datetime2" | "datetimeoffset" | "time" => format!("{base}({scale})"),
        "char" | "varchar" | "binary" | "varbinary" => sized(length),
        // They count letters, of two bytes each.
        "nchar" | "nvarchar" => sized(if length < 0 { length } else { length / 2 }),
        // An old name, which elsewhere is a moment.
        "timestamp" => "rowversion".to_owned(),
        _ => base.to_owned(),
    }
}

/// What a column holds, by its whole type.
pub(super) fn holds(data_type: &str) -> Holds {
    match base(data_type) {
        "tinyint" | "smallint" | "int" | "bigint" => Holds::Integer,
        "decimal" | "numeric" | "money" | "smallmoney" | "real" | "float" => Holds::Number,
        "bit" => Holds::Boolean,
        _ => Holds::Text,
    }
}

/// Whether a value is letters, whatever they stand in.
fn is_text(base: &str) -> bool {
    matches!(base, "char" | "varchar" | "nchar" | "nvarchar" | "text" | "ntext")
}

/// How the column is asked for.
pub(super) fn asked(column: &Column) -> String {
    let name = ident(&column.name);
    let length = column.data_type.split_once('(').map_or("max", |(_, rest)| rest.trim_end_matches(')'));
    match base(&column.data_type) {
        "tinyint" | "smallint" | "int" | "bigint" | "bit" | "decimal" | "numeric" | "real" | "float" | "date"
        | "time" | "datetime" | "datetime2" | "smalldatetime" | "datetimeoffset" | "uniqueidentifier" | "binary"
        | "varbinary" | "rowversion" | "nchar" | "nvarchar" => name,
        "money" => format!("CAST({name} AS decimal(19,4))"),
        "smallmoney" => format!("CAST({name} AS decimal(10,4))"),
        // Letters of a code page, each of which is one of Unicode and may be no longer than that.
        "char" | "varchar" => {
            let length = if length.parse::<u32>().is_ok_and(|it| it <= 4000) { length } else { "max" };
            format!("CAST({name} AS nvarchar({length}))")
        }
        "text" => format!("CAST(CAST({name} AS varchar(max)) AS nvarchar(max))"),
        "image" => format!("CAST({name} AS varbinary(max))"),
        // Money in it would come as a floating point number; all else says itself what it is.
        "sql_variant" => format!(
            "CASE WHEN SQL_VARIANT_PROPERTY({name}, 'BaseType') IN ('money', 'smallmoney') \
             THEN CAST(CAST({name} AS decimal(19,4)) AS sql_variant) ELSE {name} END"
        ),
        "hierarchyid" => format!("{name}.ToString()"),
        "geography" | "geometry" => {
            format!("'SRID=' + CAST({name}.STSrid AS nvarchar(10)) + ';' + {name}.AsTextZM()")
        }
        // A type of .NET that somebody made.
        "clr" => format!("CAST({name} AS varbinary(max))"),
        // xml, ntext, json, and what is not known yet.
        _ => format!("CAST({name} AS nvarchar(max))"),
    }
}

/// How rows are put into the order of this column, those without a value last. Texts stand in the order of their bytes: two
/// columns must agree on it, whatever each of them calls alike.
pub(super) fn order(column: &Column) -> String {
    let name = ident(&column.name);
    let by = match base(&column.data_type) {
        base if is_text(base) => format!("CAST(CAST({} AS nvarchar(max)) AS varbinary(max))", asked(column)),
        "xml" | "image" | "geography" | "geometry" | "json" => format!("CAST({name} AS varbinary(max))"),
        _ => name.clone(),
    };
    format!("CASE WHEN {name} IS NULL THEN 1 ELSE 0 END, {by}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(data_type: &str) -> Column {
        Column { name: "a]b".into(), data_type: data_type.into(), holds: holds(data_type), generated: false }
    }

    #[test]
    fn each_type_is_asked_for_in_a_way_that_loses_nothing() {
        assert_eq!(asked(&column("money")), "CAST([a]]b] AS decimal(19,4))");
        assert_eq!(asked(&column("varchar(20)")), "CAST([a]]b] AS nvarchar(20))");
        assert_eq!(asked(&column("varchar(8000)")), "CAST([a]]b] AS nvarchar(max))");
        assert_eq!(asked(&column("varchar(max)")), "CAST([a]]b] AS nvarchar(max))");
        assert_eq!(asked(&column("nvarchar(max)")), "[a]]b]");
        assert_eq!(asked(&column("xml")), "CAST([a]]b] AS nvarchar(max))");
        assert_eq!(asked(&column("hierarchyid")), "[a]]b].ToString()");
        assert_eq!(asked(&column("decimal(38,10)")), "[a]]b]");
    }

    #[test]
    fn types_are_told_in_words() {
        let told = |base, length, precision, scale| data_type(Declared { base, length, precision, scale });
        assert_eq!(told("nvarchar", 100, 0, 0), "nvarchar(50)");
        assert_eq!(told("nvarchar", -1, 0, 0), "nvarchar(max)");
        assert_eq!(told("varbinary", 16, 0, 0), "varbinary(16)");
        assert_eq!(told("numeric", 9, 18, 4), "numeric(18,4)");
        assert_eq!(told("datetime2", 8, 27, 7), "datetime2(7)");
        assert_eq!((told("timestamp", 8, 0, 0), told("money", 8, 19, 4)), ("rowversion".into(), "money".into()));
        assert_eq!((holds("bit"), holds("bigint"), holds("rowversion")), (Holds::Boolean, Holds::Integer, Holds::Text));
    }
}
