//! What the image starts: scripts of `init`, its table, `inetd`, and units of systemd.
//! And how its servers of remote shells are set up.

use super::files::File;
use super::found::Found;
use super::report::Service;
use crate::finding::Severity;

/// Of a line, in bytes.
const LINE_BYTES_MAX: usize = 4 << 10;
const LINES_MAX: usize = 20_000;
/// Services of one file.
const SERVICES_MAX: usize = 64;

/// A server: how its program is called, whether it speaks in clear, how bad it is that
/// it is started, and why.
struct Known {
    programs: &'static [&'static str],
    is_plain: bool,
    issue: Option<(Severity, &'static str)>,
}

const SHELL: &str = "a shell without encryption";
const KNOWN: &[Known] = &[
    Known {
        programs: &["telnetd", "utelnetd", "in.telnetd"],
        is_plain: true,
        issue: Some((Severity::Critical, SHELL)),
    },
    Known {
        programs: &["rlogind", "rshd", "in.rlogind", "in.rshd"],
        is_plain: true,
        issue: Some((Severity::Critical, SHELL)),
    },
    Known {
        programs: &["gdbserver", "adbd"],
        is_plain: true,
        issue: Some((Severity::Critical, "a debugger that anybody may use")),
    },
    Known {
        programs: &["tftpd", "in.tftpd", "udpsvd"],
        is_plain: true,
        issue: Some((Severity::High, "files without a password")),
    },
    Known {
        programs: &["ftpd", "in.ftpd", "vsftpd", "proftpd", "pure-ftpd", "bftpd", "stupid-ftpd", "tcpsvd"],
        is_plain: true,
        issue: Some((Severity::High, "files and passwords in clear")),
    },
    Known {
        programs: &["upnpd", "miniupnpd", "wscd", "igdd"],
        is_plain: true,
        issue: Some((Severity::Medium, "it opens the network to the outside")),
    },
    Known {
        programs: &["snmpd"],
        is_plain: true,
        issue: Some((Severity::Medium, "versions 1 and 2c have no password")),
    },
    Known {
        programs: &["smbd", "nmbd", "ksmbd.mountd"],
        is_plain: false,
        issue: Some((Severity::Low, "a server that a camera does not need")),
    },
    Known {
        programs: &["sshd", "dropbear", "dropbearmulti"],
        is_plain: false,
        issue: Some((Severity::Medium, "a remote shell")),
    },
    Known {
        programs: &[
            "httpd",
            "lighttpd",
            "nginx",
            "boa",
            "goahead",
            "thttpd",
            "mini_httpd",
            "uhttpd",
            "webs",
            "appweb",
            "hiawatha",
            "mongoose",
        ],
        is_plain: true,
        issue: None,
    },
    Known {
        programs: &[
            "mosquitto",
            "rpcbind",
            "portmap",
            "avahi-daemon",
            "mdnsd",
            "wsdd",
            "onvifd",
            "rtspd",
            "rtsp-server",
            "live555MediaServer",
            "p2pd",
            "iperf3",
            "rsyncd",
        ],
        is_plain: true,
        issue: None,
    },
];

const REMEDY: &str = "Switch it off in the camera's settings if they have a switch; otherwise the camera's network must \
                      let nobody but its gateway reach it.";

pub(super) fn read(file: &File<'_>, found: &mut Found) {
    if is_started(file) {
        started(file, found);
    }
    if file.is("sshd_config") || file.is("etc/config/dropbear") {
        shell_settings(file, found);
    }
}

/// Whether the system runs what is in it at its start.
fn is_started(file: &File<'_>) -> bool {
    const SCRIPTS: [&str; 9] = [
        "etc/inittab",
        "etc/inetd.conf",
        "etc/rc.local",
        "etc/rc",
        "etc/rcS",
        "etc/profile",
        "init",
        "linuxrc",
        "etc/preinit",
    ];
    const FOLDERS: [&str; 7] =
        ["etc/init.d", "etc/rc.d", "etc/rcS.d", "etc/xinetd.d", "etc/init", "systemd/system", "etc/rc5.d"];
    let is_script = file.text.is_some_and(|text| text.starts_with("#!"));
    SCRIPTS.iter().any(|script| file.is(script))
        || FOLDERS.iter().any(|folder| file.is_below(folder))
        // Start scripts of vendors lie anywhere: `app/start.sh`, `usr/bin/run_app`.
        || is_script && ["start", "init", "boot", "run", "rc"].iter().any(|word| file.name().starts_with(word))
}

fn started(file: &File<'_>, found: &mut Found) {
    let Some(lines) = file.text else { return };
    let mut count = 0;
    for (number, line) in (1..).zip(lines.lines().take(LINES_MAX)) {
        // Longer ones no shell was written for.
        let line = line[..line.floor_char_boundary(LINE_BYTES_MAX)].trim();
        if line.starts_with('#') || line.starts_with("//") {
            continue;
        }
        for known in KNOWN {
            let Some(program) =
                known.programs.iter().find(|program| runs(line, program) || is_named(line, program, lines))
            else {
                continue;
            };
            count += 1;
            if count > SERVICES_MAX {
                return;
            }
            let service = Service {
                name: (*program).to_owned(),
                place: file.place.to_owned(),
                line: number,
                is_plain: known.is_plain,
            };
            if !found.service(service) {
                continue;
            }
            if let Some((severity, why)) = known.issue {
                let title = format!("{program} is started: {why}");
                found.issue("service-started", severity, file.place, (title, REMEDY));
            }
        }
    }
}

