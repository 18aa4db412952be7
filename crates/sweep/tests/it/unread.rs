//! What was not read is told, with its reason.

use std::fs;
use std::ops::ControlFlow;

use fastrand::Rng;
use sweep::source::{Entry, walk};
use sweep::{Limits, Rules, Totals};

use crate::made;
use crate::support::sh;
use crate::wraps;

/// Its totals, and what was not read of it.
fn unread(bytes: &[u8]) -> (Totals, Vec<String>) {
    let (_, skipped, totals) = crate::totals(&Rules::built_in(), bytes, Limits::default());
    (totals, skipped)
}

fn noise(bytes: usize, seed: u64) -> Vec<u8> {
    made::bytes(bytes, &mut Rng::with_seed(seed))
}

/// A document of Word with a password: the header of an OLE file and its directory.
fn office(package: &str) -> Vec<u8> {
    let mut file = vec![0; 1024];
    file[..8].copy_from_slice(&[0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1]);
    file[30] = 9;
    for (number, name) in ["Root Entry", package].into_iter().enumerate() {
        let name: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
        file[512 + number * 128..][..name.len()].copy_from_slice(&name);
    }
    file
}

#[test]
fn what_is_encrypted_is_told_and_by_what() {
    let with = |head: &[u8]| [head, &noise(3000, 1)].concat();
    let armour = |kind: &str, text: &str| format!("-----BEGIN {kind}-----\n\n{text}\n-----END {kind}-----\n");
    for (why, bytes) in [
        ("encrypted (OpenSSL)", with(b"Salted__")),
        ("encrypted (OpenSSL)", b"U2FsdGVkX1+RYIwEiRAd5iRRVQ5ZeRTrJwGjRyB0QwErTyUiOpAs\n".to_vec()),
        // For a password (AES-256), for keys of RSA and of X25519, as GnuPG writes them.
        ("encrypted (OpenPGP)", with(&[0x8c, 0x0d, 4, 9, 3, 10, 1, 2, 3, 4, 5, 6, 7, 8, 0xff, 0xd2, 0xc0])),
        ("encrypted (OpenPGP)", with(&[0x85, 1, 0x0c, 3, 1, 2, 3, 4, 5, 6, 7, 8, 1])[..271].to_vec()),
        ("encrypted (OpenPGP)", with(&[0x84, 0x5e, 3, 1, 2, 3, 4, 5, 6, 7, 8, 18])[..96].to_vec()),
        ("encrypted (OpenPGP)", armour("PGP MESSAGE", "jA0ECQMKAQIDBAUGBwj/0sAAAAAA").into_bytes()),
        ("encrypted (age)", with(b"age-encryption.org/v1\n-> X25519 ")),
        ("encrypted (age)", armour("AGE ENCRYPTED FILE", "YWdlLWVuY3J5cHRpb24").into_bytes()),
        ("encrypted (Ansible Vault)", b"$ANSIBLE_VAULT;1.1;AES256\n6162\n".to_vec()),
        ("encrypted (Microsoft Office)", office("EncryptedPackage")),
        ("not supported: WIM", with(b"MSWIM\0\0\0")),
        ("nothing but noise", noise(1024, 2)),
        ("nothing but noise", noise(70_001, 3)),
        ("nothing but noise", noise(300_000, 4)),
    ] {
        let (totals, skipped) = unread(&bytes);
        assert!(skipped.len() == 1 && skipped[0].starts_with(&format!("input: {why}")), "{why}: {skipped:?}");
        assert_eq!(totals.locked, u64::from(!why.starts_with("not supported")), "{why}");
        assert!(totals.closed, "{why}");
    }
    // The attack: something behind it that can be read, or that looks like a card.
    let kee = with(b"\x03\xd9\xa2\x9a\x67\xfb\x4b\xb5");
    let luks = [&b"LUKS\xba\xbe\0\x01"[..], &[0; 584], &noise(4096, 9)].concat();
    for tail in [wraps::gzip(b"nothing\n"), luks] {
        let (totals, skipped) = unread(&[&kee[..], &tail].concat());
        assert!(skipped.iter().any(|told| told == "input: encrypted (KeePass)"), "{skipped:?}");
        assert!(totals.closed);
    }
    assert!(!unread(b"nothing\n").0.closed);
}

