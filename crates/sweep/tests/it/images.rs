//! File systems and images of firmware and cards.

use sweep::unpack::{Format, Skip, find};
use sweep::{Limits, Rules};

use crate::support::{files, open, packed, round_trip, same};
use crate::totals;

#[test]
fn squashfs_with_each_codec() {
    for codec in ["gzip", "xz", "lz4", "zstd", "lzo"] {
        round_trip(Format::Squashfs, &format!("mksquashfs tree out -comp {codec} -quiet -no-progress"));
    }
    round_trip(Format::Squashfs, "mksquashfs tree out -comp xz -Xbcj arm -b 4096 -quiet -no-progress");
    round_trip(Format::Squashfs, "mksquashfs tree out -noI -noD -noF -no-fragments -quiet -no-progress");
    round_trip(Format::Squashfs, "mksquashfs tree out -b 1M -always-use-fragments -quiet -no-progress");
}

#[test]
fn small_file_systems() {
    round_trip(Format::Cramfs, "mkfs.cramfs tree out");
    round_trip(Format::Cramfs, "mkfs.cramfs tree little; cramfsswap little out >/dev/null");
    round_trip(Format::Romfs, "genromfs -d tree -f out");
}

#[test]
fn jffs2_of_either_order() {
    for codecs in ["", "-x zlib", "-x zlib -x rtime", "-y 90:lzo -X lzo -m priority"] {
        round_trip(Format::Jffs2, &format!("mkfs.jffs2 -l -n -e 128 {codecs} -d tree -o out"));
    }
    round_trip(Format::Jffs2, "mkfs.jffs2 -b -n -e 64 -d tree -o out");
}

#[test]
fn ubifs_and_ubi() {
    for codec in ["none", "zlib", "lzo", "zstd"] {
        round_trip(Format::Ubi, &format!("mkfs.ubifs -m 2048 -e 126976 -c 200 -x {codec} -r tree -o out"));
    }
    let line = "mkfs.ubifs -m 2048 -e 126976 -c 200 -r tree -o fs; mksquashfs tree sq -quiet -no-progress; \
        printf '[a]\\nmode=ubi\\nimage=fs\\nvol_id=0\\nvol_type=dynamic\\nvol_name=rootfs\\nvol_size=8MiB\\n\
        [b]\\nmode=ubi\\nimage=sq\\nvol_id=1\\nvol_type=static\\nvol_name=data\\nvol_size=2MiB\\n' > ini; \
        ubinize -m 2048 -p 128KiB -o out ini";
    let data = packed(line);
    assert!(find(&data[..64]).contains(&(0, Format::Ubi)));
    let seen = open(Format::Ubi, &data);
    assert_eq!(seen.skipped, []);
    for volume in ["rootfs", "data"] {
        for (name, data) in files() {
            assert!(seen.parts.get(&format!("{volume}/{name}")) == Some(&data), "{volume}/{name}");
        }
    }
    crate::support::damage(Format::Ubi, &data);
}

/// `lost+found` is a folder, of which nothing is told.
#[test]
fn ext_of_each_age() {
    round_trip(Format::Ext, "mke2fs -q -t ext2 -b 1024 -d tree out 8M");
    round_trip(Format::Ext, "mke2fs -q -t ext3 -d tree out 16M");
    round_trip(Format::Ext, "mke2fs -q -t ext4 -d tree out 16M");
    round_trip(Format::Ext, "mke2fs -q -t ext4 -O 64bit,inline_data -I 256 -d tree out 16M");
}

#[test]
fn fat_of_each_width() {
    for (width, size) in [(12, "2M"), (16, "20M"), (32, "40M")] {
        let line = format!(
            "truncate -s {size} out; mkfs.fat -F {width} -s 1 out >/dev/null; mcopy -i out -s tree/* ::"
        );
        round_trip(Format::Fat, &line);
    }
}

#[test]
fn iso_with_joliet_rock_ridge_and_neither() {
    round_trip(Format::Iso9660, "genisoimage -quiet -J -joliet-long -o out tree 2>/dev/null");
    round_trip(Format::Iso9660, "genisoimage -quiet -R -o out tree 2>/dev/null");
    round_trip(Format::Iso9660, "xorriso -as mkisofs -quiet -R -J -o out tree 2>/dev/null");
    let plain = open(Format::Iso9660, &packed("genisoimage -quiet -o out tree 2>/dev/null"));
    assert_eq!(plain.parts["VAR/LOG/LARGE.LOG"], files()["var/log/large.log"]);
}

