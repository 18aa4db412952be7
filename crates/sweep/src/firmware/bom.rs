//! The components as a bill of materials: CycloneDX 1.6 (ECMA-424).

use std::collections::HashMap;

use serde_json::{Value, json};

use super::report::{Component, Report};

impl Report {
    /// CycloneDX 1.6 in JSON, with the vulnerabilities that advisories told of.
    pub fn cyclonedx(&self) -> Value {
        let product = &self.product;
        let mut firmware = json!({
            "type": "firmware",
            "bom-ref": "image",
            "name": product.model.as_deref().unwrap_or(&self.image.name),
            "version": product.version.as_deref().unwrap_or_default(),
            "hashes": [{ "alg": "SHA-256", "content": self.image.sha256 }],
        });
        if let Some(vendor) = &product.vendor {
            firmware["supplier"] = json!({ "name": vendor });
        }
        if self.image.sha256.is_empty() {
            firmware.as_object_mut().expect("it was made as an object").remove("hashes");
        }
        let components: Vec<Value> =
            self.components.iter().enumerate().map(|(number, component)| one(number, component)).collect();
        let all = self.components.iter().enumerate();
        let numbers: HashMap<(&str, &str), usize> =
            all.map(|(number, of)| ((of.name.as_str(), of.version.as_str()), number)).collect();
        let vulnerabilities: Vec<Value> = self
            .vulnerabilities
            .iter()
            .map(|found| {
                let affects = numbers.get(&(found.component.as_str(), found.version.as_str())).copied();
                let mut value = json!({
                    "id": found.id,
                    "description": found.title,
                    "affects": [{ "ref": affects.map_or_else(|| "image".to_owned(), reference) }],
                    "ratings": [{ "severity": found.severity.name() }],
                });
                if let Some(score) = found.score {
                    value["ratings"][0]["score"] = score.into();
                }
                if let Some(version) = &found.fixed_in {
                    value["recommendation"] = format!("Fixed in {version}").into();
                }
                value
            })
            .collect();
        json!({
            "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
            "bomFormat": "CycloneDX",
            "specVersion": "1.6",
            "version": 1,
            "metadata": {
                "tools": { "components": [{
                    "type": "application", "name": "lenskeep", "version": env!("CARGO_PKG_VERSION"),
                }] },
                "component": firmware,
            },
            "components": components,
            "vulnerabilities": vulnerabilities,
        })
    }
}

fn reference(number: usize) -> String {
    format!("component-{number}")
}

fn one(number: usize, component: &Component) -> Value {
    let kind = match component.product.as_str() {
        "linux_kernel" => "operating-system",
        "u-boot" => "firmware",
        _ => "library",
    };
    let mut value = json!({
        "type": kind,
        "bom-ref": reference(number),
        "name": component.name,
        "version": component.version,
        "evidence": { "occurrences": [{ "location": component.place }] },
    });
    if let Some(purl) = &component.purl {
        value["purl"] = purl.as_str().into();
    }
    if !component.vendor.is_empty() {
        value["cpe"] = cpe(component).into();
    }
    value
}

/// CPE 2.3, with what has a meaning there quoted (NISTIR 7695, 6.2.2).
fn cpe(component: &Component) -> String {
    let quoted = |text: &str| -> String {
        let mut quoted = String::new();
        for c in text.chars() {
            if !c.is_ascii_alphanumeric() && !matches!(c, '_' | '-' | '.') {
                quoted.push('\\');
            }
            quoted.push(c);
        }
        quoted
    };
    let part = if component.product == "linux_kernel" { 'o' } else { 'a' };
    let (vendor, product) = (quoted(&component.vendor), quoted(&component.product));
    format!("cpe:2.3:{part}:{vendor}:{product}:{}:*:*:*:*:*:*:*", quoted(&component.version))
}
