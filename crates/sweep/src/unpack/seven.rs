//! What a 7z archive says of itself: a tree of properties with numbers of variable
//! length (7zFormat.txt of the LZMA SDK). Counts are checked against what the header
//! could hold before anything is allocated for them.

use std::ops::Range;

use super::Skip;
use super::bytes::{name16, units};
use super::sink::Stop;

pub(super) const ENCODED: u8 = 0x17;
const CODERS_MAX: u64 = 32;

#[derive(Default)]
pub(super) struct Streams {
    pub(super) folders: Vec<Folder>,
}

#[derive(Default)]
pub(super) struct Folder {
    pub(super) coders: Vec<Coder>,
    /// The stream that goes in, and the coder that it comes from.
    pub(super) binds: Vec<(usize, usize)>,
    /// The streams that are read from the archive.
    pub(super) packed: Vec<usize>,
    /// Where those lie, from the end of the start header: offset and bytes.
    pub(super) ranges: Vec<(u64, u64)>,
    /// The coder whose output is the files'.
    pub(super) main: usize,
    /// Of all that comes out, if it is told.
    sum: Option<u32>,
    /// Bytes of each file in it, and its sum.
    pub(super) files: Vec<(u64, Option<u32>)>,
}

impl Folder {
    pub(super) fn bytes(&self) -> u64 {
        self.coders.get(self.main).map_or(0, |coder| coder.bytes)
    }
}

#[derive(Default)]
pub(super) struct Coder {
    pub(super) id: Vec<u8>,
    pub(super) inputs: Range<usize>,
    pub(super) properties: Vec<u8>,
    /// What it unpacks to.
    pub(super) bytes: u64,
}

pub(super) struct File {
    pub(super) name: String,
    pub(super) has_stream: bool,
    /// A file of no bytes; what else has no stream is a folder.
    pub(super) is_empty: bool,
    pub(super) is_link: bool,
}

pub(super) struct Header {
    pub(super) streams: Streams,
    pub(super) files: Vec<File>,
}

const DAMAGED: Stop = Stop::Skip(Skip::Damaged("the header of 7z"));

struct Reader<'a> {
    data: &'a [u8],
    /// No count may be larger.
    max: u64,
}

impl<'a> Reader<'a> {
    fn take(&mut self, bytes: u64) -> Result<&'a [u8], Stop> {
        let bytes = usize::try_from(bytes).map_err(|_| DAMAGED)?;
        let (head, rest) = self.data.split_at_checked(bytes).ok_or(DAMAGED)?;
        self.data = rest;
        Ok(head)
    }

    fn byte(&mut self) -> Result<u8, Stop> {
        Ok(self.take(1)?[0])
    }

    /// The ones at the head of the first byte count the bytes that follow.
    fn number(&mut self) -> Result<u64, Stop> {
        let first = self.byte()?;
        let extra = first.leading_ones();
        let mut low = [0; 8];
        low[..extra as usize].copy_from_slice(self.take(extra.into())?);
        let high = if extra >= 7 { 0 } else { u64::from(first) & ((1 << (7 - extra)) - 1) };
        Ok(u64::from_le_bytes(low) | high.checked_shl(8 * extra).unwrap_or(0))
    }

    fn count(&mut self) -> Result<u64, Stop> {
        let count = self.number()?;
        if count > self.max { Err(Stop::Skip(Skip::TooMany)) } else { Ok(count) }
    }

    fn bits(&mut self, count: u64) -> Result<Vec<bool>, Stop> {
        let bytes = self.take(count.div_ceil(8))?;
        Ok((0..count as usize).map(|index| bytes[index / 8] & (0x80 >> (index % 8)) != 0).collect())
    }

    /// Sums: for which there are some, and those.
    fn sums(&mut self, count: u64) -> Result<Vec<Option<u32>>, Stop> {
        let is_there = if self.byte()? != 0 {
            // Each takes four bytes of the header.
            if count > self.data.len() as u64 / 4 {
                return Err(DAMAGED);
            }
            vec![true; count as usize]
        } else {
            self.bits(count)?
        };
        is_there.into_iter().map(|is_there| is_there.then(|| self.word()).transpose()).collect()
    }

    fn word(&mut self) -> Result<u32, Stop> {
        Ok(u32::from_le_bytes(self.take(4)?.try_into().expect("four bytes")))
    }
}

