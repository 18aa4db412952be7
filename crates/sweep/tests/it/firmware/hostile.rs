//! Images by somebody who wants the audit to fail, to lie, or to run something.

use super::{audited, image, root, write};
use crate::support::sh;

/// Each part of a program, damaged in turn.
#[test]
fn damaged_programs_neither_panic_nor_vanish() {
    let folder = root();
    let program = std::fs::read(folder.path().join("root/bin/busybox")).expect("a program");
    let mut random = fastrand::Rng::with_seed(11);
    for _ in 0..400 {
        let mut damaged = program.clone();
        for _ in 0..random.usize(1..20) {
            // Headers are at both ends.
            let at = match random.bool() {
                true => random.usize(..1200),
                false => random.usize(..damaged.len()),
            };
            damaged[at] = random.u8(..);
        }
        damaged.truncate(random.usize(4..=damaged.len()));
        std::fs::write(folder.path().join("bin"), &damaged).expect("a file");
        let archive = [header(damaged.len()), damaged, vec![0; 1024]].concat();
        let report = audited(&archive);
        assert_eq!(report.files.len(), 1);
    }
}

/// Of a `tar` archive with one file.
fn header(bytes: usize) -> Vec<u8> {
    let mut header = vec![0_u8; 512];
    header[..3].copy_from_slice(b"bin");
    header[100..108].copy_from_slice(b"0000644\0");
    header[124..136].copy_from_slice(format!("{bytes:011o}\0").as_bytes());
    header[156] = b'0';
    header[257..265].copy_from_slice(b"ustar\x0000");
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    header
}

#[test]
fn names_and_lines_of_an_image_are_text_and_nothing_else() {
    let folder = root();
    let tree = folder.path().join("root");
    write(
        &tree,
        "etc/init.d/<img src=x onerror=alert(1)>",
        "#!/bin/sh\ntelnetd # <script>alert(2)</script> \u{1b}[2J\n",
    );
    write(&tree, "opt/\u{1b}[31mred/etc/passwd", "<b>x</b>::0:0::/:/bin/sh\n");
    let report = audited(&image(folder.path()));
    let page = report.html();
    assert!(page.contains("&lt;img src=x"), "the name is shown");
    for bad in ["<img", "<script", "<b>x", "\u{1b}"] {
        assert!(!page.contains(bad), "{bad}");
        assert!(bad != "\u{1b}" || !report.text().contains(bad));
    }
    assert!(page.contains("default-src 'none'"));
}

/// Lists of the report are bounded, whatever an image holds.
#[test]
fn a_million_accounts_are_no_million_entries() {
    let folder = tempfile::tempdir().expect("a folder");
    let line = "a:x:0:0::/:/bin/sh\n";
    write(folder.path(), "etc/passwd", &line.repeat(300_000));
    write(folder.path(), "etc/init.d/s", &format!("#!/bin/sh\n{}", "telnetd &\n".repeat(300_000)));
    sh(folder.path(), "tar -cf out etc");
    let report = audited(&std::fs::read(folder.path().join("out")).expect("an archive"));
    assert!(report.accounts.len() <= 4096, "{}", report.accounts.len());
    assert_eq!(report.services.len(), 1);
}

/// Each of these made readers look at the same bytes again and again.
#[test]
fn what_is_repeated_a_hundred_thousand_times_is_read_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let begin = "-----BEGIN CERTIFICATE-----\n";
    write(folder.path(), "etc/ssl/ca.pem", &begin.repeat(300_000));
    write(folder.path(), "etc/init.d/kill", &format!("#!/bin/sh\nkill {}\n", "telnetd ".repeat(500_000)));
    let package =
        |number: u32| format!("Package: p{number}\nStatus: install ok installed\nVersion: 1.{number}\n\n");
    write(folder.path(), "usr/lib/dpkg/status", &(0..200_000).map(package).collect::<String>());
    let words: String = (0..200_000).map(|number| format!("\0BusyBox v1.{number}\0")).collect();
    write(folder.path(), "bin/words", &words);
    sh(folder.path(), "tar -cf out etc usr bin");
    let report = audited(&std::fs::read(folder.path().join("out")).expect("an archive"));
    assert_eq!((report.certificates.len(), report.services.len()), (0, 0));
    let of =
        |name: &str| report.components.iter().filter(|component| component.name.starts_with(name)).count();
    assert_eq!((of("p"), of("BusyBox")), (20_000, 4096));
}

/// A report is handed on; what stands in start scripts is not for everybody.
#[test]
fn no_line_of_a_script_gets_into_a_report() {
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), "etc/init.d/s", "#!/bin/sh\necho root:Zanzibar7 | chpasswd; telnetd # Zanzibar7\n");
    sh(folder.path(), "tar -cf out etc");
    let report = audited(&std::fs::read(folder.path().join("out")).expect("an archive"));
    assert_eq!((report.services.len(), report.services[0].line), (1, 2));
    for text in [report.json(), report.html(), report.text()] {
        assert!(!text.contains("Zanzibar7"));
    }
}

/// What an encoding is called is no name for a file to hide behind.
#[test]
fn a_file_that_is_called_like_an_encoding_is_looked_at() {
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), "(base64)/etc/shadow", "root::18000:0:99999:7:::\n");
    write(folder.path(), "(hex)", "\0BusyBox v1.2.3\0");
    sh(folder.path(), "tar -cf out '(base64)' '(hex)'");
    let report = audited(&std::fs::read(folder.path().join("out")).expect("an archive"));
    assert_eq!((report.accounts.len(), report.components.len()), (1, 1));
}

/// What the fuzzer begins with, and each of it damaged in turn.
#[test]
fn the_seeds_of_the_fuzzers_pass_also_damaged() {
    type Target = (&'static str, fn(&[u8]));
    const TARGETS: [Target; 2] =
        [("firmware", sweep::fuzzing::firmware), ("advisories", sweep::fuzzing::advisories)];
    let mut random = fastrand::Rng::with_seed(17);
    for (target, fuzz) in TARGETS {
        let folder = format!("{}/../../fuzz/corpus/{target}", env!("CARGO_MANIFEST_DIR"));
        let seeds: Vec<_> =
            std::fs::read_dir(folder).expect("seeds").flatten().map(|seed| seed.path()).collect();
        assert!(seeds.len() >= 4);
        for seed in seeds {
            let seed = std::fs::read(seed).expect("a seed");
            fuzz(&seed);
            for _ in 0..100 {
                let mut damaged = seed.clone();
                for _ in 0..random.usize(1..6) {
                    let at = random.usize(..damaged.len());
                    damaged[at] = random.u8(..);
                }
                damaged.truncate(random.usize(1..=damaged.len()));
                fuzz(&damaged);
            }
        }
    }
}
