//! Who watches a stream. Sealed chunks go to the link's queue, or to a viewer's
//! on the local network; when it is full the viewer loses the rest of the group
//! of pictures, never the recorder its time.

use bytes::{BufMut as _, Bytes, BytesMut};
use gateway_core::gop::Gop;
use model::wire::{FRAME_CHUNK, FRAME_HEADER};
use tokio::sync::mpsc;

/// Watches of one stream by the link at a time; the cloud fans out to its own
/// viewers. Those of the local way are counted there.
const VIEWERS_MAX: usize = 16;

/// On which way somebody watches, which decides how frames begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Watch {
    /// Of the link, with the number that the cloud gave it.
    Link(u32),
    /// Of one viewer, as the cloud's own viewers get it.
    Local,
}

#[derive(Debug, Default)]
pub(crate) struct Viewers {
    gop: Gop,
    viewers: Vec<Viewer>,
}

#[derive(Debug)]
struct Viewer {
    watch: Watch,
    frames: mpsc::Sender<Bytes>,
    /// A frame was lost: nothing opens until the next key frame.
    behind: bool,
    /// So was the header, without which nothing opens at all.
    needs_header: bool,
}

impl Viewers {
    /// A viewer begins with the current group of pictures.
    pub(crate) fn add(&mut self, watch: Watch, frames: mpsc::Sender<Bytes>) {
        self.viewers.retain(|viewer| !viewer.frames.is_closed());
        if let Watch::Link(stream) = watch {
            self.remove(stream);
            let mut of_link = self.viewers.iter().enumerate().filter(|(_, v)| v.watch != Watch::Local);
            let oldest = of_link.next().map(|(index, _)| index);
            if let (Some(oldest), true) = (oldest, of_link.count() + 1 >= VIEWERS_MAX) {
                self.viewers.remove(oldest);
            }
        }
        let mut viewer = Viewer { watch, frames, behind: true, needs_header: true };
        if let Some((header, chunks)) = self.gop.catch_up() {
            viewer.header(&header);
            if let Some(((number, first), rest)) = chunks.split_first() {
                viewer.chunk(&header, *number, true, first);
                rest.iter().for_each(|(number, chunk)| viewer.chunk(&header, *number, false, chunk));
            }
        }
        self.viewers.push(viewer);
    }

    pub(crate) fn remove(&mut self, stream: u32) {
        self.viewers.retain(|viewer| viewer.watch != Watch::Link(stream));
    }

    /// A recording has begun.
    pub(crate) fn header(&mut self, header: Bytes) {
        self.viewers.iter_mut().for_each(|viewer| viewer.header(&header));
        self.gop.header(header);
    }

    pub(crate) fn chunk(&mut self, number: u32, key_frame: bool, chunk: Bytes) {
        self.viewers.retain(|viewer| !viewer.frames.is_closed());
        if let Some((header, _)) = self.gop.catch_up() {
            for viewer in &mut self.viewers {
                viewer.chunk(&header, number, key_frame, &chunk);
            }
        }
        self.gop.chunk(number, key_frame, chunk);
    }

    /// The stream is lost: what was kept is no longer live.
    pub(crate) fn lost(&mut self) {
        self.gop.clear();
        self.viewers.iter_mut().for_each(|viewer| viewer.behind = true);
    }
}

impl Viewer {
    fn header(&mut self, header: &Bytes) {
        let sent = self.frames.try_send(header_frame(self.watch, header)).is_ok();
        self.needs_header = !sent;
        self.behind |= !sent;
    }

    fn chunk(&mut self, header: &Bytes, number: u32, key_frame: bool, chunk: &Bytes) {
        if self.behind && !key_frame {
            return;
        }
        if self.needs_header {
            self.header(header);
        }
        self.behind =
            self.needs_header || self.frames.try_send(chunk_frame(self.watch, number, chunk)).is_err();
    }
}

