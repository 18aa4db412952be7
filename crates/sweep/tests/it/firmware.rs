//! The audit of images that real tools made of real programs.

mod advisories;
mod hostile;

use std::ops::ControlFlow;
use std::path::Path;
use std::process::Command;

use sweep::firmware::{BinaryKind, Comparison, Product, Relro, Report, Source, audit};
use sweep::{Limits, Rules, Severity, Sweep};

use crate::NOW;
use crate::support::sh;

fn audited(image: &[u8]) -> Report {
    audited_as(image, Product::default())
}

fn audited_as(image: &[u8], product: Product) -> Report {
    let rules = Rules::built_in();
    let sweep = Sweep { rules: &rules, limits: Limits::default(), now: NOW };
    audit(&sweep, ("camera.bin", &image.to_vec()), product, |_| ControlFlow::Continue(()))
}

fn write(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
    std::fs::write(path, text).expect("a file");
}

/// A camera's root: what vendors ship, the bad and the good of it.
fn root() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let tree = folder.path();
    let passwd =
        "root:x:0:0:root:/root:/bin/sh\nservice:x:0:0::/:/bin/sh\nnobody:*:65534:65534::/:/sbin/nologin\n";
    write(tree, "root/etc/passwd", passwd);
    // The hash of nothing that anybody uses.
    let shadow = "root:$1$lenskeep$kkMvzZ2fM9Sm1nYTdyr5n1:18000:0:99999:7:::\nservice::18000:0:99999:7:::\n\
                  daemon:*:18000:0:99999:7:::\n";
    write(tree, "root/etc/shadow", shadow);
    write(
        tree,
        "root/etc/init.d/rcS",
        "#!/bin/sh\n/usr/sbin/telnetd -l /bin/sh &\nkillall dropbear\n/usr/bin/lighttpd -f /etc/l.conf\n",
    );
    write(tree, "root/etc/ssh/sshd_config", "PermitEmptyPasswords yes\n# PermitRootLogin yes\n");
    write(tree, "root/etc/os-release", "ID=acme\nVARIANT_ID=\"dome-3\"\nVERSION_ID='5.4.1'\n");
    let status = "Package: libssl1.1\nSource: openssl\nStatus: install ok installed\nVersion: 1.1.1k-1+deb11u1\n\n\
                  Package: gone\nStatus: deinstall ok config-files\nVersion: 1.0\n";
    write(tree, "root/var/lib/dpkg/status", status);
    write(
        tree,
        "old.c",
        "#include <string.h>\n#include <stdio.h>\nconst char *v = \"BusyBox v1.30.1 (2021-03-02 10:11:12 UTC)\";\n\
                          int main(int n, char **a) { char b[64]; strcpy(b, a[0]); return printf(\"%s%s\", b, v) + n; }\n",
    );
    sh(
        tree,
        "mkdir -p root/bin root/lib root/etc/ssl
         cc -O2 -no-pie -fno-stack-protector -U_FORTIFY_SOURCE -z execstack -z norelro -Wl,-rpath,/tmp/lib -o root/bin/busybox old.c
         cc -O2 -fPIE -pie -fstack-protector-all -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 -Wl,-z,relro,-z,now -s -o root/bin/new old.c
         cc -O2 -fPIC -shared -o root/lib/libold.so old.c
         cc -c -o root/lib/module.ko old.c
         openssl req -x509 -newkey rsa:1024 -nodes -sha256 -days 1 -subj '/O=Acme/CN=camera' -keyout root/etc/ssl/key.pem -out root/etc/ssl/cert.pem 2>/dev/null
         printf 'Linux version 4.9.37 (build@host) (gcc version 6.3.0)\\0 and more of the kernel\\0' > kernel
         gzip -c kernel > kernel.gz
         mkimage -A arm -O linux -T kernel -C gzip -a 0 -e 0 -n Linux -d kernel.gz uImage >/dev/null",
    );
    folder
}

/// A header of the vendor's own, the kernel, and the root beside it.
fn image(folder: &Path) -> Vec<u8> {
    sh(
        folder,
        "rm -f root.squashfs; mksquashfs root root.squashfs -all-root -noappend -comp xz -quiet -no-progress >/dev/null
         head -c 512 /dev/zero | tr '\\0' 'A' > out; cat uImage >> out; truncate -s 65536 out; cat root.squashfs >> out",
    );
    std::fs::read(folder.join("out")).expect("the image")
}

