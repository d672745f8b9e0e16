use std::io::Cursor;

use proptest::prelude::*;

use super::*;

fn sifted(text: &str) -> (String, Result<Tally>) {
    let mut sifted = Sifted::new(Cursor::new(text.as_bytes().to_vec()));
    let mut out = Vec::new();
    let read = sifted.read_to_end(&mut out);
    let tally = std::mem::take(&mut sifted.tally);
    let end = match sifted.refused.take() {
        Some(refused) => Err(refused),
        None => read.map(|_| tally).map_err(|it| Error::failed("io", it.to_string())),
    };
    (String::from_utf8(out).unwrap(), end)
}

fn class(text: &str) -> String {
    sifted(text).1.unwrap_err().class.into_owned()
}

const DUMP: &str = r#"--
-- PostgreSQL database dump
--

\restrict abc

-- Dumped from database version 15.18 (Debian)
-- Dumped by pg_dump version 15.18 (Debian)

SET statement_timeout = 0;
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
CREATE EXTENSION IF NOT EXISTS pg_trgm WITH SCHEMA extra;
COMMENT ON EXTENSION pg_trgm IS 'it''s; similar';
CREATE FUNCTION public.f() RETURNS text LANGUAGE plpgsql AS $_$
BEGIN -- \! not a command; $1
  RETURN E'\\!; \'';
END $_$;
ALTER FUNCTION public.f() OWNER TO somebody;
CREATE FUNCTION public.g() RETURNS int LANGUAGE sql
    BEGIN ATOMIC
 SELECT CASE WHEN true THEN 1 END;
 SELECT 2;
END;
CREATE TABLE public.orders (
    id integer, "Note" text DEFAULT 'a;\b' /* \c /* nested; */ */
);
CREATE TABLE public."Odd.name" (id integer);
COPY public.orders (id, "Note") FROM stdin;
1	one\ntwo
2	\\.
3	\N
\.


COPY public."Odd.name" (id) FROM stdin;
\.
INSERT INTO public.orders VALUES (4, 'x');
GRANT SELECT ON TABLE public.orders TO reader;
--
-- PostgreSQL database dump complete
--

\unrestrict abc
"#;

#[test]
fn what_pg_dump_writes_is_understood_and_let_through() {
    let (out, tally) = sifted(DUMP);
    let tally = tally.unwrap();
    assert!(tally.is_of_pg_dump && tally.is_whole);
    assert_eq!(tally.server_version.as_deref(), Some("15.18 (Debian)"));
    let copied = [("public.orders", 3), ("\"public\".\"Odd.name\"", 0)];
    assert_eq!(tally.copied, copied.map(|(name, rows)| (name.to_owned(), rows)).into());
    assert_eq!(tally.inserted.get("public.orders"), Some(&1));
    assert_eq!(tally.extensions.get("pg_trgm"), Some(&Some("extra".to_owned())));
    assert_eq!(tally.tables.len(), 2);
    for kept in ["RETURN E'\\\\!; \\'';", "SELECT 2;\nEND;", "2\t\\\\.\n", "\\.\n", "/* nested; */ */"] {
        assert!(out.contains(kept), "{kept} in {out}");
    }
    for left in ["OWNER TO", "GRANT", "EXTENSION", "restrict"] {
        assert!(!out.contains(left), "{left} in {out}");
    }
}