/// Archives that are encrypted, and what is encrypted inside of one that is not.
#[test]
fn what_is_encrypted_in_archives_is_told_with_its_name() {
    let folder = tempfile::tempdir().expect("a folder");
    sh(
        folder.path(),
        "echo text > a.txt; zip -q -P lighthouse locked.zip a.txt
         7zz a -bso0 -plighthouse -mhe=on locked.7z a.txt
         openssl enc -aes-256-cbc -pbkdf2 -pass pass:lighthouse -in a.txt -out backup.enc
         tar -cf all.tar backup.enc locked.zip",
    );
    let read = |name: &str| unread(&fs::read(folder.path().join(name)).expect("a file"));
    for (name, expected) in
        [("locked.zip", &["input/a.txt: encrypted"][..]), ("locked.7z", &["input/: encrypted"])]
    {
        let (totals, skipped) = read(name);
        assert_eq!(skipped, expected, "{name}");
        assert_eq!((totals.locked, totals.parts), (1, 1), "{name}");
    }
    let (totals, skipped) = read("all.tar");
    assert_eq!(skipped, ["input/backup.enc: encrypted (OpenSSL)", "input/locked.zip/a.txt: encrypted"]);
    assert_eq!((totals.locked, totals.parts), (2, 3));
}

/// The other side: what is packed well, short, or said of encrypted files is no such thing.
#[test]
fn pictures_texts_and_short_files_are_not_called_encrypted() {
    let with = |head: &[u8]| [head, &noise(100_000, 5)].concat();
    for (what, bytes) in [
        ("PNG", with(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR")),
        ("JPEG", with(b"\xff\xd8\xff\xe0\0\x10JFIF\0")),
        ("MP3", with(b"ID3\x04\0")),
        ("WebP", with(b"RIFF\0\0\x01\0WEBPVP8 ")),
        ("a font", with(b"wOF2\0\x01\0\0")),
        ("a short key", noise(256, 6)),
        ("zeros", vec![0; 4096]),
        ("text", "The quick brown fox jumps over the lazy dog.\n".repeat(200).into_bytes()),
        ("a document", office("WordDocument")),
        ("every byte in turn", (0..=255).cycle().take(4096).collect()),
        ("text behind it", [&noise(4096, 7)[..], "text\n".repeat(20_000).as_bytes()].concat()),
    ] {
        assert_eq!(unread(&bytes).1, [""; 0], "{what}");
    }
}

#[test]
fn a_file_of_proc_is_read_when_it_is_named() {
    let mut read = Vec::new();
    let _ = walk("/proc/self/status".as_ref(), &mut |entry| {
        if let Entry::File { source, .. } = entry {
            read = sweep::read::ReadAt::in_memory(&source).unwrap_or_default().to_vec();
            assert!(source.state().is_none(), "nothing says whether it changed");
        }
        ControlFlow::Continue(())
    });
    assert!(read.starts_with(b"Name:"), "{}", String::from_utf8_lossy(&read));
}

#[test]
fn what_the_system_refuses_differs_from_what_a_sweep_leaves_out() {
    let folder = tempfile::tempdir().expect("a folder");
    std::os::unix::fs::symlink("nowhere", folder.path().join("link")).expect("a link");
    let told = |path: &std::path::Path| {
        let mut told = Vec::new();
        let _ = walk(path, &mut |entry| {
            match entry {
                Entry::File { .. } => told.push("a file".to_owned()),
                Entry::Skipped { why, failed, .. } => told.push(format!("{failed}: {why}")),
            }
            ControlFlow::Continue(())
        });
        told
    };
    assert_eq!(told(folder.path()), ["false: a link, not followed"]);
    let missing = told(&folder.path().join("missing"));
    assert!(missing[0].starts_with("true: No such file"), "{missing:?}");
    // It can be opened, and its first page is not there.
    let refused = told("/proc/self/mem".as_ref());
    assert!(refused[0].starts_with("true: "), "{refused:?}");
}