#[test]
fn disks_of_partitions() {
    let fs = "mke2fs -q -t ext4 -d tree fs 16M; truncate -s 40M out;";
    let gpt = packed(&format!(
        "{fs} printf 'label: gpt\\nstart=2048,size=32768,name=\"records\"\\n' | sfdisk -q out; dd if=fs of=out seek=2048 conv=notrunc status=none"
    ));
    assert!(find(&gpt[..1 << 16]).contains(&(0, Format::Gpt)));
    assert!(!find(&gpt[..1 << 16]).contains(&(0, Format::Mbr)));
    same(&open(Format::Gpt, &gpt), "gpt", "partition 1 records/");
    let mbr = packed(&format!(
        "{fs} printf 'label: dos\\nstart=2048,size=2048,type=5\\nstart=8192,size=32768,type=83\\nstart=2050,size=100,type=83\\n' | sfdisk -q --force out; dd if=fs of=out seek=8192 conv=notrunc status=none"
    ));
    assert!(find(&mbr[..1 << 16]).contains(&(0, Format::Mbr)));
    let seen = open(Format::Mbr, &mbr);
    assert_eq!(seen.parts["partition 2/var/log/large.log"], files()["var/log/large.log"]);
    assert!(seen.parts.contains_key("partition 5"), "{:?}", seen.parts.keys());
    crate::support::damage(Format::Gpt, &gpt[..20 << 20]);
    crate::support::damage(Format::Mbr, &mbr[..1 << 20]);
}

#[test]
fn images_of_u_boot() {
    for codec in ["none", "gzip", "lzma"] {
        let pack = match codec {
            "gzip" => "gzip",
            "lzma" => "xz --format=lzma",
            _ => "cat",
        };
        let line = format!(
            "{pack} < tree/var/log/large.log > p; mkimage -A arm -T kernel -C {codec} -n 'Linux' -d p out >/dev/null"
        );
        let data = packed(&line);
        assert!(find(&data[..4096]).contains(&(0, Format::UImage)));
        let seen = open(Format::UImage, &data);
        assert_eq!(seen.skipped, []);
        assert_eq!(seen.parts["Linux"], files()["var/log/large.log"], "{codec}");
        crate::support::damage(Format::UImage, &data);
    }
    let multi = packed(
        "mksquashfs tree sq -quiet -no-progress; mkimage -A arm -T multi -C none -n fw -d tree/noise.bin:sq out >/dev/null",
    );
    let seen = open(Format::UImage, &multi);
    assert_eq!(seen.parts["fw 0"], files()["noise.bin"]);
    assert_eq!(seen.parts["fw 1/noise.bin"], files()["noise.bin"]);
}

#[test]
fn fit_images_inside_and_outside_the_tree() {
    let its = "/dts-v1/; / { description = \"fw\"; #address-cells = <1>; images { kernel { data = /incbin/(\"k.gz\"); type = \"kernel\"; arch = \"arm\"; os = \"linux\"; compression = \"gzip\"; load = <0>; entry = <0>; }; \
        rootfs { data = /incbin/(\"sq\"); type = \"ramdisk\"; arch = \"arm\"; os = \"linux\"; compression = \"none\"; hash { algo = \"sha256\"; }; }; }; \
        configurations { default = \"a\"; a { kernel = \"kernel\"; ramdisk = \"rootfs\"; }; }; };";
    for outside in ["", "-E"] {
        let line = format!(
            "gzip -nc tree/var/log/large.log > k.gz; mksquashfs tree sq -quiet -no-progress; printf '%s' '{its}' > f.its; mkimage {outside} -f f.its out >/dev/null"
        );
        let data = packed(&line);
        assert!(find(&data[..4096]).contains(&(0, Format::Fit)));
        let seen = open(Format::Fit, &data);
        assert_eq!(seen.skipped, [], "{outside}");
        assert_eq!(seen.parts["images/kernel"], files()["var/log/large.log"]);
        assert_eq!(seen.parts["images/rootfs/noise.bin"], files()["noise.bin"]);
        crate::support::damage(Format::Fit, &data);
    }
}

#[test]
fn sparse_images_of_android() {
    let data = packed("mke2fs -q -t ext4 -d tree fs 16M; img2simg fs out");
    assert!(find(&data[..4096]).contains(&(0, Format::AndroidSparse)));
    same(&open(Format::AndroidSparse, &data), "img2simg", "");
    crate::support::damage(Format::AndroidSparse, &data);
}

#[test]
fn links_are_told_and_never_followed() {
    let link = "ln -s /etc/passwd tree/link;";
    for (format, line) in [
        (Format::Squashfs, "mksquashfs tree out -quiet -no-progress"),
        (Format::Ext, "mke2fs -q -t ext4 -d tree out 16M"),
        (Format::Tar, "cd tree; tar -cf ../out *"),
        (Format::Cpio, "cd tree; find * | cpio -oH newc > ../out"),
        (Format::Zip, "cd tree; zip -qry ../o.zip *; mv ../o.zip ../out"),
        (Format::Jffs2, "mkfs.jffs2 -l -e 128 -d tree -o out"),
        (Format::Ubi, "mkfs.ubifs -m 2048 -e 126976 -c 200 -r tree -o out"),
        (Format::Romfs, "genromfs -d tree -f out"),
        (Format::Cramfs, "mkfs.cramfs tree out"),
        (Format::Iso9660, "genisoimage -quiet -R -o out tree 2>/dev/null"),
        (Format::SevenZip, "cd tree; 7zz a -bd -snl ../o.7z * >/dev/null; mv ../o.7z ../out"),
    ] {
        let seen = open(format, &packed(&format!("{link} {line}")));
        assert_eq!(seen.skipped, [("link".to_owned(), Skip::Link)], "{format:?}");
        assert!(!seen.parts.contains_key("link"), "{format:?}");
    }
}