pub(super) fn streams(data: &[u8], max: u64) -> Result<Streams, Stop> {
    read_streams(&mut Reader { data, max })
}

fn read_streams(reader: &mut Reader<'_>) -> Result<Streams, Stop> {
    let mut streams = Streams::default();
    let (mut offset, mut sizes) = (0, Vec::new());
    loop {
        match reader.byte()? {
            0x00 => break,
            0x06 => {
                offset = reader.number()?;
                sizes = packed(reader)?;
            }
            0x07 => folders(reader, &mut streams)?,
            0x08 => files_of(reader, &mut streams)?,
            _ => return Err(DAMAGED),
        }
    }
    let mut sizes = sizes.into_iter();
    for folder in &mut streams.folders {
        for bytes in sizes.by_ref().take(folder.packed.len()) {
            folder.ranges.push((offset, bytes));
            offset = offset.checked_add(bytes).ok_or(DAMAGED)?;
        }
    }
    Ok(streams)
}

fn packed(reader: &mut Reader<'_>) -> Result<Vec<u64>, Stop> {
    let count = reader.count()?;
    let mut sizes = Vec::new();
    loop {
        match reader.byte()? {
            0x00 => return Ok(sizes),
            0x09 => sizes = (0..count).map(|_| reader.number()).collect::<Result<_, _>>()?,
            0x0a => {
                reader.sums(count)?;
            }
            _ => return Err(DAMAGED),
        }
    }
}

fn folders(reader: &mut Reader<'_>, streams: &mut Streams) -> Result<(), Stop> {
    if reader.byte()? != 0x0b {
        return Err(DAMAGED);
    }
    let count = reader.count()?;
    if reader.byte()? != 0 {
        return Err(Stop::unsupported("7z with its header in several places"));
    }
    for _ in 0..count {
        streams.folders.push(folder(reader)?);
    }
    loop {
        match reader.byte()? {
            0x00 => break,
            0x0c => {
                for coder in streams.folders.iter_mut().flat_map(|folder| &mut folder.coders) {
                    coder.bytes = reader.number()?;
                }
            }
            0x0a => {
                for (folder, sum) in streams.folders.iter_mut().zip(reader.sums(count)?) {
                    folder.sum = sum;
                }
            }
            _ => return Err(DAMAGED),
        }
    }
    // Without a section on files in folders, each folder is one file.
    for folder in &mut streams.folders {
        folder.files = vec![(folder.bytes(), folder.sum)];
    }
    Ok(())
}

fn folder(reader: &mut Reader<'_>) -> Result<Folder, Stop> {
    let mut folder = Folder::default();
    let coders = reader.number()?;
    if coders == 0 || coders > CODERS_MAX {
        return Err(DAMAGED);
    }
    let mut inputs = 0;
    for _ in 0..coders {
        let flags = reader.byte()?;
        let id = reader.take((flags & 0xf).into())?.to_vec();
        let (mut from, mut to) = (1, 1);
        if flags & 0x10 != 0 {
            (from, to) = (reader.number()?, reader.number()?);
        }
        if from > CODERS_MAX || to != 1 {
            return Err(Stop::unsupported("a coder of several outputs in 7z"));
        }
        let bytes = if flags & 0x20 != 0 { reader.number()? } else { 0 };
        let properties = reader.take(bytes)?.to_vec();
        let from = from as usize;
        folder.coders.push(Coder { id, inputs: inputs..inputs + from, properties, bytes: 0 });
        inputs += from;
    }
    let binds = folder.coders.len() - 1;
    for _ in 0..binds {
        folder.binds.push((reader.number()? as usize, reader.number()? as usize));
    }
    let packed = inputs.checked_sub(binds).ok_or(DAMAGED)?;
    if packed == 1 {
        let free = (0..inputs).find(|input| folder.binds.iter().all(|(bound, _)| bound != input));
        folder.packed.push(free.ok_or(DAMAGED)?);
    } else {
        for _ in 0..packed {
            folder.packed.push(reader.number()? as usize);
        }
    }
    let main = (0..folder.coders.len()).find(|coder| folder.binds.iter().all(|(_, output)| output != coder));
    folder.main = main.ok_or(DAMAGED)?;
    Ok(folder)
}

