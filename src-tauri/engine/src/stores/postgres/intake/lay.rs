//! Rows laid down beside the tables, as texts.

use std::io::{self, Read};
use std::sync::mpsc;
use std::time::Duration;

use super::{PostgresIntake, SCHEMA};
use crate::error::{Error, Result};
use crate::ports::{Pipes, Reporter};
use crate::stores::intake::Rows;
use crate::stores::postgres::answer;
use crate::stores::postgres::dump::patience;
use crate::stores::postgres::quote::literal;

impl PostgresIntake {
    fn furnish(&mut self) -> Result<()> {
        let is_there =
            self.session.finds(&format!("SELECT 1 AS one FROM pg_namespace WHERE nspname = {}", literal(SCHEMA)))?;
        if !is_there {
            self.session.run(&format!("CREATE SCHEMA {SCHEMA}"))?;
            let words =
                "What Liftlock brought in, so that it can be taken back. It can be dropped once that is settled.";
            self.session.run(&format!("COMMENT ON SCHEMA {SCHEMA} IS {}", literal(words)))?;
        }
        self.session.run(&format!(
            "CREATE TABLE IF NOT EXISTS {SCHEMA}.came (at bigint GENERATED ALWAYS AS IDENTITY, source text NOT NULL, \
             run text NOT NULL, entity text NOT NULL, row_key text NOT NULL, target text NOT NULL, pk jsonb NOT NULL, \
             new_id text, act text NOT NULL, before jsonb, mark text, PRIMARY KEY (source, entity, row_key))"
        ))?;
        self.session.run(&format!("CREATE INDEX IF NOT EXISTS came_run ON {SCHEMA}.came (run)"))
    }

    pub(super) fn lay(
        &mut self,
        number: usize,
        width: usize,
        key: &[usize],
        rows: &mut Rows<'_>,
        reporter: &dyn Reporter,
    ) -> Result<u64> {
        self.furnish()?;
        let table = format!("{SCHEMA}.s_{number}");
        let names: String = (0..width).map(|at| format!(", c{at}")).collect();
        let columns: String = (0..width).map(|at| format!(", c{at} text")).collect();
        self.session.run(&format!("DROP TABLE IF EXISTS {table}"))?;
        self.session.run(&format!("CREATE UNLOGGED TABLE {table} (n bigint PRIMARY KEY{columns}, k text)"))?;
        let invocation = self
            .client
            .invoke("psql", &self.database)
            .args(["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--set=SHOW_CONTEXT=never"])
            .arg("--command")
            .arg(format!("COPY {table} (n{names}) FROM STDIN"))
            .env("PGCLIENTENCODING", "UTF8");
        let (to, from) = mpsc::sync_channel::<Vec<u8>>(4);
        let runner = self.client.runner();
        let (laid, ended) = std::thread::scope(|scope| {
            let server = scope.spawn(|| {
                let mut stdin = Blocks { from, block: Vec::new(), at: 0 };
                let pipes = Pipes { stdin: Some(&mut stdin), stdout: None };
                runner.pipe(&invocation, pipes, patience(Duration::from_secs(600)), &[], reporter)
            });
            let laid = send(rows, &to);
            drop(to);
            let ended =
                server.join().unwrap_or_else(|_| Err(Error::bug("panic", "A thread of the import has panicked.")));
            (laid, ended)
        });
        let ended = ended?;
        if !ended.succeeded() {
            return Err(answer::from_words("take the rows", &ended.stderr));
        }
        let laid = laid?;
        self.call_the_nameless(&table, width, key, reporter)?;
        self.watched(&format!("ANALYZE {table}"), reporter)?;
        Ok(laid)
    }

    /// A row without a key of its own (the table has none, or a person added the row) is known by what it holds: a number
    /// would name another row once some of them were corrected in a file of their own.
    fn call_the_nameless(&mut self, table: &str, width: usize, key: &[usize], reporter: &dyn Reporter) -> Result<()> {
        let missing: Vec<String> = key.iter().map(|at| format!("c{at} IS NULL")).collect();
        let missing = if missing.is_empty() { "true".to_owned() } else { missing.join(" OR ") };
        let values: Vec<String> = (0..width).map(|at| format!("c{at}")).collect();
        let whole = format!("ARRAY[{}]::text[]::text", values.join(", "));
        self.watched(
            &format!(
                "UPDATE {table} s SET k = '#' || h.hash || '/' || h.nth FROM (SELECT n, md5({whole}) AS hash, \
                 row_number() OVER (PARTITION BY md5({whole}) ORDER BY n) AS nth FROM {table} WHERE {missing}) h \
                 WHERE h.n = s.n"
            ),
            reporter,
        )
    }
}

/// Writes each row in the text form of `COPY`.
fn send(rows: &mut Rows<'_>, to: &mpsc::SyncSender<Vec<u8>>) -> Result<u64> {
    const BLOCK: usize = 1 << 17;
    let gone = || Error::failed("rows_not_taken", "The database stopped taking rows.").remedy("Look at the details.");
    let mut number = 0_u64;
    let mut block = Vec::with_capacity(BLOCK + 4096);
    rows(&mut |row| {
        number += 1;
        block.extend_from_slice(number.to_string().as_bytes());
        for value in row {
            block.push(b'\t');
            match value {
                None => block.extend_from_slice(b"\\N"),
                Some(value) => escape(value, &mut block),
            }
        }
        block.push(b'\n');
        if block.len() >= BLOCK {
            let full = std::mem::replace(&mut block, Vec::with_capacity(BLOCK + 4096));
            to.send(full).map_err(|_| gone())?;
        }
        Ok(())
    })?;
    if !block.is_empty() {
        to.send(block).map_err(|_| gone())?;
    }
    Ok(number)
}

fn escape(value: &[u8], to: &mut Vec<u8>) {
    for byte in value {
        match byte {
            b'\\' => to.extend_from_slice(b"\\\\"),
            b'\t' => to.extend_from_slice(b"\\t"),
            b'\n' => to.extend_from_slice(b"\\n"),
            b'\r' => to.extend_from_slice(b"\\r"),
            other => to.push(*other),
        }
    }
}

struct Blocks {
    from: mpsc::Receiver<Vec<u8>>,
    block: Vec<u8>,
    at: usize,
}

impl Read for Blocks {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.at >= self.block.len() {
            match self.from.recv() {
                Ok(block) => (self.block, self.at) = (block, 0),
                Err(_) => return Ok(0),
            }
        }
        let count = into.len().min(self.block.len() - self.at);
        into[..count].copy_from_slice(&self.block[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}
