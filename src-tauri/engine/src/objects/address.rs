//! Which storage, where, and where its secret key is kept: one line of words, never the secret itself.

use std::fmt;
use std::net::IpAddr;

use url::Url;

use crate::error::{Error, Result};
use crate::seal::KeyPlace;

/// What storage is called where nothing else was said.
const REGION: &str = "us-east-1";
/// The longest part of a name before the name of a file; S3 allows 1024 bytes in all.
const LONGEST: usize = 512;

/// Where copies lie in storage of objects, and as whom it is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// The bucket.
    pub bucket: String,
    /// What every name in it begins with, without `/` at its ends; may be nothing.
    pub prefix: String,
    /// The server; Amazon's own where none is said.
    pub endpoint: Option<Url>,
    /// What the server calls the place where the bucket is.
    pub region: String,
    /// The id of the access key, which is no secret.
    pub key_id: String,
    /// Where the secret access key is kept.
    pub key_from: KeyPlace,
}

impl Address {
    /// Whether a place for copies is storage of objects, and no folder.
    pub fn is_meant(text: &str) -> bool {
        text.starts_with("s3://")
    }

    /// `s3://bucket/prefix`, with the rest beside it.
    ///
    /// # Errors
    /// `bad_storage`, `storage_open_to_all`, `bad_key_place`.
    pub fn new(
        place: &str,
        endpoint: Option<&str>,
        region: Option<&str>,
        key_id: Option<&str>,
        key_from: Option<&str>,
    ) -> Result<Self> {
        let rest = place.strip_prefix("s3://").ok_or_else(|| bad("It does not begin with s3://."))?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let prefix = prefix.trim_matches('/');
        let is_plain = |it: char| it.is_ascii_alphanumeric() || matches!(it, '-' | '.' | '_');
        if bucket.len() < 3 || !bucket.chars().all(is_plain) || bucket.starts_with('.') {
            return Err(bad(format!("“{}” is no name of a bucket.", bucket.escape_debug())));
        }
        // A part `..` would be resolved on the way and lead elsewhere.
        let is_part = |part: &str| !part.is_empty() && part.chars().any(|it| it != '.') && part.chars().all(is_plain);
        if prefix.len() > LONGEST || !(prefix.is_empty() || prefix.split('/').all(is_part)) {
            return Err(bad(format!("“{}” cannot stand before the names of copies.", prefix.escape_debug())));
        }
        let region = region.unwrap_or(REGION);
        if region.is_empty() || !region.chars().all(is_plain) {
            return Err(bad(format!("“{}” is no region.", region.escape_debug())));
        }
        let key_id = key_id.unwrap_or_default();
        if key_id.is_empty() || !key_id.chars().all(|it| it.is_ascii_graphic()) {
            return Err(bad("The id of the access key is missing: --key-id.")
                .remedy("Give the id with --key-id, and where its secret is kept with --key-from."));
        }
        let key_from = key_from.ok_or_else(|| {
            bad("It is not said where the secret access key is kept.")
                .remedy("Say it with --key-from: file:/path/to/it, keychain:NAME or env:NAME. Never the key itself.")
        })?;
        Ok(Self {
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
            endpoint: endpoint.map(server).transpose()?,
            region: region.to_owned(),
            key_id: key_id.to_owned(),
            key_from: KeyPlace::parse(key_from)?,
        })
    }

    /// From the setting in which it is kept: what [`Display`](fmt::Display) writes.
    ///
    /// # Errors
    /// As [`Address::new`].
    pub fn parse(line: &str) -> Result<Self> {
        // The path of a file may have spaces in it, so it stands last.
        let (line, key_from) = line.split_once(" key-from=").map_or((line, None), |it| (it.0, Some(it.1)));
        let mut words = line.split_whitespace();
        let place = words.next().unwrap_or_default();
        let (mut endpoint, mut region, mut key_id) = (None, None, None);
        for word in words {
            match word.split_once('=') {
                Some(("endpoint", it)) => endpoint = Some(it),
                Some(("region", it)) => region = Some(it),
                Some(("key-id", it)) => key_id = Some(it),
                _ => return Err(bad("It holds a word that is not known.")),
            }
        }
        Self::new(place, endpoint, region, key_id, key_from)
    }

