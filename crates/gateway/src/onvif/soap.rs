//! SOAP 1.2 envelopes: what stands around each request, and what each answer
//! is taken out of.

use aws_lc_rs::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use model::Secret;
use quick_xml::escape::escape;

use super::xml::{self, Element, Namespace, XmlError};

/// And 1.1, in which some cameras put their faults.
const SOAP: Namespace =
    &["http://www.w3.org/2003/05/soap-envelope", "http://schemas.xmlsoap.org/soap/envelope/"];
/// Beside it, the draft that old firmware has.
pub(super) const ADDRESSING: Namespace =
    &["http://www.w3.org/2005/08/addressing", "http://schemas.xmlsoap.org/ws/2004/08/addressing"];

/// OASIS Web Services Security, UsernameToken Profile 1.0.
const WSS: &str = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss";

pub(super) fn envelope(headers: &str, body: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <s:Envelope xmlns:s=\"{}\" xmlns:a=\"{}\"><s:Header>{headers}</s:Header><s:Body>{body}</s:Body></s:Envelope>",
        SOAP[0], ADDRESSING[0]
    )
}

/// WS-Addressing 1.0 sections 3.2 and 3.3; `parameters` are those of the
/// reference to which it goes, as XML.
pub(super) fn addressing(action: &str, to: &str, parameters: &str, message_id: [u8; 16]) -> String {
    format!(
        "<a:Action>{action}</a:Action><a:MessageID>urn:uuid:{}</a:MessageID>\
         <a:ReplyTo><a:Address>{}/anonymous</a:Address></a:ReplyTo><a:To>{}</a:To>{parameters}",
        uuid(message_id),
        ADDRESSING[0],
        escape(to),
    )
}

