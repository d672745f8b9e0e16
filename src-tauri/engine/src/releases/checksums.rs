//! Files of checksums as `sha256sum` (GNU), `shasum` and `sha256` (BSD) write them.

/// A SHA-256 in lower-case hexadecimal, if `text` is one.
pub(super) fn digest(text: &str) -> Option<String> {
    let is_hex = text.len() == 64 && text.chars().all(|it| it.is_ascii_hexdigit());
    is_hex.then(|| text.to_ascii_lowercase())
}

/// What a file of checksums says about `asset`.
///
/// # Errors
/// It says two different things, as a sentence.
pub(super) fn find(text: &str, asset: &str) -> Result<Option<String>, String> {
    let mut found: Option<String> = None;
    for line in text.lines().map(str::trim).filter(|it| !it.is_empty()) {
        let Some(sum) = of_line(line, asset) else { continue };
        if found.as_ref().is_some_and(|known| *known != sum) {
            return Err(format!("It names two different checksums for {asset}."));
        }
        found = Some(sum);
    }
    if found.is_none() {
        // `sha256sum < file`, or a publisher who wrote the sum alone.
        found = digest(text.trim().trim_end_matches('-').trim_end());
    }
    Ok(found)
}

fn of_line(line: &str, asset: &str) -> Option<String> {
    if let Some(rest) = line.strip_prefix("SHA256 (") {
        let (name, sum) = rest.split_once(") = ")?;
        return if is_name(name, asset) { digest(sum.trim()) } else { None };
    }
    // A backslash marks a name with escapes in it; names of assets have none.
    let (sum, name) = line.split_once([' ', '\t'])?;
    if is_name(name.trim_start().trim_start_matches('*'), asset) { digest(sum) } else { None }
}

fn is_name(name: &str, asset: &str) -> bool {
    name.trim_start_matches("./") == asset
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

    #[test]
    fn every_usual_form_is_read() {
        for text in [
            format!("{B}  other.tar.gz\n{A}  app.tar.gz\n"),
            format!("{} *app.tar.gz\r\n", A.to_uppercase()),
            format!("{A}  ./app.tar.gz"),
            format!("SHA256 (app.tar.gz) = {A}\n"),
            format!("{A}\n"),
            format!("{A}  -\n"),
        ] {
            assert_eq!(find(&text, "app.tar.gz"), Ok(Some(A.into())), "{text}");
        }
    }

    #[test]
    fn another_name_or_no_sum_at_all_is_nothing() {
        for text in [format!("{A}  app.tar.gz.old"), format!("{A}  dir/app.tar.gz"), "<html>".into(), String::new()] {
            assert_eq!(find(&text, "app.tar.gz"), Ok(None), "{text}");
        }
    }

    #[test]
    fn two_sums_for_one_name_are_refused() {
        assert!(find(&format!("{A}  app\n{B}  app\n"), "app").is_err());
    }
}
