//! A session with the server: one `mariadb` (or `mysql`) that lives as long as the session does, called as the server's own
//! tools are everywhere here.
//!
//! Statements go to its standard input, each followed by one that answers with a random word; a row is a line. The first
//! error ends the session. The password is in a file that only we can read, never in arguments.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use uuid::Uuid;

use super::answer;
use crate::durable;
use crate::error::{Error, Result};
use crate::model::profile::Endpoint;
use crate::ports::{Invocation, Patience, Reporter, Runner};
use crate::process::Silent;
use crate::stores::conversation::{Conversation, Ended};

/// A row: for each column its text as the server gives it. Nothing is `NULL`.
pub(super) type Texts = Vec<Vec<u8>>;

/// What each row is told to.
pub(super) type Take<'t> = dyn FnMut(Texts) -> Result<()> + Send + 't;

/// How a server is reached: cheap to clone, and the file with the password goes with the last one.
#[derive(Clone)]
pub(super) struct Way {
    program: PathBuf,
    runner: Arc<dyn Runner>,
    database: String,
    private: Arc<TempDir>,
}

/// A session.
pub(super) struct Session {
    client: Conversation,
    asked: u64,
    nonce: String,
}

impl Way {
    /// Finds the client, and writes down who we are.
    ///
    /// # Errors
    /// `tools_missing`; `io` and its kin.
    pub(super) fn find(endpoint: &Endpoint, private_dir: &Path, runner: Arc<dyn Runner>) -> Result<Self> {
        let patience = Patience { deadline: Duration::from_secs(20), stall_after: None };
        let works = |name: &&str| {
            let asked = Invocation::new(*name).arg("--version").quiet();
            runner.run(&asked, patience, &[], &Silent).is_ok_and(|it| it.succeeded())
        };
        let program = ["mariadb", "mysql"].into_iter().find(works).ok_or_else(|| {
            Error::refused("tools_missing", "The client of MariaDB or MySQL is not installed on this machine.")
                .remedy("Install it (Debian and Ubuntu: apt install mariadb-client), then try again.")
        })?;
        durable::create_private_dir(private_dir)?;
        let made = tempfile::Builder::new().prefix("my-").tempdir_in(private_dir);
        let private = made.map_err(|cause| Error::io("create a folder in", private_dir, &cause))?;
        durable::write(&private.path().join("client.cnf"), settings(endpoint).as_bytes())?;
        let database = endpoint.database.clone();
        Ok(Self { program: program.into(), runner, database, private: Arc::new(private) })
    }

    fn invocation(&self) -> Invocation {
        // Only our own settings, so that nothing of the user's changes where it leads; this must stand first.
        Invocation::new(&self.program)
            .arg(format!("--defaults-file={}", self.private.path().join("client.cnf").display()))
            .args([
                "--batch",
                "--quick",
                "--unbuffered",
                "--skip-column-names",
                "--skip-reconnect",
                "--connect-timeout=15",
            ])
            .args(["--default-character-set=utf8mb4", "--max-allowed-packet=1G"])
            .arg(format!("--database={}", self.database))
            .env("LC_ALL", "C.UTF-8")
            .quiet()
    }
}

/// An option file: nothing but who we are and where to.
fn settings(endpoint: &Endpoint) -> String {
    let escaped =
        |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n").replace('\r', "\\r");
    let quoted = |text: &str| format!("\"{}\"", escaped(text));
    let mut text = format!("[client]\nuser={}\n", quoted(&endpoint.user));
    if let Some(password) = &endpoint.password {
        text += &format!("password={}\n", quoted(password));
    }
    if Path::new(&endpoint.host).is_absolute() {
        return text + &format!("protocol=socket\nsocket={}\n", quoted(&endpoint.host));
    }
    text + &format!("protocol=tcp\nhost={}\nport={}\n", quoted(&endpoint.host), endpoint.port)
}