/// RFC 9562 section 5.4.
pub(super) fn uuid(mut random: [u8; 16]) -> String {
    random[6] = random[6] & 0x0f | 0x40;
    random[8] = random[8] & 0x3f | 0x80;
    let hex: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

/// UsernameToken Profile 1.0 section 3.1: the password as a digest.
pub(super) fn username_token(username: &str, password: &Secret, created: &str, nonce: [u8; 16]) -> String {
    let mut digest = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
    digest.update(&nonce);
    digest.update(created.as_bytes());
    digest.update(password.expose().as_bytes());
    let digest = STANDARD.encode(digest.finish());
    format!(
        "<w:Security xmlns:w=\"{WSS}-wssecurity-secext-1.0.xsd\"><w:UsernameToken>\
         <w:Username>{}</w:Username>\
         <w:Password Type=\"{WSS}-username-token-profile-1.0#PasswordDigest\">{digest}</w:Password>\
         <w:Nonce EncodingType=\"{WSS}-soap-message-security-1.0#Base64Binary\">{}</w:Nonce>\
         <u:Created xmlns:u=\"{WSS}-wssecurity-utility-1.0.xsd\">{created}</u:Created>\
         </w:UsernameToken></w:Security>",
        escape(username),
        STANDARD.encode(nonce),
    )
}

/// A camera's refusal, before its words are cleaned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// The innermost one, without its prefix.
    pub(super) code: String,
    pub(super) reason: String,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum SoapError {
    #[error(transparent)]
    Xml(#[from] XmlError),
    #[error("it is no SOAP envelope with a body")]
    NoBody,
    #[error("a fault")]
    Fault(Fault),
}

/// What the body holds, if that is no fault.
pub(super) fn read(bytes: &[u8]) -> Result<Element, SoapError> {
    read_with_header(bytes).map(|(_, content)| content)
}

/// The header, if there is one, beside that.
pub(super) fn read_with_header(bytes: &[u8]) -> Result<(Option<Element>, Element), SoapError> {
    let root = xml::read(bytes)?;
    if !root.is(SOAP, "Envelope") {
        return Err(SoapError::NoBody);
    }
    let (mut header, mut body) = (None, None);
    for child in root.children {
        if child.is(SOAP, "Header") && header.is_none() {
            header = Some(child);
        } else if child.is(SOAP, "Body") && body.is_none() {
            body = child.children.into_iter().next();
        }
    }
    let content = body.ok_or(SoapError::NoBody)?;
    if content.is(SOAP, "Fault") {
        return Err(SoapError::Fault(fault(&content)));
    }
    Ok((header, content))
}

fn fault(fault: &Element) -> Fault {
    // SOAP 1.1 section 4.4.
    const OLD: Namespace = &[""];
    let mut code = fault.child(SOAP, "Code");
    while let Some(inner) = code.and_then(|code| code.child(SOAP, "Subcode")) {
        code = Some(inner);
    }
    let code = code.and_then(|code| code.child(SOAP, "Value")).or_else(|| fault.child(OLD, "faultcode"));
    let reason = fault
        .child(SOAP, "Reason")
        .and_then(|reason| reason.child(SOAP, "Text"))
        .or_else(|| fault.child(OLD, "faultstring"));
    let code = code.map_or("", Element::text);
    Fault {
        code: code.rsplit(':').next().unwrap_or_default().to_owned(),
        reason: reason.map_or("", Element::text).to_owned(),
    }
}

/// Of an endpoint reference's parameters, as XML in bytes.
const PARAMETERS_MAX: usize = 4 << 10;

/// WS-Addressing 1.0 section 3.3 (2): each parameter becomes a header of its
/// own, marked as one. `None` if they are too long or no names of XML.
pub(super) fn parameters(reference: &Element) -> Option<String> {
    let mut out = String::new();
    for parameter in reference.child(ADDRESSING, "ReferenceParameters").iter().flat_map(|p| &p.children) {
        write(parameter, " a:IsReferenceParameter=\"true\"", &mut out)?;
    }
    Some(out)
}

fn write(element: &Element, mark: &str, out: &mut String) -> Option<()> {
    let is_name = |name: &str| {
        let is_inner = |c: char| c.is_alphanumeric() || "_-.".contains(c);
        name.starts_with(|c: char| c.is_alphabetic() || c == '_') && name.chars().all(is_inner)
    };
    let name = &*element.name;
    if !is_name(name) || out.len() > PARAMETERS_MAX {
        return None;
    }
    // Without a prefix, so that no namespace and any namespace are written alike.
    *out += &format!("<{name} xmlns=\"{}\"{mark}>{}", escape(&*element.namespace), escape(element.text()));
    for child in &element.children {
        write(child, "", out)?;
    }
    *out += &format!("</{name}>");
    (out.len() <= PARAMETERS_MAX).then_some(())
}

/// The path and query of an address that a camera named, or nothing. Everything
/// else in it is the camera's idea of where it is.
pub(super) fn path_of(address: &str) -> Option<(String, Option<String>)> {
    const PATH_MAX: usize = 2_048;
    if address.len() > PATH_MAX {
        return None;
    }
    let base = url::Url::parse("http://camera.invalid/").expect("a constant");
    let url = base.join(address).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
    Some((url.path().to_owned(), url.query().map(str::to_owned)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_of_a_username_token() {
        // Of the ONVIF Application Programmer's Guide, section 6.1.1.3.
        let nonce = STANDARD.decode("LKqI6G/AikKCQrN0zqZFlg==").unwrap().try_into().unwrap();
        let token = username_token("user", &Secret::new("userpassword"), "2010-09-16T07:50:45Z", nonce);
        assert!(token.contains(">tuOSpGlFlIXsozq4HFNeeGeFLEI=</w:Password>"), "{token}");
        assert!(token.contains(">LKqI6G/AikKCQrN0zqZFlg==</w:Nonce>"));
        assert!(!token.contains("userpassword"));
    }

    #[test]
    fn envelopes_are_read_as_they_are_written() {
        let headers = addressing("urn:x", "http://h/?a=1&b=<2>", "<x xmlns=\"\">1</x>", [7; 16]);
        let content = read(envelope(&headers, "<x xmlns=\"urn:x\">y</x>").as_bytes()).unwrap();
        assert!(content.is(&["urn:x"], "x"));
        assert_eq!(content.text(), "y");
        assert_eq!(uuid([0xff; 16]), "ffffffff-ffff-4fff-bfff-ffffffffffff");
    }

    #[test]
    fn faults_of_both_versions() {
        let new = r#"<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:ter="http://www.onvif.org/ver10/error">
          <s:Body><s:Fault><s:Code><s:Value>s:Sender</s:Value><s:Subcode><s:Value>ter:NotAuthorized</s:Value></s:Subcode></s:Code>
          <s:Reason><s:Text xml:lang="en">The action requested requires authorization</s:Text></s:Reason></s:Fault></s:Body></s:Envelope>"#;
        let old = r#"<E:Envelope xmlns:E="http://schemas.xmlsoap.org/soap/envelope/"><E:Body><E:Fault>
          <faultcode>E:Client</faultcode><faultstring>no such action</faultstring></E:Fault></E:Body></E:Envelope>"#;
        let rows = [
            (new, "NotAuthorized", "The action requested requires authorization"),
            (old, "Client", "no such action"),
        ];
        for (text, code, reason) in rows {
            let fault = Fault { code: code.into(), reason: reason.into() };
            assert_eq!(read(text.as_bytes()).unwrap_err(), SoapError::Fault(fault));
        }
        for text in
            ["<html/>", "<Envelope/>", "<s:Envelope xmlns:s='http://www.w3.org/2003/05/soap-envelope'/>"]
        {
            assert_eq!(read(text.as_bytes()).unwrap_err(), SoapError::NoBody, "{text}");
        }
    }

    #[test]
    fn parameters_of_a_reference_become_headers() {
        let reference = |inner: &str| {
            let text = format!(
                "<r xmlns:w='{}'><w:ReferenceParameters>{inner}</w:ReferenceParameters></r>",
                ADDRESSING[0]
            );
            parameters(&xml::read(text.as_bytes()).unwrap())
        };
        let rows = [
            ("", Some("")),
            // AXIS, firmware 5 to 11.
            (
                "<d:SubscriptionId xmlns:d=\"http://www.axis.com/2009/event\">297</d:SubscriptionId>",
                Some(
                    "<SubscriptionId xmlns=\"http://www.axis.com/2009/event\" a:IsReferenceParameter=\"true\">297</SubscriptionId>",
                ),
            ),
            // Older AXIS.
            (
                "<d:Id xmlns:d=\"(null)\">&lt;0</d:Id>",
                Some("<Id xmlns=\"(null)\" a:IsReferenceParameter=\"true\">&lt;0</Id>"),
            ),
            ("<1>x</1>", None),
        ];
        for (inner, expected) in rows {
            assert_eq!(reference(inner).as_deref(), expected, "{inner}");
        }
        assert_eq!(reference(&"<x>123456789</x>".repeat(400)), None);
    }

    #[test]
    fn of_an_address_path_and_query_are_kept() {
        let rows = [
            ("http://192.0.2.9/onvif/events?Idx=3", Some(("/onvif/events", Some("Idx=3")))),
            ("https://user:word@elsewhere.example:8443/a#b", Some(("/a", None))),
            ("http://[2001:db8::1]:80", Some(("/", None))),
            ("/onvif/events", Some(("/onvif/events", None))),
            ("//elsewhere.example/x", Some(("/x", None))),
            ("http://h//elsewhere.example/x", Some(("//elsewhere.example/x", None))),
            ("file:///etc/passwd", None),
            ("http://", None),
        ];
        for (address, expected) in rows {
            let expected = expected.map(|(path, query)| (path.to_owned(), query.map(str::to_owned)));
            assert_eq!(path_of(address), expected, "{address}");
        }
        assert_eq!(path_of(&format!("http://h/{}", "x".repeat(3_000))), None);
    }
}
