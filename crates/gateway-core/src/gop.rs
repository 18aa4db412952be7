//! The newest group of pictures of one stream, sealed, kept so that somebody
//! who begins to watch sees a picture at once and not after the next key frame.

use bytes::Bytes;

/// A group larger than this is not kept; the viewer waits for the next one.
pub const GOP_BYTES_MAX: usize = 8 << 20;

#[derive(Clone, Debug, Default)]
pub struct Gop {
    /// Prefix, header and signature of the open recording.
    header: Option<Bytes>,
    chunks: Vec<(u32, Bytes)>,
    bytes: usize,
}

impl Gop {
    pub fn header(&mut self, header: Bytes) {
        *self = Gop { header: Some(header), chunks: Vec::new(), bytes: 0 };
    }

    /// `key_frame`: this chunk begins a group of pictures.
    pub fn chunk(&mut self, number: u32, key_frame: bool, chunk: Bytes) {
        if key_frame {
            self.chunks.clear();
            self.bytes = 0;
        } else if self.chunks.is_empty() {
            return;
        }
        self.bytes += chunk.len();
        self.chunks.push((number, chunk));
        if self.bytes > GOP_BYTES_MAX {
            self.chunks.clear();
        }
    }

    pub fn clear(&mut self) {
        *self = Gop::default();
    }

    /// What a new viewer needs: the header, then chunks from the key frame on.
    pub fn catch_up(&self) -> Option<(Bytes, &[(u32, Bytes)])> {
        Some((self.header.clone()?, &self.chunks))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_from_the_last_key_frame_on() {
        let mut gop = Gop::default();
        assert!(gop.catch_up().is_none());
        gop.header(Bytes::from_static(b"h"));
        let numbers = |gop: &Gop| -> Vec<u32> { gop.catch_up().unwrap().1.iter().map(|c| c.0).collect() };
        let chunk = Bytes::from_static(b"c");
        gop.chunk(0, false, chunk.clone());
        assert_eq!(numbers(&gop), [0u32; 0]);
        for (number, key_frame) in [(1, true), (2, false), (3, false)] {
            gop.chunk(number, key_frame, chunk.clone());
        }
        assert_eq!(numbers(&gop), [1, 2, 3]);
        gop.chunk(4, true, chunk.clone());
        assert_eq!(numbers(&gop), [4]);
        gop.chunk(5, false, Bytes::from(vec![0; GOP_BYTES_MAX]));
        assert_eq!(numbers(&gop), [0u32; 0], "an endless group is not kept");
        gop.header(Bytes::from_static(b"next"));
        assert_eq!(numbers(&gop), [0u32; 0]);
    }
}