#[test]
fn what_speaks_to_psql_or_reaches_beyond_the_database_is_refused() {
    for (text, wanted) in [
        ("\\! touch /tmp/canary\n", "sql_commands_for_psql"),
        ("SELECT 1 \\g |sh\n", "sql_commands_for_psql"),
        ("CREATE TABLE a (b int); \\! id\n", "sql_commands_for_psql"),
        ("\\connect other\n", "sql_commands_for_psql"),
        ("\\copy a from program 'id'\n", "sql_commands_for_psql"),
        ("COPY a TO PROGRAM 'id';\n", "sql_touches_files"),
        ("copy /* from stdin */ a from '/etc/passwd';\n", "sql_touches_files"),
        ("COPY (SELECT 1) TO '/tmp/x';\n", "sql_touches_files"),
        ("COPY a FROM stdin BINARY;\n", "sql_touches_files"),
        ("COPY a FROM stdin; SELECT 1;\n", "sql_unclear"),
        ("SET standard_conforming_strings = off;\n", "sql_unclear"),
        ("DROP ROLE postgres;\n", "sql_beyond_database"),
        ("CREATE DATABASE other;\n", "sql_beyond_database"),
        ("ALTER SYSTEM SET x = 1;\n", "sql_beyond_database"),
        ("-- remark\nCREATE USER a;\n", "sql_beyond_database"),
        ("LOAD '/tmp/x.so';\n", "sql_beyond_database"),
        ("-- PostgreSQL database cluster dump\n", "dump_of_a_cluster"),
        ("CREATE TABLE a (b int\n", "file_truncated"),
        ("SELECT 'abc\n", "file_truncated"),
        ("COPY public.a (b) FROM stdin;\n1\n2\n", "file_truncated"),
        ("SELECT $a$ \\! no end\n", "file_truncated"),
    ] {
        assert_eq!(class(text), wanted, "{text}");
    }
}

#[test]
fn commands_that_make_room_first_are_left_out_of_a_new_database() {
    let (out, tally) = sifted(
        "ALTER TABLE ONLY public.a DROP CONSTRAINT b;\nDROP TABLE public.a;\nDROP SCHEMA public;\nCREATE SCHEMA public;\n\
         CREATE TABLE public.a (b int);\nALTER TABLE public.a ALTER b DROP DEFAULT;\n",
    );
    assert_eq!(tally.unwrap().left_out.values().sum::<u64>(), 4);
    assert!(out.contains("CREATE TABLE") && out.contains("DROP DEFAULT") && !out.contains("CONSTRAINT"), "{out}");
}

#[test]
fn rows_are_counted_also_where_a_statement_brings_several() {
    let (_, tally) = sifted(
        "INSERT INTO a VALUES (1, ')('), (f(2), $$),($$), (3, E'\\'),(');\nINSERT INTO a (b, c) VALUES (1, 2);\n\
         INSERT INTO a DEFAULT VALUES;\nINSERT INTO a SELECT (1), (2);\n",
    );
    assert_eq!(tally.unwrap().inserted, [("public.a".to_owned(), 6)].into());
}

#[test]
fn names_in_latin1_are_read_as_they_are_meant() {
    let text = b"SET client_encoding = 'LATIN1';\nCOPY public.\"Gr\xf6\xdfen\" (\"L\xe4nge\") FROM stdin;\n\xe9\n\\.\n";
    let tally = Sifted::new(Cursor::new(text.to_vec())).through().unwrap();
    assert_eq!(tally.copied, [("public.Größen".to_owned(), 1)].into());
}

#[test]
fn names_without_a_schema_are_of_the_one_that_was_set() {
    let (_, tally) = sifted("SET search_path = shop, pg_catalog;\nCOPY Items (a) FROM stdin;\n1\n\\.\n");
    assert_eq!(tally.unwrap().copied, [("shop.items".to_owned(), 1)].into());
}

proptest! {
    /// Whatever is in a row stays in it, and nothing that is no row is counted.
    #[test]
    fn rows_are_counted_as_they_are(rows in proptest::collection::vec("[a-z;'\"$\\\\t-]{0,30}", 0..50)) {
        let rows: Vec<String> = rows.into_iter().filter(|it| it != "\\.").collect();
        let text = format!("COPY a (b) FROM stdin;\n{}\\.\nSELECT 1;\n", rows.iter().map(|it| format!("{it}\n")).collect::<String>());
        let (out, tally) = sifted(&text);
        prop_assert_eq!(tally.unwrap().copied["public.a"], rows.len() as u64);
        prop_assert!(out.ends_with("\\.\nSELECT 1;\n"));
    }

    /// No input makes it panic.
    #[test]
    fn anything_can_be_read(text in "[\\x00-\\x7f]{0,200}") {
        let _ = sifted(&text);
    }
}