/// How many files each folder holds, and of which sizes; the last of each is what
/// remains.
fn files_of(reader: &mut Reader<'_>, streams: &mut Streams) -> Result<(), Stop> {
    let mut counts = vec![1; streams.folders.len()];
    let mut kind = reader.byte()?;
    if kind == 0x0d {
        for count in &mut counts {
            *count = reader.count()?;
        }
        kind = reader.byte()?;
    }
    if counts.iter().sum::<u64>() > reader.max {
        return Err(Stop::Skip(Skip::TooMany));
    }
    for (folder, count) in streams.folders.iter_mut().zip(&counts) {
        folder.files.clear();
        let mut left = folder.bytes();
        for index in 0..*count {
            let bytes = match kind {
                0x09 if index + 1 < *count => reader.number()?,
                _ => left,
            };
            left = left.checked_sub(bytes).ok_or(DAMAGED)?;
            folder.files.push((bytes, folder.sum.filter(|_| *count == 1)));
        }
    }
    if kind == 0x09 {
        kind = reader.byte()?;
    }
    while kind != 0 {
        if kind != 0x0a {
            return Err(DAMAGED);
        }
        let files = streams.folders.iter_mut().flat_map(|folder| &mut folder.files);
        let mut unknown: Vec<_> = files.filter(|(_, sum)| sum.is_none()).collect();
        let sums = reader.sums(unknown.len() as u64)?;
        unknown.iter_mut().zip(sums).for_each(|(file, sum)| file.1 = sum);
        kind = reader.byte()?;
    }
    Ok(())
}

pub(super) fn header(data: &[u8], max: u64) -> Result<Header, Stop> {
    let mut reader = Reader { data, max };
    let mut header = Header { streams: Streams::default(), files: Vec::new() };
    if reader.byte()? != 0x01 {
        return Err(DAMAGED);
    }
    loop {
        match reader.byte()? {
            0x00 => return Ok(header),
            0x02 => {
                while reader.byte()? != 0 {
                    let bytes = reader.number()?;
                    reader.take(bytes)?;
                }
            }
            0x03 => drop(read_streams(&mut reader)?),
            0x04 => header.streams = read_streams(&mut reader)?,
            0x05 => header.files = files(&mut reader)?,
            _ => return Err(DAMAGED),
        }
    }
}

fn files(reader: &mut Reader<'_>) -> Result<Vec<File>, Stop> {
    let count = reader.count()?;
    let mut names = Vec::new();
    let mut is_empty = vec![false; count as usize];
    let mut is_file = Vec::new();
    let mut modes = Vec::new();
    loop {
        let kind = reader.number()?;
        if kind == 0 {
            break;
        }
        let bytes = reader.number()?;
        let mut body = Reader { data: reader.take(bytes)?, max: reader.max };
        match kind {
            0x0e => is_empty = body.bits(count)?,
            // One bit for each that has no stream.
            0x0f => is_file = body.bits(is_empty.iter().filter(|is_empty| **is_empty).count() as u64)?,
            0x11 if body.byte()? == 0 => names = split(body.data, count as usize),
            0x15 => modes = attributes(&mut body, count)?,
            _ => {}
        }
    }
    let (mut names, mut is_file) = (names.into_iter(), is_file.into_iter());
    Ok((0..count as usize)
        .map(|index| File {
            name: names.next().unwrap_or_default(),
            has_stream: !is_empty[index],
            is_empty: is_empty[index] && is_file.next().unwrap_or(false),
            is_link: modes.get(index).is_some_and(|mode| mode & 0o170_000 == 0o120_000),
        })
        .collect())
}

/// Modes of Unix, which stand in the upper half of what are attributes on Windows.
fn attributes(body: &mut Reader<'_>, count: u64) -> Result<Vec<u32>, Stop> {
    let is_there = if body.byte()? != 0 { vec![true; count as usize] } else { body.bits(count)? };
    if body.byte()? != 0 {
        return Ok(Vec::new());
    }
    let mut mode = |is_there: &bool| -> Result<u32, Stop> {
        if !is_there {
            return Ok(0);
        }
        let value = u32::from_le_bytes(body.take(4)?.try_into().expect("four bytes"));
        Ok(if value & 0x8000 != 0 { value >> 16 } else { 0 })
    };
    is_there.iter().map(&mut mode).collect()
}

fn split(data: &[u8], count: usize) -> Vec<String> {
    let all: Vec<u16> = units(data).collect();
    all.split(|unit| *unit == 0).take(count).map(|name| name16(name.iter().copied())).collect()
}