fn titles(report: &Report) -> Vec<String> {
    report.issues.iter().map(|issue| format!("{} {}", issue.severity.name(), issue.title)).collect()
}

#[test]
fn an_image_is_seen_through() {
    let folder = root();
    let image = image(folder.path());
    let report = audited(&image);
    let titles = titles(&report);
    for expected in [
        "critical Account service has no password",
        "critical Account root has a password that is built in (md5crypt)",
        "high Account service is a second root",
        "critical telnetd is started: a shell without encryption",
        "high SSH lets accounts without a password in",
        "medium It loads libraries from /tmp/lib",
        "medium Certificate of O=Acme, CN=camera has a key of 1024 bits",
        "low 1 of 2 programs are always loaded at the same address (no PIE)",
        "low 1 of 2 programs have memory that is both written and executed (no NX)",
        "low 1 of 2 programs have no guard on the stack",
    ] {
        assert!(titles.iter().any(|title| title == expected), "no {expected:?} in {titles:#?}");
    }
    assert!(titles.iter().any(|title| title.starts_with("medium No signature was found")), "{titles:#?}");
    // What is ended, commented out, or locked is nothing to mend.
    for absent in ["dropbear is started", "PermitRootLogin", "root in with a password", "nobody", "daemon"] {
        assert!(!titles.iter().any(|title| title.contains(absent)), "{absent}: {titles:#?}");
    }
    let services: Vec<&str> = report.services.iter().map(|service| service.name.as_str()).collect();
    assert_eq!(services, ["telnetd", "lighttpd"]);
    let components: Vec<_> =
        report.components.iter().map(|of| (of.name.as_str(), of.version.as_str(), of.source)).collect();
    assert_eq!(
        components,
        [
            ("BusyBox", "1.30.1", Source::Words),
            ("Linux", "4.9.37", Source::Words),
            ("libssl1.1", "1.1.1k", Source::Packages),
        ]
    );
    assert_eq!(report.components[0].places, 4, "two programs, a library, a module");
    assert_eq!(report.components[2].purl.as_deref(), Some("pkg:deb/debian/libssl1.1@1.1.1k-1%2Bdeb11u1"));
    let product = &report.product;
    assert_eq!(product.vendor.as_deref(), Some("acme"));
    assert_eq!((product.model.as_deref(), product.version.as_deref()), (Some("dome-3"), Some("5.4.1")));
    assert!(
        report.credentials.iter().any(|found| found.place.ends_with("etc/ssl/key.pem")),
        "the private key"
    );
    assert!(report.credentials.iter().any(|found| found.place.ends_with("etc/shadow")), "the hash");
    assert!(!report.json().contains("kkMvzZ2fM9Sm1nYTdyr5n1"), "no report holds a secret");
    assert_eq!(Report::read(report.json().as_bytes()).expect("its own form"), report);
}

#[test]
fn how_programs_were_built_is_read_as_the_linker_wrote_it() {
    let folder = root();
    let report = audited(&image(folder.path()));
    let of =
        |name: &str| report.binaries.iter().find(|binary| binary.place.ends_with(name)).expect("a program");
    let (old, new) = (of("bin/busybox"), of("bin/new"));
    assert_eq!(old.hardening.defences(), Vec::<&str>::new());
    assert_eq!(old.run_path.as_deref(), Some("/tmp/lib"));
    assert_eq!((old.kind, old.hardening.stripped), (BinaryKind::Program, false));
    assert_eq!(new.hardening.defences(), ["PIE", "full RELRO", "stack guard", "NX", "FORTIFY"]);
    assert!(new.hardening.stripped);
    assert_eq!((of("libold.so").kind, of("module.ko").kind), (BinaryKind::Library, BinaryKind::Object));
}

