//! Basic and Digest (RFC 2069, as RFC 2326 has it) from the camera's side.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};

use crate::{Auth, Credentials};

const REALM: &str = "camera";

/// The headers of a 401, one for each scheme.
pub(crate) fn challenges(auth: Auth, nonce: &str) -> Vec<String> {
    let basic = format!("WWW-Authenticate: Basic realm=\"{REALM}\"");
    let digest = format!("WWW-Authenticate: Digest realm=\"{REALM}\", nonce=\"{nonce}\"");
    match auth {
        Auth::Digest => vec![digest],
        Auth::Basic => vec![basic],
        Auth::Both => vec![digest, basic],
    }
}

/// Whether the header answers the challenge for this request.
pub(crate) fn accepts(
    header: &str,
    auth: Auth,
    credentials: &Credentials,
    nonce: &str,
    method: &str,
    uri: &str,
) -> bool {
    let (user, password) = (&credentials.username, credentials.password.expose());
    match header.split_once(' ') {
        Some(("Basic", token)) if auth != Auth::Digest => {
            token.trim() == STANDARD.encode(format!("{user}:{password}"))
        }
        Some(("Digest", fields)) if auth != Auth::Basic => {
            let field = |name: &str| {
                fields
                    .split(',')
                    .filter_map(|part| part.trim().split_once('='))
                    .find_map(|(key, value)| (key.trim() == name).then(|| value.trim().trim_matches('"')))
            };
            let expected = md5(&[&md5(&[user, REALM, password]), nonce, &md5(&[method, uri])]);
            field("username") == Some(user)
                && field("nonce") == Some(nonce)
                && field("uri") == Some(uri)
                && field("response") == Some(&expected)
        }
        _ => false,
    }
}

fn md5(parts: &[&str]) -> String {
    Md5::digest(parts.join(":")).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Secret;

    #[test]
    fn right_answers_pass_and_others_do_not() {
        let credentials = Credentials { username: "admin".into(), password: Secret::new("hunter2") };
        let accepts =
            |header: &str, auth| accepts(header, auth, &credentials, "abc", "DESCRIBE", "rtsp://h/main");
        let basic = format!("Basic {}", STANDARD.encode("admin:hunter2"));
        assert!(accepts(&basic, Auth::Basic) && accepts(&basic, Auth::Both));
        assert!(!accepts(&basic, Auth::Digest));
        assert!(!accepts(&format!("Basic {}", STANDARD.encode("admin:x")), Auth::Basic));

        let response =
            md5(&[&md5(&["admin", REALM, "hunter2"]), "abc", &md5(&["DESCRIBE", "rtsp://h/main"])]);
        let digest = |nonce: &str| {
            format!(
                "Digest username=\"admin\", realm=\"{REALM}\", nonce=\"{nonce}\", \
                 uri=\"rtsp://h/main\", response=\"{response}\""
            )
        };
        assert!(accepts(&digest("abc"), Auth::Digest));
        assert!(!accepts(&digest("old"), Auth::Digest));
        assert!(!accepts(&digest("abc"), Auth::Basic));
    }
}
