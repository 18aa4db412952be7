//! Lists of packages that the image brings: `dpkg`, `opkg` and `apk`. And what it says
//! of itself.

use super::files::File;
use super::found::Found;
use super::report::{Component, Product, Source};
use super::{components, text};

const PACKAGES_MAX: usize = 20_000;

pub(super) fn read(file: &File<'_>, found: &mut Found) {
    let is_list = |folder: &str| file.is_below(folder) && file.path.ends_with(".control");
    if file.is("lib/dpkg/status") || file.is_below("lib/dpkg/status.d") {
        control(file, "deb", found);
    } else if file.is("opkg/status") || is_list("opkg/info") || is_list("ipkg/info") {
        control(file, "opkg", found);
    } else if file.is("apk/db/installed") {
        apk(file, found);
    } else if file.is("etc/os-release") || file.is("usr/lib/os-release") || file.is("etc/openwrt_release") {
        release(file, found);
    }
}

/// Paragraphs of fields (deb-control(5)).
fn control(file: &File<'_>, kind: &str, found: &mut Found) {
    let Some(text) = file.text else { return };
    for paragraph in text.split("\n\n").take(PACKAGES_MAX) {
        let field = |name: &str| {
            let mut lines = paragraph.lines();
            lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
        };
        let (Some(name), Some(version)) = (field("Package"), field("Version")) else { continue };
        if field("Status").is_some_and(|status| !status.ends_with(" installed")) {
            continue;
        }
        // `Source: openssl (1.1.1k-1)`: advisories name the source.
        let source = field("Source").and_then(|source| source.split_whitespace().next()).unwrap_or(name);
        // OpenWrt writes where it is built from: `package/libs/openssl`.
        let source = source.rsplit('/').next().unwrap_or(source);
        package(file, kind, (name, source, version), found);
    }
}

/// Lines of one letter each (apk-installed(5)).
fn apk(file: &File<'_>, found: &mut Found) {
    let Some(text) = file.text else { return };
    for paragraph in text.split("\n\n").take(PACKAGES_MAX) {
        let field =
            |name: &str| paragraph.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let (Some(name), Some(version)) = (field("P"), field("V")) else { continue };
        package(file, "apk", (name, field("o").unwrap_or(name), version), found);
    }
}

fn package(file: &File<'_>, kind: &str, (name, source, version): (&str, &str, &str), found: &mut Found) {
    let namespace = match kind {
        "apk" => "alpine/",
        "deb" => "debian/",
        _ => "",
    };
    let (name, version) = (text::short(name, 100), text::short(version, 100));
    let (vendor, product) = components::names_of(source).unwrap_or(("", source));
    let component = Component {
        vendor: vendor.to_owned(),
        product: text::short(product, 100),
        purl: Some(format!("pkg:{kind}/{namespace}{}@{}", escaped(&name), escaped(&version))),
        version: upstream(&version).to_owned(),
        name,
        source: Source::Packages,
        place: file.place.to_owned(),
        places: 1,
    };
    found.component(component);
}

/// Without the epoch and the distribution's revision: `1:2.30-9+deb11u1` is `2.30`.
fn upstream(version: &str) -> &str {
    let version = version.split_once(':').map_or(version, |(_, version)| version);
    let version = version.rsplit_once('-').map_or(version, |(version, _)| version);
    match version.rsplit_once('+') {
        Some((before, after)) if after.starts_with("dfsg") || after.starts_with("deb") => before,
        _ => version,
    }
}

/// All but what a package URL lets stand.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        match byte.is_ascii_alphanumeric() || b"-._~:".contains(&byte) {
            true => escaped.push(char::from(byte)),
            false => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}

/// What the caller did not say of the product.
fn release(file: &File<'_>, found: &mut Found) {
    let Some(text) = file.text else { return };
    let value = |names: [&str; 2]| {
        let mut lines = text.lines().filter_map(|line| line.split_once('='));
        let (_, value) = lines.find(|(name, _)| names.contains(name))?;
        let value = value.trim_matches(['"', '\'']).trim();
        (!value.is_empty()).then(|| text::short(value, 100))
    };
    // All of one file, or the version of a distribution would become the camera's.
    if found.report.product == Product::default() {
        found.report.product = Product {
            vendor: value(["ID", "DISTRIB_ID"]),
            model: value(["VARIANT_ID", "DISTRIB_TARGET"]),
            version: value(["VERSION_ID", "DISTRIB_RELEASE"]),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_those_of_the_makers() {
        for (version, expected) in [
            ("1:2.30-9+deb11u1", "2.30"),
            ("1.1.1k-1", "1.1.1k"),
            ("1.36.1-r29", "1.36.1"),
            ("5.0.3+dfsg-2", "5.0.3"),
            ("2020.79-1", "2020.79"),
            ("1.2.3", "1.2.3"),
        ] {
            assert_eq!(upstream(version), expected);
        }
    }
}
