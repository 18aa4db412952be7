//! Streams and archives, made by the tools that everybody has.

use sweep::unpack::{Format, Skip, find};

use crate::support::{damage, files, open, packed, round_trip};

/// A stream has one part without a name, or with that which gzip keeps.
fn stream(format: Format, line: &str) {
    let whole = files().remove("var/log/large.log").expect("a file");
    let mut data = packed(line);
    assert!(find(&data).contains(&(0, format)), "not found: {line}");
    let bytes = data.len() as u64;
    data.extend_from_slice(b"what follows");
    let seen = open(format, &data);
    assert_eq!(seen.skipped, []);
    assert_eq!(seen.parts.len(), 1, "{line}");
    assert!(seen.parts.values().all(|part| *part == whole), "{line}");
    assert_eq!(seen.covered, Some(bytes), "{line}");
    damage(format, &data);
}

#[test]
fn streams_of_each_codec() {
    stream(Format::Gzip, "gzip -c tree/var/log/large.log > out");
    stream(Format::Bzip2, "bzip2 -c tree/var/log/large.log > out");
    stream(Format::Xz, "xz -c tree/var/log/large.log > out");
    stream(Format::Xz, "xz -c --check=sha256 --x86 --lzma2 tree/var/log/large.log > out");
    stream(Format::Lzma, "xz -c --format=lzma tree/var/log/large.log > out");
    stream(Format::Zstd, "zstd -qc -19 tree/var/log/large.log > out");
    stream(Format::Lz4, "lz4 -qc tree/var/log/large.log > out");
    stream(Format::Lz4, "lz4 -qc -9 -BD --content-size tree/var/log/large.log > out");
    let zlib = "python3 -c 'import zlib; open(\"out\",\"wb\").write(zlib.compress(open(\"tree/var/log/large.log\",\"rb\").read()))'";
    stream(Format::Zlib, zlib);
}

/// The frame of old does not tell where it ends.
#[test]
fn lz4_as_kernels_have_it() {
    let data = packed("lz4 -qc -l tree/var/log/large.log > out");
    assert!(find(&data).contains(&(0, Format::Lz4)));
    let seen = open(Format::Lz4, &data);
    assert_eq!((seen.skipped.len(), &seen.parts[""]), (0, &files()["var/log/large.log"]));
    damage(Format::Lz4, &data);
}

#[test]
fn members_that_follow_each_other_are_one_stream() {
    let split = "head -c 99999 tree/var/log/large.log > a; tail -c +100000 tree/var/log/large.log > b;";
    for (format, tool) in [
        (Format::Gzip, "gzip -c"),
        (Format::Bzip2, "bzip2 -c"),
        (Format::Xz, "xz -c"),
        (Format::Zstd, "zstd -qc"),
        (Format::Lz4, "lz4 -qc"),
    ] {
        stream(format, &format!("{split} ({tool} a; {tool} b) > out"));
    }
}

#[test]
fn archives_of_each_tool() {
    round_trip(Format::Tar, "cd tree; tar --format=ustar -cf ../out *");
    round_trip(Format::Tar, "cd tree; tar --format=gnu -cf ../out *");
    round_trip(Format::Tar, "cd tree; tar --format=pax -cf ../out *");
    round_trip(Format::Cpio, "cd tree; find . -type f | cpio -oH newc > ../out");
    round_trip(Format::Cpio, "cd tree; find . -type f | cpio -oH crc > ../out");
    round_trip(Format::Cpio, "cd tree; find . -type f | cpio -oH odc > ../out");
    round_trip(Format::Zip, "cd tree; zip -qr ../out.zip .; mv ../out.zip ../out");
    round_trip(Format::Zip, "cd tree; zip -q0r ../out.zip .; mv ../out.zip ../out");
    round_trip(Format::Zip, "cd tree; zip -qr -fz - . > ../out");
    round_trip(
        Format::Zip,
        "cd tree; 7zz a -bd -tzip -mm=BZip2 ../out.zip . >/dev/null; mv ../out.zip ../out",
    );
    round_trip(
        Format::Zip,
        "cd tree; 7zz a -bd -tzip -mm=LZMA ../out.zip . >/dev/null; mv ../out.zip ../out",
    );
    for method in ["LZMA", "LZMA2", "Deflate", "BZip2", "Copy"] {
        round_trip(
            Format::SevenZip,
            &format!("cd tree; 7zz a -bd -m0={method} ../o.7z . >/dev/null; mv ../o.7z ../out"),
        );
    }
    round_trip(
        Format::SevenZip,
        "cd tree; 7zz a -bd -m0=BCJ2 -m1=LZMA:d1m -m2=LZMA:d19 -m3=LZMA:d19 -mb0:1 -mb0s1:2 -mb0s2:3 ../o.7z . >/dev/null; mv ../o.7z ../out",
    );
    round_trip(
        Format::SevenZip,
        "cd tree; 7zz a -bd -ms=off -mhc=off -m0=ARM64 -m1=LZMA2 ../o.7z . >/dev/null; mv ../o.7z ../out",
    );
}

#[test]
fn names_that_are_too_long_for_a_header() {
    let name = format!("{}/{}", "d".repeat(120), "f".repeat(130));
    for format in ["gnu", "pax"] {
        let line = format!("mkdir {}; echo x > {name}; tar --format={format} -cf out ddd*", "d".repeat(120));
        let seen = open(Format::Tar, &packed(&line));
        assert_eq!(seen.parts.keys().collect::<Vec<_>>(), [&name]);
    }
    let ar = open(
        Format::Ar,
        &packed(&format!("cp tree/noise.bin {0}; ar rc out {0} tree/etc/one", "f".repeat(60))),
    );
    assert_eq!(ar.parts["f".repeat(60).as_str()], files()["noise.bin"]);
    assert_eq!(ar.parts["one"], files()["etc/one"]);
    assert_eq!(ar.skipped, []);
}