/// Whether a line runs a program: it stands as a word of its own, with or without the
/// folder before it, and is not only ended or looked for.
fn runs(line: &str, program: &str) -> bool {
    const NOT_RUN: [&str; 14] = [
        "[", "[[", "kill", "killall", "pkill", "pidof", "pgrep", "rm", "test", "grep", "echo", "chmod",
        "which", "logger",
    ];
    let is_word = |byte: Option<&u8>| {
        byte.is_none_or(|byte| !byte.is_ascii_alphanumeric() && !matches!(byte, b'_' | b'-' | b'.'))
    };
    let bytes = line.as_bytes();
    line.match_indices(program).any(|(at, _)| {
        let before = at.checked_sub(1).and_then(|at| bytes.get(at));
        if !is_word(before) || !is_word(bytes.get(at + program.len())) {
            return false;
        }
        // From the last separator of commands on.
        let command = line[..at].rsplit([';', '&', '|', '`', '(', '{']).next().unwrap_or_default();
        // Without the folder that stands before the program.
        let command = command.trim_end_matches(|c: char| !c.is_whitespace() && c != '=');
        !command.split_whitespace().any(|word| NOT_RUN.contains(&word.rsplit('/').next().unwrap_or_default()))
            && !command.trim_end().ends_with('>')
            && !is_assigned(command)
            && !bytes.get(at + program.len()).is_some_and(|byte| matches!(byte, b'/' | b'='))
    })
}

/// `PIDFILE=/var/run/telnetd` names it and runs nothing; `ExecStart=` of a unit does,
/// and so does `server =` of xinetd.
fn is_assigned(command: &str) -> bool {
    let name = command.strip_suffix('=').and_then(|names| names.split_whitespace().next_back());
    name.is_some_and(|name| !name.starts_with("Exec") && !name.starts_with('-'))
}

/// `DAEMON=/usr/sbin/telnetd` in a script that uses `$DAEMON`.
fn is_named(line: &str, program: &str, script: &str) -> bool {
    let Some((name, value)) = line.trim_start_matches("export ").split_once('=') else { return false };
    let value = value.trim_matches(['"', '\'']).split_whitespace().next().unwrap_or_default();
    let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    is_name
        && value.rsplit('/').next() == Some(program)
        && !name.to_ascii_uppercase().contains("PID")
        && (script.contains(&format!("${name}")) || script.contains(&format!("${{{name}")))
}

fn shell_settings(file: &File<'_>, found: &mut Found) {
    let Some(lines) = file.text else { return };
    for line in lines.lines().take(LINES_MAX) {
        let words: Vec<String> =
            line.split_whitespace().map(|word| word.trim_matches(['\'', '"']).to_ascii_lowercase()).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let title = match words[..] {
            ["permitemptypasswords", "yes"] => "SSH lets accounts without a password in",
            ["permitrootlogin", "yes"] => "SSH lets root in with a password",
            ["protocol", versions] if versions.contains('1') => "SSH speaks version 1",
            ["option", "rootpasswordauth", "on" | "1"] => "SSH lets root in with a password",
            _ => continue,
        };
        found.issue("ssh-settings", Severity::High, file.place, (title.to_owned(), REMEDY));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_started_is_told_from_what_is_only_named() {
        for line in [
            "telnetd &",
            "/usr/sbin/telnetd -l /bin/sh",
            "::respawn:/usr/sbin/telnetd -F",
            "[ -x /bin/login ] && telnetd",
            "ExecStart=/usr/sbin/telnetd -F",
            "telnet stream tcp nowait root /usr/sbin/telnetd telnetd",
            "start-stop-daemon -S -x /usr/sbin/telnetd",
            "HOME=/root /usr/sbin/telnetd",
            "server = /usr/sbin/telnetd",
        ] {
            assert!(runs(line, "telnetd"), "{line}");
        }
        for line in [
            "killall telnetd",
            "kill $(pidof telnetd)",
            "rm -f /var/run/telnetd.pid",
            "PIDFILE=/var/run/telnetd",
            "echo no telnetd here",
            "if [ -f /usr/sbin/telnetd ]; then",
            "utelnetd",
            "telnetd_enabled=0",
            "[ -x /usr/sbin/telnetd ] || exit 0",
        ] {
            assert!(!runs(line, "telnetd"), "{line}");
        }
        let script = "DAEMON=telnetd\nstart-stop-daemon -S -x /usr/sbin/$DAEMON\n";
        assert!(is_named("DAEMON=telnetd", "telnetd", script));
        assert!(!is_named("DAEMON=telnetd", "telnetd", "DAEMON=telnetd\n"), "nobody uses it");
        assert!(!is_named("PIDFILE=/run/telnetd", "telnetd", "rm $PIDFILE"));
    }
}