fn header_frame(watch: Watch, header: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(5 + header.len());
    begin_frame(&mut frame, FRAME_HEADER, watch);
    frame.put_slice(header);
    frame.freeze()
}

fn begin_frame(frame: &mut BytesMut, kind: u8, watch: Watch) {
    frame.put_u8(kind);
    if let Watch::Link(stream) = watch {
        frame.put_u32(stream);
    }
}

fn chunk_frame(watch: Watch, number: u32, chunk: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(9 + chunk.len());
    begin_frame(&mut frame, FRAME_CHUNK, watch);
    frame.put_u32(number);
    frame.put_slice(chunk);
    frame.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(frames: &mut mpsc::Receiver<Bytes>) -> Vec<String> {
        let mut all = Vec::new();
        while let Ok(frame) = frames.try_recv() {
            all.push(match frame[0] {
                FRAME_HEADER => String::from_utf8_lossy(&frame[5..]).into_owned(),
                _ => u32::from_be_bytes([frame[5], frame[6], frame[7], frame[8]]).to_string(),
            });
        }
        all
    }

    #[test]
    fn a_slow_viewer_loses_whole_groups_and_gets_every_header() {
        let mut viewers = Viewers::default();
        let chunk = Bytes::from_static(b"c");
        viewers.header(Bytes::from_static(b"first"));
        viewers.chunk(0, true, chunk.clone());
        viewers.chunk(1, false, chunk.clone());
        let (sender, mut frames) = mpsc::channel(4);
        viewers.add(Watch::Link(7), sender);
        viewers.chunk(2, false, chunk.clone());
        viewers.chunk(3, false, chunk.clone());
        assert_eq!(received(&mut frames), ["first", "0", "1", "2"], "3 found the queue full");
        viewers.chunk(4, false, chunk.clone());
        viewers.chunk(5, true, chunk.clone());
        viewers.chunk(6, false, chunk.clone());
        assert_eq!(received(&mut frames), ["5", "6"]);
        for number in 7..12 {
            viewers.chunk(number, false, chunk.clone());
        }
        viewers.header(Bytes::from_static(b"second"));
        assert_eq!(received(&mut frames), ["7", "8", "9", "10"], "no room for the second header");
        viewers.chunk(0, false, chunk.clone());
        viewers.chunk(1, true, chunk.clone());
        assert_eq!(received(&mut frames), ["second", "1"]);
        viewers.remove(7);
        viewers.chunk(2, true, chunk);
        assert_eq!(received(&mut frames), [""; 0]);
    }

    #[test]
    fn viewers_of_one_way_do_not_push_out_those_of_the_other() {
        let mut viewers = Viewers::default();
        viewers.header(Bytes::from_static(b"h"));
        let mut open = Vec::new();
        let add = |viewers: &mut Viewers, watch| {
            let (sender, frames) = mpsc::channel(4);
            viewers.add(watch, sender);
            frames
        };
        open.push(add(&mut viewers, Watch::Link(0)));
        open.extend((0..20).map(|_| add(&mut viewers, Watch::Local)));
        assert_eq!(viewers.viewers.len(), 21);
        open.extend((1..20).map(|stream| add(&mut viewers, Watch::Link(stream))));
        let of_link = viewers.viewers.iter().filter_map(|viewer| match viewer.watch {
            Watch::Link(stream) => Some(stream),
            Watch::Local => None,
        });
        assert_eq!(of_link.collect::<Vec<_>>(), (4..20).collect::<Vec<_>>(), "the newest of the link");
        viewers.chunk(3, true, Bytes::from_static(b"c"));
        let frames = &mut open[1];
        assert_eq!(frames.try_recv().unwrap(), b"\x01h".as_slice(), "a header as the cloud's viewers get it");
        assert_eq!(frames.try_recv().unwrap(), b"\x02\0\0\0\x03c".as_slice());
        open.clear();
        let _last = add(&mut viewers, Watch::Local);
        assert_eq!(viewers.viewers.len(), 1, "whoever left is forgotten, also while nothing comes in");
    }
}
