//! The third stage: what can be said of a secret by looking at it. A key that cannot
//! be one, an example of a handbook, and a value that was masked are no findings.

mod der;
mod given;
mod near;
mod placeholder;
mod token;
mod words;

use serde::Deserialize;

pub(crate) use crate::decode::base64;
use crate::decode::is_printable;
use crate::finding::{Life, Severity};
pub(crate) use der::len as der_len;
pub(crate) use placeholder::is_placeholder;
pub(crate) use token::pair_password;

/// What a rule has checked of its matches, in its file `name` or `name:number`.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) enum Check {
    /// Base64 of so many bytes that look random.
    Base64(usize),
    /// Base64 of so many bytes or more.
    Base64Min(usize),
    /// Bits of entropy for each character, at least.
    Entropy(f64),
    /// So many characters of each kind, in imported rules alone.
    Letters(Letters),
    /// Letters of both cases and digits.
    Mixed,
    /// A letter and a digit.
    Digit,
    /// What somebody would choose as a password: no code, no type, no path.
    Password,
    /// The same, and no word of a language or a program either.
    Chosen,
    /// Words between which spaces may stand.
    Phrase,
    /// What somebody gave a command or a setting that is named for it: a word counts, but for
    /// those that handbooks print and names of variables.
    Given,
    /// What [`Check::Chosen`] says, or two words with a hyphen.
    Set,
    /// Not what a maker calls a model.
    NoModel,
    /// Where prose and code stand as well: a digit and a letter, and not like a term.
    Spoken,
    /// The name before it is no public key's, no digest's and no identifier's.
    SecretName,
    /// What a machine would make as a key or token: long, and no name of anything.
    Token,
    /// What follows a user in an address.
    UrlPassword,
    /// What stands where nothing but a secret does: no placeholder is enough.
    Value,
    /// A token of Azure storage: fields, signature, end.
    Sas,
    /// A token of Service Bus, Event Hubs or IoT Hub: fields, signature, end.
    BusSas,
    /// A presigned URL of S3 or GCS: date and seconds.
    Presigned,
    /// A JSON web token: header and claims that are JSON.
    Jwt,
    /// A private key in PEM or of OpenSSH that parses.
    Pem,
    /// A private key, or a PKCS#12 file, in DER, whose lengths agree; begins with the match.
    Der,
    /// A token of GitHub or npm: a CRC-32 in base 62 at its end, without which it is a
    /// lesser finding.
    Crc32,
    /// Base64 of `user:password`, or of SASL's PLAIN.
    Basic,
    /// A hash of crypt(3) of the length that its kind has.
    Crypt,
    /// Nothing near it says that it is a digest or a signature.
    NoDigest,
    /// None of its own: the literal is the name of a column, and the rows under it are told.
    Table,
    /// None of its own: the literal stands in or beside a tag, and the text around it is told.
    Markup,
    /// No line of a record of tests, `PASS: name`, and no end of another word, `bypass: 1`.
    NoTest,
    /// The name is no other word that ends like it: `bypass=`, `monkey=`.
    NoWord,
    /// No name of an object behind the word: `creating secret camera-tls-1`.
    NoObject,
    /// No command whose option means something else: `mysql -u root -p cameras`.
    NoOption,
    /// What stands where a program alone writes it: a word that anybody would guess counts.
    Settled,
    /// Placeholders count: for default credentials, which look like them.
    Anything,
}

/// Characters of each kind, at least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Letters {
    pub(crate) digits: u8,
    pub(crate) upper: u8,
    pub(crate) lower: u8,
    pub(crate) special: u8,
}

impl Letters {
    fn are_in(self, secret: &[u8]) -> bool {
        let has =
            |least: u8, is: fn(&u8) -> bool| secret.iter().filter(|byte| is(byte)).count() >= least.into();
        has(self.digits, u8::is_ascii_digit)
            && has(self.upper, u8::is_ascii_uppercase)
            && has(self.lower, u8::is_ascii_lowercase)
            && has(self.special, u8::is_ascii_punctuation)
    }
}

impl TryFrom<String> for Check {
    type Error = String;

    fn try_from(text: String) -> Result<Check, String> {
        let (name, number) = text.split_once(':').unwrap_or((&text, ""));
        let bytes = || number.parse().map_err(|_| format!("{text}: which number?"));
        Ok(match name {
            "base64" => Check::Base64(bytes()?),
            "base64-min" => Check::Base64Min(bytes()?),
            "entropy" => Check::Entropy(number.parse().map_err(|_| format!("{text}: which number?"))?),
            "mixed" => Check::Mixed,
            "digit" => Check::Digit,
            "password" => Check::Password,
            "chosen" => Check::Chosen,
            "given" => Check::Given,
            "set" => Check::Set,
            "no-model" => Check::NoModel,
            "phrase" => Check::Phrase,
            "spoken" => Check::Spoken,
            "secret-name" => Check::SecretName,
            "token" => Check::Token,
            "url-password" => Check::UrlPassword,
            "value" => Check::Value,
            "sas" => Check::Sas,
            "bus-sas" => Check::BusSas,
            "presigned" => Check::Presigned,
            "jwt" => Check::Jwt,
            "pem" => Check::Pem,
            "der" => Check::Der,
            "crc32" => Check::Crc32,
            "basic" => Check::Basic,
            "crypt" => Check::Crypt,
            "no-digest" => Check::NoDigest,
            "table" => Check::Table,
            "markup" => Check::Markup,
            "no-test" => Check::NoTest,
            "no-word" => Check::NoWord,
            "no-object" => Check::NoObject,
            "no-option" => Check::NoOption,
            "settled" => Check::Settled,
            "anything" => Check::Anything,
            _ => return Err(format!("there is no check {text:?}")),
        })
    }
}

