//! One range of bytes, as HTTP asks for it.

/// Both ends belong to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteRange {
    pub first: u64,
    pub last: u64,
}

impl ByteRange {
    pub fn length(self) -> u64 {
        self.last - self.first + 1
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AskedRange {
    All,
    Part(ByteRange),
    Outside,
}

impl AskedRange {
    /// Reads a `Range` header for something of `size` bytes, at least one (RFC
    /// 9110 section 14.2). One that is malformed, of another unit or of several
    /// ranges may be ignored, and is.
    pub fn of(header: Option<&str>, size: u64) -> Self {
        let range = header.and_then(|value| value.strip_prefix("bytes="));
        let Some((first, last)) = range.and_then(|spec| spec.trim().split_once('-')) else {
            return AskedRange::All;
        };
        let number =
            |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse::<u64>().ok()).flatten();
        let end = size.saturating_sub(1);
        let range = match (first, last) {
            ("", suffix) => match number(suffix) {
                None => return AskedRange::All,
                Some(0) => return AskedRange::Outside,
                Some(length) => ByteRange { first: size.saturating_sub(length), last: end },
            },
            (first, "") => match number(first) {
                None => return AskedRange::All,
                Some(first) => ByteRange { first, last: end },
            },
            (first, last) => match (number(first), number(last)) {
                (Some(first), Some(last)) if first <= last => ByteRange { first, last: last.min(end) },
                _ => return AskedRange::All,
            },
        };
        if range.first < size { AskedRange::Part(range) } else { AskedRange::Outside }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_or_all() {
        let of = |text| AskedRange::of(Some(text), 100);
        let part = |first, last| AskedRange::Part(ByteRange { first, last });
        assert_eq!(of("bytes=0-9"), part(0, 9));
        assert_eq!(of("bytes=90-"), part(90, 99));
        assert_eq!(of("bytes=90-1000"), part(90, 99));
        assert_eq!(of("bytes=-10"), part(90, 99));
        assert_eq!(of("bytes=-1000"), part(0, 99));
        for outside in ["bytes=100-", "bytes=100-200", "bytes=-0"] {
            assert_eq!(of(outside), AskedRange::Outside, "{outside}");
        }
        for ignored in
            ["bytes=9-0", "bytes=0-1,5-6", "lines=0-1", "bytes=+1-2", "bytes=a-b", "bytes=", "bytes=-"]
        {
            assert_eq!(of(ignored), AskedRange::All, "{ignored}");
        }
        assert_eq!(AskedRange::of(None, 100), AskedRange::All);
    }
}