/// All programs of this machine, as `readelf` of binutils reads them.
#[test]
fn readelf_says_the_same_of_this_machines_programs() {
    let folder = tempfile::tempdir().expect("a folder");
    let pick = "mkdir p; for f in /usr/bin/[a-m]*; do [ -f \"$f\" ] && [ ! -L \"$f\" ] && [ $(stat -c %s \"$f\") -lt 300000 ] \
                && head -c 4 \"$f\" | grep -q ELF && cp \"$f\" p/ || true; done; tar -cf out p";
    sh(folder.path(), pick);
    let report = audited(&std::fs::read(folder.path().join("out")).expect("an archive"));
    assert!(report.binaries.len() > 50, "{}", report.binaries.len());
    for binary in &report.binaries {
        let output = Command::new("readelf")
            .args(["-hldW", &binary.place])
            .current_dir(folder.path())
            .env("LC_ALL", "C")
            .output()
            .expect("readelf");
        let said = String::from_utf8_lossy(&output.stdout);
        let stack = said.lines().find(|line| line.contains("GNU_STACK")).unwrap_or_default();
        let is_now = said.contains("(BIND_NOW)")
            || said.lines().any(|line| line.contains("(FLAGS") && line.contains("NOW"));
        let relro = match (said.contains("GNU_RELRO"), is_now) {
            (false, _) => Relro::None,
            (true, false) => Relro::Partial,
            (true, true) => Relro::Full,
        };
        let hardening = binary.hardening;
        assert_eq!(hardening.relro, relro, "{}", binary.place);
        assert_eq!(hardening.nx, stack.contains("RW "), "{}: {stack}", binary.place);
        assert_eq!(hardening.pie, said.contains("DYN ("), "{}", binary.place);
    }
}

#[test]
fn two_versions_are_compared() {
    let folder = root();
    let older = audited(&image(folder.path()));
    let tree = folder.path().join("root");
    write(&tree, "etc/init.d/rcS", "#!/bin/sh\n/usr/bin/lighttpd -f /etc/l.conf\n");
    write(&tree, "etc/new.conf", "a=1\n");
    sh(&tree, "cp bin/new bin/busybox; rm etc/ssh/sshd_config");
    let newer = audited(&image(folder.path()));
    let comparison = Comparison::of(&older, &newer);
    let has = |lines: &[String], end: &str| lines.iter().any(|line| line.ends_with(end));
    assert!(has(&comparison.issues.removed, "etc/init.d/rcS"), "{:#?}", comparison.issues);
    assert!(comparison.services.removed.iter().any(|line| line.starts_with("telnetd in ")));
    assert!(has(&comparison.hardening.added, "bin/busybox"), "{:#?}", comparison.hardening);
    assert!(comparison.hardening.removed.is_empty());
    assert!(has(&comparison.files.added, "etc/new.conf") && has(&comparison.files.removed, "sshd_config"));
    assert!(has(&comparison.files_changed, "bin/busybox"));
    assert!(!has(&comparison.files_changed, "etc/passwd"));
    assert!(comparison.text().contains("+ PIE in "));
    let same = Comparison::of(&newer, &newer);
    assert!(same.issues.added.is_empty() && same.files_changed.is_empty());
}

#[test]
fn signatures_of_known_forms_are_seen() {
    let folder = tempfile::tempdir().expect("a folder");
    sh(
        folder.path(),
        "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=u -keyout k.pem -out c.pem 2>/dev/null
         echo 'software = { version = \"1.0\"; };' > sw-description
         openssl cms -sign -binary -in sw-description -signer c.pem -inkey k.pem -outform DER -out sw-description.sig
         printf 'sw-description\\nsw-description.sig\\n' | cpio -oH crc > out 2>/dev/null
         mksquashfs c.pem bundle -noappend -quiet -no-progress >/dev/null
         openssl cms -sign -binary -in c.pem -signer c.pem -inkey k.pem -outform DER -out sig
         cat bundle sig > raucb; python3 -c 'import os,struct,sys; open(\"raucb\",\"ab\").write(struct.pack(\">Q\", os.path.getsize(\"sig\")))'",
    );
    for (file, expected) in [("out", "SWUpdate"), ("raucb", "RAUC")] {
        let report = audited(&std::fs::read(folder.path().join(file)).expect("an image"));
        let kinds: Vec<&str> = report.signatures.iter().map(|signature| signature.kind.as_str()).collect();
        assert!(kinds.iter().any(|kind| kind.starts_with(expected)), "{kinds:?}");
        assert!(report.issues.iter().all(|issue| issue.id != "update-unsigned"));
    }
}

/// A key beside a system is no signature of it, and neither is one of something else.
#[test]
fn what_only_looks_like_a_signature_is_none() {
    let folder = tempfile::tempdir().expect("a folder");
    let key = "untrusted comment: Public usign key for releases\nRWQviwuY4IMGvwLfs6842A0m4EZU1IjczTxKMSk3BQP8DAQLHBwdQiaU\n";
    write(folder.path(), "etc/opkg/keys/2f8b0b98e08306bf", key);
    write(folder.path(), "release.pub", key);
    write(
        folder.path(),
        "usr/share/doc/notes.asc",
        "-----BEGIN PGP SIGNATURE-----\nabc\n-----END PGP SIGNATURE-----\n",
    );
    sh(folder.path(), "tar -cf out etc usr release.pub");
    let report = audited(&std::fs::read(folder.path().join("out")).expect("an archive"));
    assert_eq!(report.signatures, []);
    assert!(report.issues.iter().any(|issue| issue.id == "update-unsigned"));
}