#[test]
fn a_debian_package() {
    let line = "mkdir p; mv tree p/; mkdir p/DEBIAN; \
        printf 'Package: x\\nVersion: 1\\nArchitecture: all\\nMaintainer: x <x@x>\\nDescription: x\\n' > p/DEBIAN/control; \
        dpkg-deb -Zxz -b p out >/dev/null";
    let seen = open(Format::Ar, &packed(line));
    assert_eq!(seen.parts.keys().collect::<Vec<_>>(), ["control.tar.xz", "data.tar.xz", "debian-binary"]);
    assert!(find(&seen.parts["data.tar.xz"]).contains(&(0, Format::Xz)));
}

#[test]
fn what_is_encrypted_is_told() {
    let zip = open(Format::Zip, &packed("zip -q -P secret out.zip tree/noise.bin; mv out.zip out"));
    assert_eq!(zip.why("tree/noise.bin"), [Skip::Encrypted]);
    assert!(zip.parts.is_empty());
    let seven =
        open(Format::SevenZip, &packed("7zz a -bd -psecret o.7z tree/noise.bin >/dev/null; mv o.7z out"));
    assert_eq!(seven.skipped, [("tree/noise.bin".to_owned(), Skip::Encrypted)]);
    let names =
        open(Format::SevenZip, &packed("7zz a -bd -psecret -mhe=on o.7z tree >/dev/null; mv o.7z out"));
    assert_eq!(names.why(""), [Skip::Encrypted]);
}

#[test]
fn a_zip_without_its_directory_is_read_by_its_headers() {
    let data = packed("cd tree; zip -qr -fd - var a* > ../out");
    let seen = open(Format::Zip, &data[..data.len() - 300]);
    assert!(seen.why("").contains(&Skip::Damaged("the directory of a zip archive is missing")));
    for (name, data) in
        files().into_iter().filter(|(name, _)| name.starts_with("var/") || name.starts_with("a "))
    {
        assert_eq!(seen.parts.get(&name), Some(&data), "{name}");
    }
}

#[test]
fn streams_of_older_tools() {
    stream(Format::Lzip, "lzip -c tree/var/log/large.log > out");
    let split = "head -c 99999 tree/var/log/large.log > a; tail -c +100000 tree/var/log/large.log > b;";
    stream(Format::Lzip, &format!("{split} (lzip -c a; lzip -c b) > out"));
    for options in ["", "-9", "-1", "-F", "-CC"] {
        stream(Format::Lzop, &format!("lzop {options} -c tree/var/log/large.log > out"));
    }
}

/// It has no end of its own, and its codes grow up to so many bits.
#[test]
fn what_compress_made() {
    for bits in [10, 12, 14, 16] {
        for name in ["var/log/large.log", "noise.bin"] {
            let data = packed(&format!("compress -f -b {bits} -c tree/{name} > out"));
            assert!(find(&data).contains(&(0, Format::Lzw)), "{bits} {name}");
            let seen = open(Format::Lzw, &data);
            assert_eq!((&seen.parts[""], seen.skipped.len()), (&files()[name], 0), "{bits} {name}");
        }
    }
    damage(Format::Lzw, &packed("compress -f -c tree/var/log/large.log > out"));
}

#[test]
fn cabinets() {
    let list = "etc/one etc/camera.conf noise.bin var/log/large.log";
    for options in ["-z", ""] {
        let data = packed(&format!("cd tree; gcab -c {options} ../out {list}"));
        assert!(find(&data).contains(&(0, Format::Cab)), "{options}");
        let seen = open(Format::Cab, &data);
        assert_eq!(seen.skipped, [], "{options}");
        assert_eq!(seen.covered, Some(data.len() as u64));
        for name in list.split(' ') {
            assert_eq!(seen.parts[name], files()[name], "{options} {name}");
        }
        damage(Format::Cab, &data);
    }
}

/// Whoever claims to cover what he does not would hide what lies there.
#[test]
fn a_cabinet_covers_no_more_than_its_blocks() {
    let mut data = packed("cd tree; gcab -c -z ../out etc/camera.conf");
    let bytes = data.len() as u64;
    data.extend_from_slice(&[0x5a; 100_000]);
    data[8..12].copy_from_slice(&100_000_u32.to_le_bytes());
    assert_eq!(open(Format::Cab, &data).covered, Some(bytes));
}

/// What is stored stands there as it is, and is read; what is packed is told.
#[test]
fn a_rar_archive_is_told_and_what_is_stored_in_it_read() {
    let secret = b"rtsp://admin:Zebra77crossing@10.0.0.1/live\n";
    let main = [3, 1, 0, 0];
    let mut sum = flate2::Crc::new();
    sum.update(&main);
    let five = [b"Rar!\x1a\x07\x01\0", &sum.sum().to_le_bytes()[..], &main, secret].concat();
    let four = [b"Rar!\x1a\x07\0\xcf\x90\x73\0\0\x0d\0\0\0\0\0\0\0", &secret[..]].concat();
    for archive in [five.clone(), four, [&[0x5a; 500][..], &five].concat()] {
        let (found, skipped) = crate::sweep(&sweep::Rules::built_in(), &archive);
        assert_eq!(found.len(), 1);
        assert!(skipped[0].ends_with("not supported: what is packed in a RAR archive"), "{skipped:?}");
    }
    // Words about it are none.
    assert_eq!(find(b"Rar!\x1a\x07\x01\0 is how it begins"), []);
}
