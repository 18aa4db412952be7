//! HTTP Digest (RFC 7616) from the client's side: MD5 and SHA-256, with
//! `qop=auth` or, for old firmware, without. Basic is recognised.

use md5::{Digest as _, Md5};
use model::Secret;

/// What a 401 asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Offered {
    Digest(Challenge),
    BasicAlone,
    Unknown,
    /// No challenge at all.
    Nothing,
}

#[derive(Clone, PartialEq, Eq)]
pub(super) struct Challenge {
    realm: String,
    nonce: String,
    opaque: Option<String>,
    algorithm: Algorithm,
    /// The camera knows `qop=auth`.
    counts: bool,
    /// Of requests with this nonce.
    count: u32,
}

impl std::fmt::Debug for Challenge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Challenge").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Algorithm {
    Md5,
    Sha256,
}

impl Algorithm {
    fn name(self) -> &'static str {
        match self {
            Algorithm::Md5 => "MD5",
            Algorithm::Sha256 => "SHA-256",
        }
    }

    fn hex(self, parts: &[&str]) -> String {
        let text = parts.join(":");
        match self {
            Algorithm::Md5 => Md5::digest(text).iter().map(|byte| format!("{byte:02x}")).collect(),
            Algorithm::Sha256 => seal::sha256(text.as_bytes()).to_string(),
        }
    }
}

/// Of one header, in bytes; a longer one is no challenge.
const HEADER_MAX: usize = 2_048;

/// The values of `WWW-Authenticate`. Of several digests the strongest is taken.
pub(super) fn read(headers: &[&str]) -> Offered {
    let mut best: Option<Challenge> = None;
    let (mut any, mut basic) = (false, false);
    for (scheme, parameters) in
        headers.iter().filter(|header| header.len() <= HEADER_MAX).flat_map(|header| challenges(header))
    {
        any = true;
        basic |= scheme.eq_ignore_ascii_case("basic");
        if !scheme.eq_ignore_ascii_case("digest") {
            continue;
        }
        let Some(challenge) = challenge(&parameters) else { continue };
        if best.as_ref().is_none_or(|best| best.algorithm < challenge.algorithm) {
            best = Some(challenge);
        }
    }
    match best {
        Some(challenge) => Offered::Digest(challenge),
        None if basic => Offered::BasicAlone,
        None if any => Offered::Unknown,
        None => Offered::Nothing,
    }
}

type Parameters = Vec<(String, String)>;

fn challenge(parameters: &Parameters) -> Option<Challenge> {
    let find = |name: &str| {
        parameters.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.clone())
    };
    let algorithm = match find("algorithm") {
        None => Algorithm::Md5,
        Some(name) if name.eq_ignore_ascii_case("MD5") => Algorithm::Md5,
        Some(name) if name.eq_ignore_ascii_case("SHA-256") => Algorithm::Sha256,
        Some(_) => return None,
    };
    let counts = match find("qop") {
        None => false,
        Some(list) if list.split(',').any(|qop| qop.trim().eq_ignore_ascii_case("auth")) => true,
        // auth-int alone: nobody has it.
        Some(_) => return None,
    };
    let (realm, nonce) = (find("realm")?, find("nonce")?);
    Some(Challenge { realm, nonce, opaque: find("opaque"), algorithm, counts, count: 0 })
}

/// RFC 9110 section 11.6.1: schemes with their parameters, in a list in which
/// commas separate both.
fn challenges(header: &str) -> Vec<(String, Parameters)> {
    let mut found: Vec<(String, Parameters)> = Vec::new();
    let mut rest = header.trim_start_matches([' ', '\t', ',']);
    while !rest.is_empty() {
        let end = rest.find([' ', '\t', ',', '=']).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        let after = after.trim_start_matches([' ', '\t']);
        rest = match after.strip_prefix('=') {
            Some(after) => {
                let (value, after) = value(after.trim_start_matches([' ', '\t']));
                if let Some((_, parameters)) = found.last_mut() {
                    parameters.push((word.to_owned(), value));
                }
                after
            }
            None => {
                found.push((word.to_owned(), Vec::new()));
                after
            }
        }
        .trim_start_matches([' ', '\t', ',']);
    }
    found
}

/// A token or a quoted string, and what follows it.
fn value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([' ', '\t', ',']).unwrap_or(text.len());
        return (text[..end].to_owned(), &text[end..]);
    };
    let (mut value, mut characters) = (String::new(), quoted.char_indices());
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return (value, &quoted[at + 1..]),
            '\\' => value.extend(characters.next().map(|(_, character)| character)),
            other => value.push(other),
        }
    }
    (value, "")
}