impl Session {
    /// Starts the client. Whether it comes in shows with the first question.
    pub(super) fn open(way: &Way) -> Result<Self> {
        let client = Conversation::start(way.invocation(), way.clone(), Arc::clone(&way.runner))?;
        Ok(Self { client, asked: 0, nonce: format!("liftlock-{}", Uuid::now_v7().simple()) })
    }

    /// A statement without an answer.
    pub(super) fn run(&mut self, sql: &str) -> Result<()> {
        self.each(sql, &mut |_| Ok(()), &Silent)
    }

    /// All rows of a short answer.
    pub(super) fn rows(&mut self, sql: &str) -> Result<Vec<Texts>> {
        self.rows_watched(sql, &Silent)
    }

    /// The same of one that may take long.
    pub(super) fn rows_watched(&mut self, sql: &str, reporter: &dyn Reporter) -> Result<Vec<Texts>> {
        let mut rows = Vec::new();
        let mut keep = |row| {
            rows.push(row);
            Ok(())
        };
        self.each(sql, &mut keep, reporter)?;
        Ok(rows)
    }

    /// Tells each row to `take`, holding one. Where that ends early the session ends with it.
    pub(super) fn each(&mut self, sql: &str, take: &mut Take<'_>, reporter: &dyn Reporter) -> Result<()> {
        self.asked += 1;
        let frame = format!("{}-{}", self.nonce, self.asked).into_bytes();
        let text = format!("{sql};\nSELECT '{}-{}';\n", self.nonce, self.asked);
        if !self.client.say(text.into_bytes()) {
            return Err(lost(self.client.ended()));
        }
        self.client.expects(true);
        loop {
            let ended = match self.client.line(reporter).and_then(|line| line.map_err(lost)) {
                Ok(line) if line == frame => {
                    self.client.expects(false);
                    return Ok(());
                }
                Ok(line) => cells(&line).ok_or_else(unreadable).and_then(&mut *take),
                Err(error) => Err(error),
            };
            if let Err(error) = ended {
                self.client.stop();
                return Err(error);
            }
        }
    }
}

/// Why the client ended.
fn lost(ended: Ended) -> Error {
    match ended {
        Ended::Failed(error) => error,
        Ended::Saying(words) => answer::from_words(&words),
    }
}

/// The values of a line.
fn cells(line: &[u8]) -> Option<Texts> {
    line.split(|byte| *byte == b'\t').map(unescaped).collect()
}

fn unescaped(cell: &[u8]) -> Option<Vec<u8>> {
    if !cell.contains(&b'\\') {
        return Some(cell.to_vec());
    }
    let mut out = Vec::with_capacity(cell.len());
    let mut bytes = cell.iter();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'\\' => match bytes.next()? {
                b'0' => 0,
                b'n' => b'\n',
                b't' => b'\t',
                b'\\' => b'\\',
                _ => return None,
            },
            other => *other,
        });
    }
    Some(out)
}

pub(super) fn unreadable() -> Error {
    Error::failed("bad_answer", "The rows of a table came in a form that Liftlock cannot read.")
        .remedy("Report it with the version of the database server. Nothing was changed.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_unescaped_and_nothing_else_is_taken_for_one() {
        assert_eq!(cells(b"a\\tb\\n\\\\n\t\t\\0").unwrap(), [b"a\tb\n\\n".to_vec(), Vec::new(), vec![0]]);
        assert_eq!(cells(b"cut\\"), None);
        assert_eq!(cells(b"\\q"), None);
    }

    #[test]
    fn who_we_are_stands_in_a_form_that_the_client_reads_back() {
        let endpoint = Endpoint {
            host: "/run/my socket".into(),
            port: 1,
            database: "shop".into(),
            user: "shop".into(),
            password: Some("a\"b\\c'd #e\n[client]\nhost=elsewhere".into()),
            parameters: Vec::new(),
        };
        let text = settings(&endpoint);
        assert_eq!(
            text,
            "[client]\nuser=\"shop\"\npassword=\"a\\\"b\\\\c'd #e\\n[client]\\nhost=elsewhere\"\nprotocol=socket\nsocket=\"/run/my socket\"\n"
        );
    }
}
