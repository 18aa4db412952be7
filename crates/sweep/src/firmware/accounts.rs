//! Accounts that every camera with this image has: `passwd(5)` and `shadow(5)`.

use super::files::File;
use super::found::{Found, push};
use super::report::Account;
use super::text;
use crate::finding::Severity;

/// Lines of one file that are read.
const LINES_MAX: usize = 4096;

pub(super) fn read(file: &File<'_>, found: &mut Found) {
    let is_shadow = ["shadow", "shadow-", "gshadow"].contains(&file.name());
    let is_passwd = ["passwd", "passwd-"].contains(&file.name());
    if file.name() == "gshadow" || !(is_shadow || is_passwd) {
        return;
    }
    let Some(lines) = file.text else { return };
    for line in lines.lines().take(LINES_MAX) {
        let fields: Vec<&str> = line.split(':').collect();
        let account = match fields[..] {
            [name, password, uid, _, _, _, shell] if is_passwd => {
                let Ok(uid) = uid.parse() else { continue };
                account(file, name, password, Some((uid, shell)))
            }
            [name, password, _, _, _, _, _, _, _] if is_shadow => account(file, name, password, None),
            _ => continue,
        };
        push(&mut found.report.accounts, account);
    }
}

fn account(file: &File<'_>, name: &str, password: &str, known: Option<(u64, &str)>) -> Account {
    Account {
        name: text::short(name, 64),
        place: file.place.to_owned(),
        uid: known.map(|(uid, _)| uid),
        shell: known.map(|(_, shell)| text::short(shell, 64)),
        password: scheme(password).to_owned(),
    }
}

/// How a password is kept (`crypt(5)`).
fn scheme(field: &str) -> &'static str {
    const SCHEMES: [(&str, &str); 10] = [
        ("$1$", "md5crypt"),
        ("$2", "bcrypt"),
        ("$3$", "nt hash"),
        ("$5$", "sha256crypt"),
        ("$6$", "sha512crypt"),
        ("$7$", "scrypt"),
        ("$md5", "sunmd5"),
        ("$sha1", "sha1crypt"),
        ("$y$", "yescrypt"),
        ("$gy$", "gost-yescrypt"),
    ];
    let is_crypt =
        |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"./".contains(&byte));
    match field {
        "" => "none",
        "x" => "shadow",
        _ if field.starts_with(['*', '!']) => "locked",
        _ if field.starts_with('_') && field.len() == 20 && is_crypt(&field[1..]) => "bsdicrypt",
        _ if field.len() == 13 && is_crypt(field) => "descrypt",
        _ => {
            let known = SCHEMES.iter().find(|(prefix, _)| field.starts_with(prefix));
            match known {
                Some((_, scheme)) => scheme,
                None if field.starts_with('$') => "unknown scheme",
                // `NP`, `LK` and the like: no password hashes to that.
                None => "locked",
            }
        }
    }
}

/// Once both files were seen.
pub(super) fn judge(found: &mut Found) {
    const EVERYWHERE: &str = "Every device with this image has it. Ask the vendor for firmware without it, and let \
                              the camera be reached by its gateway alone.";
    for account in std::mem::take(&mut found.report.accounts) {
        let Account { name, place, password, .. } = &account;
        let has_no_shell = account
            .shell
            .as_ref()
            .is_some_and(|shell| shell.ends_with("nologin") || shell.ends_with("/false"));
        let title = match password.as_str() {
            "none" if !has_no_shell => Some((Severity::Critical, format!("Account {name} has no password"))),
            "none" | "locked" | "shadow" => None,
            scheme => {
                let severity = match (scheme, has_no_shell) {
                    (_, true) => Severity::Low,
                    ("descrypt" | "bsdicrypt" | "md5crypt" | "nt hash", _) => Severity::Critical,
                    _ => Severity::High,
                };
                Some((severity, format!("Account {name} has a password that is built in ({scheme})")))
            }
        };
        if let Some((severity, title)) = title {
            found.issue("account-built-in", severity, place, (title, EVERYWHERE));
        }
        if account.uid == Some(0) && name != "root" && password != "locked" {
            let title = format!("Account {name} is a second root");
            found.issue("account-second-root", Severity::High, place, (title, EVERYWHERE));
        }
        push(&mut found.report.accounts, account);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemes_are_those_of_crypt() {
        for (field, expected) in [
            ("", "none"),
            ("x", "shadow"),
            ("*", "locked"),
            ("!$6$salt$hash", "locked"),
            ("NP", "locked"),
            ("$argon2id$v=19$m=65536$abc", "unknown scheme"),
            ("ab1cD2efG3hij", "descrypt"),
            ("$1$abc$0123456789abcdefghijk.", "md5crypt"),
            ("$5$abc$def", "sha256crypt"),
            ("$6$abc$def", "sha512crypt"),
            ("$y$j9T$abc$def", "yescrypt"),
            ("$2b$05$abc", "bcrypt"),
        ] {
            assert_eq!(scheme(field), expected, "{field}");
        }
    }
}
