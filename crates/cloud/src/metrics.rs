//! Counters and gauges in Prometheus' text form. A small registry of our own:
//! a handful of numbers without labels needs no library.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }
}

#[derive(Debug, Default)]
pub(crate) struct Gauge(AtomicI64);

impl Gauge {
    pub(crate) fn add(&self, n: i64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }
}

macro_rules! metrics {
    (counters { $($counter:ident: $counter_help:literal,)* } gauges { $($gauge:ident: $gauge_help:literal,)* }) => {
        #[derive(Debug, Default)]
        pub(crate) struct Metrics {
            $(pub(crate) $counter: Counter,)*
            $(pub(crate) $gauge: Gauge,)*
        }

        impl Metrics {
            pub(crate) fn text(&self) -> String {
                let mut text = String::new();
                $(write_one(&mut text, stringify!($counter), "counter", $counter_help,
                    self.$counter.0.load(Ordering::Relaxed));)*
                $(write_one(&mut text, stringify!($gauge), "gauge", $gauge_help,
                    self.$gauge.0.load(Ordering::Relaxed));)*
                text
            }
        }
    };
}

fn write_one(text: &mut String, name: &str, kind: &str, help: &str, value: impl std::fmt::Display) {
    let suffix = if kind == "counter" { "_total" } else { "" };
    let name = format!("lenskeep_cloud_{name}{suffix}");
    writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}")
        .expect("a string takes everything");
}

metrics! {
    counters {
        requests: "HTTP requests answered.",
        denials: "Requests that the policy denied.",
        logins: "Sessions opened.",
        logins_refused: "Sign-ins that were refused.",
        upload_tokens: "Upload tokens made.",
        recordings_confirmed: "Recordings whose length and digest were read back.",
        push_messages: "Messages that push services took.",
        push_messages_lost: "Messages that no push service took in time, or that were too many.",
        mails: "Mails that the mail server took.",
        mails_lost: "Mails that it refused, or did not take within a day.",
        relay_chunks_in: "Sealed chunks from gateways.",
        relay_chunks_out: "Sealed chunks to viewers.",
        relay_chunks_skipped: "Sealed chunks that viewers missed because they were slow.",
    }
    gauges {
        connections: "Open connections on all ports.",
        links: "Gateways whose live link is open.",
        viewers: "Live viewers.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form() {
        let metrics = Metrics::default();
        metrics.logins.add(2);
        metrics.links.add(1);
        let text = metrics.text();
        assert!(text.contains("# TYPE lenskeep_cloud_logins_total counter\nlenskeep_cloud_logins_total 2\n"));
        assert!(text.contains("\nlenskeep_cloud_links 1\n"));
    }
}