/// Files of up to some hundred bytes stand in their inodes, and what does not fit beside the
/// map of blocks in an attribute there.
#[test]
fn files_inside_inodes_of_ext_are_read() {
    let text: Vec<u8> = (0..200).map(|n| b'a' + n % 26).collect();
    let names: Vec<String> = (0..6).map(|n| format!("d/name-of-a-file-{n}")).collect();
    let line = format!(
        "mkdir t t/d; printf '{}' > t/inline; for n in 0 1 2 3 4 5; do printf $n > t/d/name-of-a-file-$n; done; \
        mke2fs -q -t ext4 -O inline_data -I 512 -d t out 8M; debugfs -R 'stat inline' out 2>/dev/null | grep -q 'Flags: 0x10000000'",
        String::from_utf8_lossy(&text)
    );
    let seen = open(Format::Ext, &packed(&line));
    assert_eq!(seen.parts.get("inline"), Some(&text), "{:?}", seen.skipped);
    for (number, name) in names.iter().enumerate() {
        assert_eq!(seen.parts.get(name), Some(&number.to_string().into_bytes()), "{:?}", seen.parts.keys());
    }
    assert_eq!(seen.skipped, []);
}

/// A block that is damaged is told for the files in it, and those behind it are read.
#[test]
fn a_damaged_block_of_a_cabinet_is_told() {
    let line = "mkdir t; head -c 300000 tree/var/log/large.log > t/a; cp tree/etc/camera.conf t/b; cd t; gcab -c -z ../out a b; cd ..";
    for line in [line.to_owned(), line.replace("-c -z", "-c")] {
        let whole = packed(&line);
        let sound = open(Format::Cab, &whole);
        assert_eq!((sound.skipped, sound.parts["b"].len()), (vec![], 700), "{line}");
        let mut damaged = whole.clone();
        let at = whole.len() / 2;
        damaged[at] ^= 0x55;
        let seen = open(Format::Cab, &damaged);
        assert_eq!(seen.why("a").len(), 1, "{line}: {:?}", seen.skipped);
        // Packed blocks reach back into those before.
        assert_eq!(seen.why("b").len(), usize::from(line.contains("-z")), "{line}");
        assert!(line.contains("-z") || seen.parts["b"] == sound.parts["b"], "{line}");
        assert_eq!(seen.parts["a"].len(), 300_000);
        // A file that is longer than what there is.
        let mut long = whole.clone();
        let entry = [700_u32.to_le_bytes(), 300_000_u32.to_le_bytes()].concat();
        let at = long.windows(8).position(|eight| eight == entry).expect("an entry");
        long[at..at + 4].copy_from_slice(&70_000_u32.to_le_bytes());
        assert!(!open(Format::Cab, &long).why("b").is_empty(), "{line}");
    }
}

/// The attack: two blocks of UBI, the second of which is number a million: all before it
/// were never written, and are read.
#[test]
fn holes_of_ubi_are_work() {
    let mut image = vec![0xff; 2 << 17];
    for (block, number) in [(0, 0_u32), (1, (1 << 20) - 1)] {
        let at = block << 17;
        let mut head = vec![0; 64];
        head[..5].copy_from_slice(b"UBI#\x01");
        head[16..20].copy_from_slice(&2048_u32.to_be_bytes());
        head[20..24].copy_from_slice(&4096_u32.to_be_bytes());
        let mut sum = flate2::Crc::new();
        sum.update(&head[..60]);
        head[60..].copy_from_slice(&(!sum.sum()).to_be_bytes());
        image[at..at + 64].copy_from_slice(&head);
        let mut vid = vec![0; 64];
        vid[..5].copy_from_slice(b"UBI!\x01");
        vid[12..16].copy_from_slice(&number.to_be_bytes());
        image[at + 2048..at + 2048 + 64].copy_from_slice(&vid);
    }
    let limits = Limits { ratio: u64::MAX, total_bytes: 32 << 20, ..Limits::default() };
    let (_, _, totals) = totals(&Rules::built_in(), &image, limits);
    // A hundred GB by its own word; what was never written costs an eighth of what is.
    assert!(totals.unpacked > 16 << 20 && totals.worked >= totals.unpacked / 9, "{totals:?}");
}