/// Remarks in Latin-1 or GBK are usual, and hide nothing.
#[test]
fn files_in_other_encodings_are_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let init = folder.path().join("etc/init.d");
    std::fs::create_dir_all(&init).expect("a folder");
    std::fs::write(init.join("rcS"), b"#!/bin/sh\n# f\xfcr den Wartungszugang \xb7\xfe\xce\xf1\ntelnetd &\n")
        .expect("a file");
    let passwd = b"root:x:0:0:M\xfcller:/root:/bin/sh\nadmin::0:0:M\xfcller:/:/bin/sh\n";
    std::fs::write(folder.path().join("etc/passwd"), passwd).expect("a file");
    sh(folder.path(), "tar -cf out etc");
    let report = audited(&std::fs::read(folder.path().join("out")).expect("an archive"));
    assert_eq!((report.services.len(), report.accounts.len()), (1, 2));
}

/// The version of the distribution that the camera is made with is not the camera's.
#[test]
fn what_the_caller_says_of_the_product_is_not_filled_up_from_elsewhere() {
    let folder = root();
    let product = Product { model: Some("Dome 3".to_owned()), ..Product::default() };
    let report = audited_as(&image(folder.path()), product.clone());
    assert_eq!(report.product, product);
}

/// A boot loader, in front of everything, in no container.
#[test]
fn what_lies_in_the_image_as_it_is_counts_too() {
    let folder = root();
    let image =
        [b"\0U-Boot 2013.07 (Sep 01 2018 - 12:00:00)\0".to_vec(), vec![0xff; 70_000], image(folder.path())]
            .concat();
    let report = audited(&image);
    assert!(report.components.iter().any(|of| (&*of.name, &*of.version) == ("U-Boot", "2013.07")));
}

#[test]
fn a_bill_of_materials_names_what_is_there() {
    let folder = root();
    let product = Product { model: Some("Dome 3".to_owned()), ..Product::default() };
    let bom = audited_as(&image(folder.path()), product).cyclonedx();
    assert_eq!((bom["bomFormat"].as_str(), bom["specVersion"].as_str()), (Some("CycloneDX"), Some("1.6")));
    assert_eq!(bom["metadata"]["component"]["name"], "Dome 3");
    let cpes: Vec<&str> =
        bom["components"].as_array().expect("a list").iter().filter_map(|of| of["cpe"].as_str()).collect();
    assert_eq!(
        cpes,
        [
            "cpe:2.3:a:busybox:busybox:1.30.1:*:*:*:*:*:*:*",
            "cpe:2.3:o:linux:linux_kernel:4.9.37:*:*:*:*:*:*:*",
            "cpe:2.3:a:openssl:openssl:1.1.1k:*:*:*:*:*:*:*"
        ]
    );
}

#[test]
fn the_hash_of_a_default_password_is_told_as_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let shadow = "root:$1$RYIwEiRA$d5iRRVQ5ZeRTrJwGjRy.B0:0:0:99999:7:::\n";
    write(folder.path(), "root/etc/shadow", shadow);
    write(folder.path(), "uImage", "");
    let report = audited(&image(folder.path()));
    let told = report.credentials.iter().find(|told| told.title.contains("well-known default password"));
    assert_eq!(told.map(|told| told.severity), Some(Severity::Critical), "{:?}", report.credentials);
}

#[test]
fn severities_say_whether_an_audit_fails() {
    let folder = root();
    assert_eq!(audited(&image(folder.path())).worst(), Some(Severity::Critical));
    // What is encrypted has no magic number, and must not look clean.
    let mut random = fastrand::Rng::with_seed(3);
    let noise: Vec<u8> = (0..2_000_000).map(|_| random.u8(..)).collect();
    for closed in [&b"nothing at all"[..], &noise] {
        let report = audited(closed);
        assert_eq!(report.worst(), Some(Severity::High), "{:?}", report.issues);
        assert!(titles(&report).contains(&"high Nothing came out of the image".to_owned()));
    }
}
