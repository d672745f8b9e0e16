//! The major version of PostgreSQL in the name of an image.

/// The major version that an image's name tells: `postgres:16-alpine`, `pgvector/pgvector:pg16`,
/// `registry.example/postgis/postgis:16-3.4`. None where it is no PostgreSQL, or the tag tells nothing (`latest`).
pub fn major_of(image: &str) -> Option<u32> {
    let image = image.split('@').next()?;
    let (path, tag) = image.rsplit_once(':').filter(|(_, tag)| !tag.contains('/'))?;
    let name = path.rsplit('/').next()?;
    let is_postgresql =
        ["postgres", "postgis", "pgvector", "timescale", "citus", "pgsql"].iter().any(|it| name.contains(it));
    if !is_postgresql {
        return None;
    }
    // `pg16`, `0.8.0-pg16`, `latest-pg16` beside `16`, `16.4-alpine`.
    let marked = tag.split(['-', '_', '.']).find_map(|it| it.strip_prefix("pg").and_then(number));
    marked.or_else(|| number(tag)).filter(|it| *it >= 8)
}

fn number(text: &str) -> Option<u32> {
    let end = text.find(|it: char| !it.is_ascii_digit()).unwrap_or(text.len());
    text[..end].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tag_tells_the_major_version() {
        let cases = [
            ("postgres:16", Some(16)),
            ("postgres:16.4-alpine", Some(16)),
            ("docker.io/library/postgres:17-bookworm@sha256:abc", Some(17)),
            ("registry.example:5000/postgres:15", Some(15)),
            ("registry.example:5000/postgres", None),
            ("postgres", None),
            ("postgres:latest", None),
            ("pgvector/pgvector:pg16", Some(16)),
            ("pgvector/pgvector:0.8.0-pg17", Some(17)),
            ("postgis/postgis:16-3.4", Some(16)),
            ("timescale/timescaledb:latest-pg15", Some(15)),
            ("corner-shop-postgres:15", Some(15)),
            ("redis:7", None),
            ("postgres-exporter:0.15", None),
            ("", None),
        ];
        for (image, major) in cases {
            assert_eq!(major_of(image), major, "{image}");
        }
    }
}
