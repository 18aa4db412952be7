//! What a mail says. It passes through servers of others in the clear, so it
//! says what they may know: that something happened, and how often. Not at which
//! camera, and not what, which this server does not know itself.

use lettre::address::Envelope;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message};
use lettre::{Address, error::Error};
use url::Url;

use crate::random;

/// Languages in which mails are written; the first is everybody's.
pub(crate) const LANGUAGES: [&str; 3] = ["en", "de", "fr"];

/// One mail, before it is written.
#[derive(Clone, Copy, Debug)]
pub(super) enum Letter<'a> {
    /// Somebody said that this is their address.
    Confirm { token: &'a str },
    /// Something was told so many times, and whether gateways fell silent or came back.
    Told { count: u64, is_silence: bool, stop: &'a str },
}

/// `from` is the configuration's, `origin` where people reach this server.
pub(super) fn write(
    letter: Letter<'_>,
    language: &str,
    (from, to): (&Mailbox, Address),
    origin: &Url,
) -> Result<Message, Error> {
    let (subject, body) = text(letter, language, origin);
    let id = format!("<{}@{}>", random::token(), origin.host_str().unwrap_or("localhost"));
    let envelope = Envelope::new(Some(from.email.clone()), vec![to.clone()])?;
    let mut message = Message::builder()
        .envelope(envelope)
        .from(from.clone())
        .to(Mailbox::new(None, to))
        .subject(subject)
        .date_now()
        .message_id(Some(id))
        // RFC 3834: no answering machine answers.
        .raw_header(raw("Auto-Submitted", "auto-generated".to_owned()))
        .header(ContentType::TEXT_PLAIN);
    if let Letter::Told { stop, .. } = letter {
        // RFC 8058: mail programs end it at a press, without a page.
        message = message
            .raw_header(raw("List-Unsubscribe", format!("<{origin}mail/stop/{stop}>")))
            .raw_header(raw("List-Unsubscribe-Post", "List-Unsubscribe=One-Click".to_owned()));
    }
    message.body(body)
}

/// Of our own words and tokens alone: nothing in it breaks a line.
fn raw(name: &'static str, value: String) -> HeaderValue {
    let name = HeaderName::new_from_ascii_str(name);
    HeaderValue::dangerous_new_pre_encoded(name, value.clone(), value)
}

fn text(letter: Letter<'_>, language: &str, origin: &Url) -> (&'static str, String) {
    match (letter, language) {
        (Letter::Confirm { token }, "de") => (
            "Lenskeep: Adresse bestätigen",
            format!(
                "Jemand möchte, dass Lenskeep ({origin}) an diese Adresse meldet, wenn bei Kameras etwas geschieht.\n\n\
                 Wenn Sie das waren, öffnen Sie innerhalb von 24 Stunden:\n{origin}mail#confirm={token}\n\n\
                 Sonst tun Sie nichts: Es kommt keine weitere Mail.\n"
            ),
        ),
        (Letter::Confirm { token }, "fr") => (
            "Lenskeep\u{a0}: confirmer l’adresse",
            format!(
                "Quelqu’un souhaite que Lenskeep ({origin}) écrive à cette adresse quand il se passe quelque chose devant des caméras.\n\n\
                 Si c’était vous, ouvrez dans les 24 heures\u{a0}:\n{origin}mail#confirm={token}\n\n\
                 Sinon, ne faites rien\u{a0}: vous ne recevrez pas d’autre message.\n"
            ),
        ),
        (Letter::Confirm { token }, _) => (
            "Lenskeep: confirm this address",
            format!(
                "Somebody wants Lenskeep ({origin}) to write to this address when something happens at cameras.\n\n\
                 If that was you, open this within 24 hours:\n{origin}mail#confirm={token}\n\n\
                 If it was not, do nothing: no other mail will come.\n"
            ),
        ),
        (Letter::Told { count: 0, stop, .. }, "de") => (
            "Lenskeep: Verbindung zu einem Gateway",
            format!("{}\n\nKeine solchen Mails mehr:\n{origin}mail#stop={stop}\n", silence(language, origin)),
        ),
        (Letter::Told { count: 0, stop, .. }, "fr") => (
            "Lenskeep\u{a0}: liaison avec une passerelle",
            format!(
                "{}\n\nNe plus recevoir ces messages\u{a0}:\n{origin}mail#stop={stop}\n",
                silence(language, origin)
            ),
        ),
        (Letter::Told { count: 0, stop, .. }, _) => (
            "Lenskeep: the link to a gateway",
            format!(
                "{}\n\nTo get no such mail any more:\n{origin}mail#stop={stop}\n",
                silence(language, origin)
            ),
        ),
        (Letter::Told { count, is_silence, stop }, "de") => (
            "Lenskeep: Bei Ihren Kameras ist etwas geschehen",
            format!(
                "Bei Ihren Kameras ist etwas geschehen{}. Was es war, zeigt Lenskeep:\n{origin}events\n\n\
                 Diese Mail sagt nicht mehr, weil Mails von anderen gelesen werden können und dieser Server es nicht weiß.\n\n{}\
                 Keine solchen Mails mehr:\n{origin}mail#stop={stop}\n",
                times(count, "mal"),
                also(is_silence, language, origin)
            ),
        ),
        (Letter::Told { count, is_silence, stop }, "fr") => (
            "Lenskeep\u{a0}: il s’est passé quelque chose devant vos caméras",
            format!(
                "Il s’est passé quelque chose devant vos caméras{}. Lenskeep montre quoi\u{a0}:\n{origin}events\n\n\
                 Ce message n’en dit pas plus, car d’autres peuvent lire les courriels, et ce serveur ne le sait pas.\n\n{}\
                 Ne plus recevoir ces messages\u{a0}:\n{origin}mail#stop={stop}\n",
                times(count, "fois"),
                also(is_silence, language, origin)
            ),
        ),
        (Letter::Told { count, is_silence, stop }, _) => (
            "Lenskeep: something happened at your cameras",
            format!(
                "Something happened at your cameras{}. Lenskeep shows what it was:\n{origin}events\n\n\
                 This mail says no more, since others can read mail, and this server does not know.\n\n{}\
                 To get no such mail any more:\n{origin}mail#stop={stop}\n",
                times(count, "times"),
                also(is_silence, language, origin)
            ),
        ),
    }
}

/// This server's own word, which mail may carry: it names no gateway.
fn silence(language: &str, origin: &Url) -> String {
    match language {
        "de" => format!(
            "Dieser Server hört von mindestens einem Ihrer Gateways nichts mehr, oder wieder. Von welchem:\n{origin}health"
        ),
        "fr" => format!(
            "Ce serveur n’a plus de nouvelles d’au moins une de vos passerelles, ou en a de nouveau. De laquelle\u{a0}:\n{origin}health"
        ),
        _ => format!(
            "This server hears nothing of at least one of your gateways any more, or hears it again. Which one:\n{origin}health"
        ),
    }
}

fn also(is_silence: bool, language: &str, origin: &Url) -> String {
    if is_silence { format!("{}\n\n", silence(language, origin)) } else { String::new() }
}

fn times(count: u64, word: &str) -> String {
    if count > 1 { format!(", {count} {word}") } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(letter: Letter<'_>, language: &str) -> String {
        let from = "Cameras <cameras@example.org>".parse().unwrap();
        let to = "ben@example.org".parse().unwrap();
        let origin = Url::parse("https://cameras.example").unwrap();
        let message = write(letter, language, (&from, to), &origin).unwrap();
        String::from_utf8(message.formatted()).unwrap()
    }

    #[test]
    fn a_mail_is_stopped_at_a_press_and_answered_by_no_machine() {
        for language in LANGUAGES {
            for (count, is_silence) in [(3, false), (3, true), (0, true)] {
                let mail = written(Letter::Told { count, is_silence, stop: "abc" }, language);
                for line in [
                    "List-Unsubscribe: <https://cameras.example/mail/stop/abc>\r\n",
                    "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n",
                    "Auto-Submitted: auto-generated\r\n",
                    "To: ben@example.org\r\n",
                    "From: Cameras <cameras@example.org>\r\n",
                ] {
                    assert!(mail.contains(line), "{line} {mail}");
                }
                let text = mail.replace("=\r\n", "");
                assert_eq!(text.contains("cameras.example/health"), is_silence, "{text}");
                assert_eq!(text.contains("cameras.example/events"), count > 0, "{text}");
            }
            assert!(!written(Letter::Confirm { token: "abc" }, language).contains("List-Unsubscribe"));
        }
    }
}