/// What stands where.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Found<'a> {
    pub(crate) secret: &'a [u8],
    /// At most 160 bytes before the match.
    pub(crate) before: &'a [u8],
    /// From the match on, to the end of what is in memory.
    pub(crate) from: &'a [u8],
    /// Seconds since 1970.
    pub(crate) now: i64,
}

/// What a token says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) life: Life,
    pub(crate) permits: Option<String>,
    /// In place of the rule's, where the token says what it opens.
    pub(crate) severity: Option<Severity>,
    /// What the fingerprint names, where one token is written in several ways.
    pub(crate) identity: Option<Vec<u8>>,
}

impl Verdict {
    fn plain() -> Verdict {
        Verdict { life: Life::Unknown, permits: None, severity: None, identity: None }
    }
}

/// None if it is no secret.
pub(crate) fn validate(checks: &[Check], found: &Found<'_>) -> Option<Verdict> {
    let secret = found.secret;
    let unset = match checks.contains(&Check::Settled) {
        true => placeholder::is_unset(secret),
        false => !checks.contains(&Check::Anything) && is_placeholder(secret),
    };
    if unset {
        return None;
    }
    let mut verdict = Verdict::plain();
    for check in checks {
        let holds = match *check {
            Check::Base64(bytes) => base64(secret).is_some_and(|key| key.len() == bytes && is_random(&key)),
            Check::Base64Min(bytes) => base64(secret).is_some_and(|key| key.len() >= bytes),
            Check::Entropy(bits) => entropy(secret) >= bits,
            Check::Letters(letters) => letters.are_in(secret),
            Check::Mixed => {
                secret.iter().any(u8::is_ascii_lowercase)
                    && secret.iter().any(u8::is_ascii_uppercase)
                    && secret.iter().any(u8::is_ascii_digit)
            }
            Check::Digit => {
                secret.iter().any(u8::is_ascii_alphabetic) && secret.iter().any(u8::is_ascii_digit)
            }
            Check::Password => placeholder::is_password(secret),
            Check::Chosen => placeholder::is_chosen(secret),
            Check::Given => given::is_given(secret),
            Check::Set => given::is_set(secret),
            Check::NoModel => !given::is_model(secret),
            Check::Phrase => placeholder::is_phrase(secret),
            Check::Spoken => placeholder::is_spoken(secret),
            Check::SecretName => {
                placeholder::is_secret_name(found.from, secret)
                    && !near::is_other_word(found.before, found.from)
                    && !near::is_lookup(found.before, found.from, secret)
            }
            Check::Token => {
                words::is_token(secret) && !placeholder::is_expression(secret) && !near::is_key_id(found.from)
            }
            Check::UrlPassword => {
                placeholder::is_url_password(secret) && !near::is_example(found.from, secret)
            }
            Check::Value => placeholder::is_value(secret),
            Check::Pem => der::pem(secret, &mut verdict),
            Check::Der => der::key(found.from),
            Check::Crc32 => token::crc32(secret, &mut verdict),
            Check::Basic => base64(secret).is_some_and(|pair| token::pair(&pair, &mut verdict)),
            Check::Crypt => token::is_crypt(secret),
            Check::NoDigest => !placeholder::says_digest(found.before),
            Check::Anything => true,
            Check::Settled => is_printable(secret),
            Check::Table | Check::Markup => false,
            Check::NoTest => {
                !placeholder::is_test_record(found.before, found.from) && !near::is_count(found.from)
            }
            Check::NoWord => !near::is_other_word(found.before, found.from),
            Check::NoObject => !near::is_object(found.before, found.from, secret),
            Check::NoOption => !near::is_other_option(found.before, found.from, secret),
            Check::Sas => token::sas(found, &mut verdict),
            Check::BusSas => token::bus_sas(found, &mut verdict),
            Check::Presigned => token::presigned(found, &mut verdict),
            Check::Jwt => token::jwt(found, &mut verdict),
        };
        if !holds {
            return None;
        }
    }
    Some(verdict)
}

/// Bits for each byte, of the bytes that are there (Shannon).
pub(crate) fn entropy(bytes: &[u8]) -> f64 {
    let mut counts = [0_u32; 256];
    bytes.iter().for_each(|byte| counts[usize::from(*byte)] += 1);
    let all = bytes.len() as f64;
    let part = |count: &u32| f64::from(*count) / all;
    counts.iter().filter(|count| **count > 0).map(part).map(|part| -part * part.log2()).sum()
}

/// Whether bytes may come from a generator: of random ones, three of four are
/// different from all others at 64 bytes.
pub(crate) fn is_random(bytes: &[u8]) -> bool {
    let mut seen = [false; 256];
    bytes.iter().for_each(|byte| seen[usize::from(*byte)] = true);
    let distinct = seen.iter().filter(|seen| **seen).count();
    let text = bytes.iter().filter(|byte| (0x20..0x7f).contains(*byte)).count();
    distinct * 10 >= bytes.len().min(96) * 6 && text * 10 < bytes.len() * 8
}