    /// What a person calls it.
    pub fn shown(&self) -> String {
        let slash = if self.prefix.is_empty() { "" } else { "/" };
        format!("s3://{}{slash}{}", self.bucket, self.prefix)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown())?;
        if let Some(endpoint) = &self.endpoint {
            write!(f, " endpoint={endpoint}")?;
        }
        write!(f, " region={} key-id={} key-from={}", self.region, self.key_id, self.key_from)
    }
}

fn server(text: &str) -> Result<Url> {
    let url = Url::parse(text).map_err(|cause| bad("The address of the server cannot be read.").because(&cause))?;
    let is_bare = url.username().is_empty() && url.password().is_none() && url.query().is_none();
    if !is_bare || url.fragment().is_some() || url.host_str().is_none() || text.contains(char::is_whitespace) {
        return Err(bad("The address of the server holds more than a name, a port and a path."));
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_here(&url) => Ok(url),
        "http" => Err(Error::usage(
            "storage_open_to_all",
            format!("What goes to {url} could be read and changed by everybody on the way."),
        )
        .remedy("Give an address that begins with https://.")),
        _ => Err(bad("The address of the server begins with neither https:// nor http://.")),
    }
}

/// Whether an address is on this machine.
pub(super) fn is_here(url: &Url) -> bool {
    url.host_str().is_some_and(|host| {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost" || host.parse::<IpAddr>().is_ok_and(|it| it.is_loopback())
    })
}

fn bad(why: impl fmt::Display) -> Error {
    Error::usage("bad_storage", format!("That is no storage for copies. {why}")).remedy(
        "Write s3://BUCKET/FOLDER, with --endpoint https://SERVER, --key-id ID and --key-from file:/path/to/the/secret.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(place: &str, endpoint: Option<&str>) -> Result<Address> {
        Address::new(place, endpoint, None, Some("AK"), Some("env:SECRET"))
    }

    #[test]
    fn it_is_written_and_read_again_without_the_secret() {
        let told = Address::new(
            "s3://shop-backups/at/home/",
            Some("https://s3.example.org:9000"),
            Some("eu-1"),
            Some("AK"),
            Some("file:/root/my key"),
        );
        let told = told.unwrap();
        let line = "s3://shop-backups/at/home endpoint=https://s3.example.org:9000/ region=eu-1 key-id=AK key-from=file:/root/my key";
        assert_eq!(told.to_string(), line);
        assert_eq!(Address::parse(line).unwrap(), told);
        let amazon = new("s3://shop", None).unwrap();
        assert_eq!(Address::parse(&amazon.to_string()).unwrap(), amazon);
        assert_eq!(amazon.shown(), "s3://shop");
    }

    #[test]
    fn what_leads_elsewhere_or_is_readable_on_the_way_is_refused() {
        for place in
            ["s3://", "s3://ab", "s3://.shop", "s3://shop/../other", "s3://shop/a//b", "s3://shop/a b", "s3://sh?p"]
        {
            assert_eq!(new(place, None).unwrap_err().class, "bad_storage", "{place}");
        }
        for server in ["ftp://there", "https://me:pass@there", "https://there?x=1", "there", "https://there#x"] {
            assert_eq!(new("s3://shop", Some(server)).unwrap_err().class, "bad_storage", "{server}");
        }
        assert_eq!(new("s3://shop", Some("http://10.0.0.1:9000")).unwrap_err().class, "storage_open_to_all");
        for here in ["http://127.0.0.1:9000", "http://localhost:1", "http://[::1]:9000"] {
            new("s3://shop", Some(here)).unwrap();
        }
        let given = Address::new("s3://shop", None, None, Some("AK"), Some("wJalrXUtnFEMI"));
        assert!(!format!("{given:?}").contains("wJalrXUtnFEMI"), "what was given may be the secret itself");
    }
}
