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
