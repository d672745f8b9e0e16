//! The two words that open the lock: how they are made, kept and compared.

use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, PasswordHasher, PasswordVerifier};
use sha2::{Digest, Sha256};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::state::lock::LockRecord;

/// In characters. Shorter ones are guessed in spite of every wait.
const SHORTEST: usize = 8;
/// In bytes: hashing takes time and memory, and nobody types more.
const LONGEST: usize = 1024;

/// Letters and digits that cannot be taken for one another, 32 of them: five bits each.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const CODE_LETTERS: usize = 24;
const GROUP: usize = 4;

/// A record for this passphrase, and the recovery code that goes with it. The code is nowhere else.
pub(super) fn new_record(passphrase: &str) -> Result<(LockRecord, Zeroizing<String>)> {
    if passphrase.chars().count() < SHORTEST || passphrase.len() > LONGEST {
        return Err(Error::usage(
            "bad_passphrase",
            format!("The passphrase needs at least {SHORTEST} characters, and at most {LONGEST} bytes."),
        )
        .remedy("Choose another one. Four words that have nothing to do with each other are good."));
    }
    let hash = Argon2::default()
        .hash_password(passphrase.as_bytes())
        .map_err(|cause| Error::bug("passphrase_hash", "The passphrase could not be hashed.").because(&cause))?;
    let code = new_code();
    let record =
        LockRecord { passphrase: hash.to_string(), recovery: digest_of(&code), failures: 0, next_try_at: None };
    Ok((record, code))
}

/// Whether the word is the passphrase or the recovery code.
pub(super) fn opens(record: &LockRecord, word: &str) -> bool {
    if word.len() > LONGEST {
        return false;
    }
    if digest_of(word) == record.recovery {
        return true;
    }
    // What stands in the file may ask for any amount of memory; ours asks for what is the default here.
    let Ok(hash) = PasswordHash::new(&record.passphrase) else { return false };
    let ours = Argon2::default();
    let same_costs = argon2::Params::try_from(&hash).is_ok_and(|it| {
        it.m_cost() <= ours.params().m_cost() && it.t_cost() <= ours.params().t_cost() && it.p_cost() <= 1
    });
    same_costs && ours.verify_password(word.as_bytes(), &hash).is_ok()
}

fn new_code() -> Zeroizing<String> {
    // Version 4: 122 bits of each are random, of which the fixed six stand in bytes 6 and 8.
    let (one, other) = (Uuid::new_v4(), Uuid::new_v4());
    let fixed = |at: usize| at == 6 || at == 8;
    let random = one.as_bytes().iter().chain(other.as_bytes()).enumerate();
    let letters = random.filter(|(at, _)| !fixed(at % 16)).map(|(_, byte)| ALPHABET[usize::from(byte % 32)]);
    let mut code = Zeroizing::new(String::with_capacity(CODE_LETTERS + CODE_LETTERS / GROUP));
    for (at, letter) in letters.take(CODE_LETTERS).enumerate() {
        if at > 0 && at % GROUP == 0 {
            code.push('-');
        }
        code.push(char::from(letter));
    }
    code
}

/// Of the code as it may have been copied by hand: case, gaps, and letters that look like digits do not matter.
fn digest_of(code: &str) -> String {
    let mut digest = Sha256::new();
    for letter in code.chars().filter(|it| *it != '-' && !it.is_whitespace()) {
        let letter = match letter.to_ascii_uppercase() {
            'O' => '0',
            'I' | 'L' => '1',
            other => other,
        };
        digest.update(letter.encode_utf8(&mut [0; 4]).as_bytes());
    }
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_opens_however_it_was_copied_and_another_does_not() {
        let (record, code) = new_record("correct horse").unwrap_or_else(|it| panic!("{it}"));
        assert_eq!(code.len(), 29, "six groups of four: {}", *code);
        let by_hand = code.to_lowercase().replace('-', " ").replace('0', "o").replace('1', "l");
        assert!(opens(&record, &by_hand));
        assert!(opens(&record, "correct horse"));
        for wrong in ["", "correct horsf", "correcthorse", &new_code(), &code[..28], &"x".repeat(LONGEST + 1)] {
            assert!(!opens(&record, wrong), "{wrong}");
        }
        assert!(!format!("{record:?}").contains(code.as_str()));
    }

    #[test]
    fn what_stands_in_the_file_never_asks_for_more_than_ours() {
        let (record, _) = new_record("correct horse").unwrap_or_else(|it| panic!("{it}"));
        for (ours, theirs) in [("m=19456", "m=4194304"), ("t=2", "t=4000000"), ("$argon2id", "$argon3"), ("$", "")] {
            let greedy = LockRecord { passphrase: record.passphrase.replace(ours, theirs), ..record.clone() };
            assert_ne!(greedy, record);
            assert!(!opens(&greedy, "correct horse"), "{}", greedy.passphrase);
        }
    }
}