impl Challenge {
    /// The value of `Authorization` for the next request with this nonce.
    pub(super) fn answer(
        &mut self,
        username: &str,
        password: &Secret,
        method: &str,
        uri: &str,
        client_nonce: &str,
    ) -> String {
        self.count = self.count.saturating_add(1);
        let Challenge { realm, nonce, algorithm, .. } = &*self;
        let count = format!("{:08x}", self.count);
        let who = algorithm.hex(&[username, realm, password.expose()]);
        let what = algorithm.hex(&[method, uri]);
        let response = match self.counts {
            true => algorithm.hex(&[&who, nonce, &count, client_nonce, "auth", &what]),
            false => algorithm.hex(&[&who, nonce, &what]),
        };
        let quoted = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
        let mut out = format!(
            "Digest username={}, realm={}, nonce={}, uri={}, algorithm={}, response=\"{response}\"",
            quoted(username),
            quoted(realm),
            quoted(nonce),
            quoted(uri),
            algorithm.name()
        );
        if self.counts {
            out += &format!(", qop=auth, nc={count}, cnonce=\"{client_nonce}\"");
        }
        if let Some(opaque) = &self.opaque {
            out += &format!(", opaque={}", quoted(opaque));
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MD5: &str = r#"Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=MD5, nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS""#;

    fn digest(header: &str) -> Challenge {
        match read(&[header]) {
            Offered::Digest(challenge) => challenge,
            other => panic!("{other:?}"),
        }
    }

    /// RFC 7616 section 3.9.1.
    #[test]
    fn answers_of_the_standard() {
        let rows = [
            (MD5.to_owned(), "8ca523f5e9506fed4657c9700eebdbec"),
            (
                MD5.replace("MD5", "SHA-256"),
                "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
            ),
        ];
        for (header, response) in rows {
            let mut challenge = digest(&header);
            let client_nonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
            let mut answer = || {
                let password = Secret::new("Circle of Life");
                challenge.answer("Mufasa", &password, "GET", "/dir/index.html", client_nonce)
            };
            let first = answer();
            assert!(first.contains(&format!("response=\"{response}\"")), "{first}");
            assert!(first.contains("nc=00000001") && first.contains("opaque=\"FQhe/"), "{first}");
            assert!(answer().contains("nc=00000002"));
        }
    }

    /// RFC 2069, as it is corrected (erratum 749).
    #[test]
    fn without_qop() {
        let mut challenge = digest(
            r#"Digest realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", opaque="5ccc069c403ebaf9f0171e9517f40e41""#,
        );
        let password = Secret::new("CircleOfLife");
        let answer = challenge.answer("Mufasa", &password, "GET", "/dir/index.html", "x");
        assert!(answer.contains("response=\"1949323746fe6a43ef61f9606e7febea\""), "{answer}");
        assert!(!answer.contains("qop") && !answer.contains("cnonce"));
    }

    #[test]
    fn challenges_in_every_shape() {
        let algorithm = |headers: &[&str]| match read(headers) {
            Offered::Digest(challenge) => Ok(challenge.algorithm),
            other => Err(other),
        };
        let sha = MD5.replace("=MD5", "=SHA-256");
        assert_eq!(algorithm(&[MD5, &sha]), Ok(Algorithm::Sha256));
        assert_eq!(algorithm(&[&format!("Basic realm=\"a, Digest x\", {MD5}")]), Ok(Algorithm::Md5));
        assert_eq!(algorithm(&[&format!("Negotiate,{MD5} , Basic realm=x")]), Ok(Algorithm::Md5));
        assert_eq!(algorithm(&["digest REALM = \"a\\\"b\" ,\tNonce=c"]), Ok(Algorithm::Md5));
        assert_eq!(digest("digest REALM = \"a\\\"b\" ,\tNonce=c").realm, "a\"b");
        assert_eq!(algorithm(&["Basic realm=\"x\""]), Err(Offered::BasicAlone));
        for unknown in ["Bearer", "Digest realm=x, nonce=y, algorithm=MD5-sess", "Digest realm=\"", "Digest"]
        {
            assert_eq!(algorithm(&[unknown]), Err(Offered::Unknown), "{unknown}");
        }
        assert_eq!(algorithm(&[]), Err(Offered::Nothing));
        assert_eq!(algorithm(&["", " , ,"]), Err(Offered::Nothing));
        assert!(!format!("{:?}", digest(MD5)).contains("7ypf"));
    }
}
