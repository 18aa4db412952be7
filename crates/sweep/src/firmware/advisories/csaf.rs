//! CSAF 2.0 (OASIS): the advisories of vendors. A tree of products, and which of them
//! each vulnerability concerns.

use std::collections::HashMap;

use serde_json::Value;

use super::cve::Cpe;
use super::range::Range;
use super::{Advisories, Claim, LIST_MAX, list, string};

/// Branches inside each other. The standard shows five.
const DEPTH_MAX: usize = 32;

/// What one identifier of the tree means.
#[derive(Clone, Default)]
struct Product {
    vendor: String,
    name: String,
    /// Empty if all versions are meant.
    versions: Vec<Range>,
    /// As the tree writes it, for the first and last of several.
    version: String,
}

/// How many vulnerabilities it tells of.
pub(super) fn read(advisories: &mut Advisories<'_>, file: &str, csaf: &Value) -> usize {
    let mut products = HashMap::new();
    if let Some(tree) = csaf.get("product_tree") {
        branches(tree, &Product::default(), 0, &mut products);
        for entry in list(tree, "full_product_names") {
            full_name(entry, &Product::default(), &mut products);
        }
        for relation in list(tree, "relationships") {
            // `A` as a part of `B`: what is vulnerable is `A`.
            let part = products.get(string(relation, "product_reference")).cloned();
            let id = relation.get("full_product_name").map(|name| string(name, "product_id"));
            if let (Some(part), Some(id)) = (part, id.filter(|_| products.len() < LIST_MAX)) {
                products.insert(id.to_owned(), part);
            }
        }
    }
    let mut count = 0;
    for vulnerability in list(csaf, "vulnerabilities") {
        count += 1;
        vulnerable(advisories, file, csaf, vulnerability, &products);
    }
    count
}

fn branches(node: &Value, above: &Product, depth: usize, products: &mut HashMap<String, Product>) {
    if depth >= DEPTH_MAX {
        return;
    }
    for branch in list(node, "branches") {
        let name = string(branch, "name");
        let mut product = above.clone();
        match string(branch, "category") {
            "vendor" => product.vendor = name.to_owned(),
            "product_name" => product.name = name.to_owned(),
            "product_version" => {
                (product.versions, product.version) = (vec![Range::exactly(name)], name.to_owned())
            }
            "product_version_range" => {
                (product.versions, product.version) = (Range::parse(name), name.to_owned());
            }
            _ => {}
        }
        if let Some(entry) = branch.get("product") {
            full_name(entry, &product, products);
        }
        branches(branch, &product, depth + 1, products);
    }
}

/// What identifies it goes before what it is called.
fn full_name(entry: &Value, above: &Product, products: &mut HashMap<String, Product>) {
    if products.len() >= LIST_MAX {
        return;
    }
    let mut product = above.clone();
    let cpe = entry.get("product_identification_helper").and_then(|helper| Cpe::parse(string(helper, "cpe")));
    if let Some(cpe) = cpe {
        if product.versions.is_empty() && !matches!(cpe.version.as_str(), "*" | "-") {
            product.versions = vec![Range::exactly(&cpe.version)];
            product.version = cpe.version;
        }
        // A branch that names the camera says it better than the name of its firmware.
        if product.name.is_empty() {
            (product.vendor, product.name) = (cpe.vendor, cpe.product);
        }
    }
    if product.name.is_empty() {
        product.name = string(entry, "name").to_owned();
    }
    products.insert(string(entry, "product_id").to_owned(), product);
}

fn vulnerable(
    advisories: &mut Advisories<'_>,
    file: &str,
    csaf: &Value,
    vulnerability: &Value,
    products: &HashMap<String, Product>,
) {
    let id = match string(vulnerability, "cve") {
        "" => csaf["document"]["tracking"]["id"].as_str().unwrap_or(file),
        cve => cve,
    };
    let title = match string(vulnerability, "title") {
        "" => csaf["document"]["title"].as_str().unwrap_or_default(),
        title => title,
    };
    let score = list(vulnerability, "scores").find_map(|score| {
        ["cvss_v3", "cvss_v2"].iter().find_map(|form| score.get(form)?.get("baseScore")?.as_f64())
    });
    let Some(status) = vulnerability.get("product_status") else { return };
    let named = |names: &[&str]| -> Vec<&Product> {
        let ids = names.iter().flat_map(|name| list(status, name)).filter_map(Value::as_str);
        ids.filter_map(|id| products.get(id)).collect()
    };
    let safe = named(&["fixed", "first_fixed", "known_not_affected", "recommended"]);
    let (first, last) = (named(&["first_affected"]), named(&["last_affected"]));
    for product in named(&["known_affected", "first_affected", "last_affected"]) {
        if advisories.targets(&product.vendor, &product.name).is_empty() {
            continue;
        }
        let of_same = |other: &&&Product| (&other.vendor, &other.name) == (&product.vendor, &product.name);
        let safe: Vec<Range> =
            safe.iter().filter(of_same).flat_map(|safe| safe.versions.clone()).take(LIST_MAX).collect();
        let mut affected = match product.versions.is_empty() {
            true => vec![Range::all()],
            false => product.versions.clone(),
        };
        // From the first to the last of them; one alone leaves the other end open.
        let bound = |list: &[&Product]| list.iter().find(of_same).map(|product| product.version.clone());
        let (from, to) = (bound(&first), bound(&last));
        if from.is_some() || to.is_some() {
            affected
                .push(Range::all().from(&from.unwrap_or_default(), true).to(&to.unwrap_or_default(), true));
        }
        let claim = Claim { id, vendor: &product.vendor, product: &product.name, title, score };
        advisories.claim(file, &claim, (&affected, &safe, false));
    }
}
