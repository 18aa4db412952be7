use std::fmt;
use std::str::FromStr;

/// What a camera can do wrong. Those of the stream begin after
/// [`crate::Options::fault_after`] pictures, those of the dialogue and of ONVIF
/// at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Takes requests and never answers.
    NoAnswer,
    /// Answers late and in pieces.
    SlowAnswers,
    /// The head of an answer that never ends.
    EndlessHead,
    /// Answers DESCRIBE with 503, as cameras with too many clients do.
    Busy,
    /// Refuses every password.
    WrongPassword,
    /// The SDP offers Motion JPEG alone.
    SdpNoVideo,
    /// The SDP says H.265, the packets are H.264.
    SdpWrongCodec,
    /// The SDP is no SDP.
    SdpGarbage,
    /// The SDP has 10 MB.
    SdpHuge,
    /// Sequence numbers and timestamps begin just before they wrap.
    Wrap,
    /// Key frames are left out.
    NoKeyFrame,
    /// Every twentieth picture lacks a packet.
    Loss,
    /// RTP time jumps ahead by an hour, once.
    TimestampJump,
    /// Asks the client something after every tenth picture.
    Questions,
    /// The clock in sender reports is set back by an hour, once.
    RtcpJump,
    /// Packets, as fast as the client takes them.
    Flood,
    /// One access unit that never ends.
    EndlessUnit,
    /// Bytes that are neither a message nor a packet.
    Garbage,
    /// Packets whose content is noise.
    GarbagePackets,
    /// No more pictures on an open connection; the sound goes on.
    Stall,
    /// The connection is closed.
    Disconnect,
    /// PullMessages brings 1 500 notifications, however few were asked for.
    OnvifFlood,
    /// PullMessages answers at once, and with nothing.
    OnvifNothing,
    /// Answers end in the middle of an element.
    OnvifCutOff,
    /// Answers declare entities that would grow to 10^29 words.
    OnvifEntities,
    /// Answers have 10 MB.
    OnvifHuge,
    /// Subscriptions are not renewed.
    OnvifNoRenew,
    /// Pull points are gone as soon as somebody asks.
    OnvifForgets,
    /// Sends clients to [`crate::OnvifOptions::named`].
    OnvifRedirect,
    /// Refuses everything, and says what it was told.
    OnvifEcho,
    /// Says that the account is locked.
    OnvifLocked,
    /// Lets the account sign in, and tells it nothing of the streams.
    OnvifNoRight,
    /// Tells nothing on its VAPIX event stream: it may not, it says.
    VapixRefuses,
    /// Says nothing more on it, not even that it is there.
    VapixSilent,
    /// Sends what is no JSON on it.
    VapixGarbage,
    /// Sends a message of 10 MB on it.
    VapixHuge,
    /// Sends events on it, as fast as the client takes them.
    VapixFlood,
    /// Sends 1 000 messages on it that tell nothing, and an event behind them.
    VapixNoise,
    /// Sends an event on it, and what is no JSON right behind.
    VapixBreaksOff,
    /// There is no address for still pictures.
    StillNone,
    /// Says that still pictures are at another host, and answers there as here.
    StillElsewhere,
    /// Sends whoever wants one to [`crate::OnvifOptions::named`].
    StillRedirect,
    /// A page in place of a picture.
    StillHtml,
    /// Noise in its place, as long as a picture.
    StillGarbage,
    /// A picture with scripts and another file in it, and behind its end.
    StillScript,
    /// A picture of 65 500 by 65 500.
    StillVast,
    /// A picture that never ends.
    StillEndless,
    /// A picture that comes byte by byte.
    StillSlow,
    /// Answers those who look for cameras with addresses of others.
    DiscoveryElsewhere,
    /// Answers them 3 000 times.
    DiscoveryFlood,
    /// Answers them with 60 kB.
    DiscoveryHuge,
    /// Answers them as if somebody else had asked.
    DiscoveryUnrelated,
}

impl Fault {
    pub const ALL: [Fault; 52] = [
        Fault::NoAnswer,
        Fault::SlowAnswers,
        Fault::EndlessHead,
        Fault::Busy,
        Fault::WrongPassword,
        Fault::SdpNoVideo,
        Fault::SdpWrongCodec,
        Fault::SdpGarbage,
        Fault::SdpHuge,
        Fault::Wrap,
        Fault::NoKeyFrame,
        Fault::Loss,
        Fault::TimestampJump,
        Fault::Questions,
        Fault::RtcpJump,
        Fault::Flood,
        Fault::EndlessUnit,
        Fault::Garbage,
        Fault::GarbagePackets,
        Fault::Stall,
        Fault::Disconnect,
        Fault::OnvifFlood,
        Fault::OnvifNothing,
        Fault::OnvifCutOff,
        Fault::OnvifEntities,
        Fault::OnvifHuge,
        Fault::OnvifNoRenew,
        Fault::OnvifForgets,
        Fault::OnvifRedirect,
        Fault::OnvifEcho,
        Fault::OnvifLocked,
        Fault::OnvifNoRight,
        Fault::VapixRefuses,
        Fault::VapixSilent,
        Fault::VapixGarbage,
        Fault::VapixHuge,
        Fault::VapixFlood,
        Fault::VapixNoise,
        Fault::VapixBreaksOff,
        Fault::StillNone,
        Fault::StillElsewhere,
        Fault::StillRedirect,
        Fault::StillHtml,
        Fault::StillGarbage,
        Fault::StillScript,
        Fault::StillVast,
        Fault::StillEndless,
        Fault::StillSlow,
        Fault::DiscoveryElsewhere,
        Fault::DiscoveryFlood,
        Fault::DiscoveryHuge,
        Fault::DiscoveryUnrelated,
    ];
}

/// As on the command line: `no-key-frame`.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, letter) in format!("{self:?}").chars().enumerate() {
            if n > 0 && letter.is_ascii_uppercase() {
                f.write_str("-")?;
            }
            write!(f, "{}", letter.to_ascii_lowercase())?;
        }
        Ok(())
    }
}

impl FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|fault| fault.to_string() == text).ok_or_else(|| {
            let known: Vec<_> = Self::ALL.iter().map(ToString::to_string).collect();
            format!("no such fault; there are {}", known.join(", "))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for fault in Fault::ALL {
            assert_eq!(fault.to_string().parse(), Ok(fault));
        }
        assert_eq!(Fault::NoKeyFrame.to_string(), "no-key-frame");
        assert!("x".parse::<Fault>().unwrap_err().contains("sdp-huge"));
    }
}
