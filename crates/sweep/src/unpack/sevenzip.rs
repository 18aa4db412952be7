//! 7z: the archive's streams. `seven` reads what it says of itself.

use std::io::{self, Read};

use super::Skip;
use super::bytes::{Range, le32, le64, take};
use super::codec::{Summed, window_kib, zstd};
use super::seven::{self, Coder, Folder, Header};
use super::sink::{Covered, Sink, Stop};
use crate::limits::Limits;
use crate::read::ReadAt;

const START: u64 = 32;
const HEADER_BYTES_MAX: u64 = 32 << 20;

pub(super) fn unpack(source: &dyn ReadAt, start: u64, sink: &mut Sink<'_>) -> Covered {
    let head = take(source, start, START)?;
    let (offset, bytes) = (le64(&head, 12)?, le64(&head, 20)?);
    let at = (start + START).checked_add(offset).ok_or(Stop::damaged("an offset in 7z"))?;
    if bytes > HEADER_BYTES_MAX {
        return Err(Stop::Skip(Skip::TooLarge));
    }
    let mut text = take(source, at, bytes)?;
    let covered = at + bytes - start;
    if flate2_crc(&text) != le32(&head, 28)? {
        return Err(Stop::damaged("the header of 7z"));
    }
    // An encoded header may hold an encoded header, but not for ever.
    for _ in 0..4 {
        if text.first() != Some(&seven::ENCODED) {
            break;
        }
        let streams = seven::streams(&text[1..], sink.limits.entries)?;
        let folder = streams.folders.first().ok_or(Stop::damaged("the header of 7z"))?;
        let mut reader = chain(source, start, folder, folder.main, sink.limits, 0)?;
        let mut unpacked = Vec::new();
        reader.by_ref().take(folder.bytes().min(HEADER_BYTES_MAX)).read_to_end(&mut unpacked)?;
        text = unpacked;
    }
    if text.is_empty() {
        return Ok(Some(covered));
    }
    let header = seven::header(&text, sink.limits.entries)?;
    files(source, start, &header, sink)?;
    Ok(Some(covered))
}

fn flate2_crc(data: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(data);
    crc.sum()
}

/// Folders are streams in which files lie one behind the other.
fn files(source: &dyn ReadAt, start: u64, header: &Header, sink: &mut Sink<'_>) -> Result<(), Stop> {
    let mut files = header.files.iter();
    let mut next = |sink: &mut Sink<'_>| -> Result<Option<&seven::File>, Stop> {
        for file in files.by_ref() {
            if file.has_stream {
                return Ok(Some(file));
            }
            match file.is_empty {
                true => sink.part(&file.name, &mut io::empty())?,
                false => sink.count()?,
            }
        }
        Ok(None)
    };
    for folder in &header.streams.folders {
        // Decoders that failed are not asked again: that of LZMA2 would spin for ever.
        let mut reader = chain(source, start, folder, folder.main, sink.limits, 0).map(Fused::Whole);
        for (bytes, sum) in &folder.files {
            let Some(file) = next(sink)? else { return Ok(()) };
            match &mut reader {
                Ok(reader) => {
                    let mut part = reader.by_ref().take(*bytes);
                    if file.is_link {
                        sink.link(&file.name)?;
                    } else {
                        sink.part(&file.name, &mut Summed::new(&mut part, *sum))?;
                    }
                    // What was not read lies before the next.
                    if part.limit() > 0 && folder.files.len() > 1 {
                        let budget = sink.limits.total_bytes;
                        let _ = io::copy(&mut part.take(budget), &mut io::sink());
                    }
                }
                Err(Stop::Skip(why)) => {
                    sink.count()?;
                    sink.skip(&file.name, *why);
                }
                Err(Stop::Enough) => return Err(Stop::Enough),
            }
        }
    }
    while next(sink)?.is_some() {}
    Ok(())
}

/// The readers of a folder, from the stream that comes out of coder `index` inwards.
fn chain<'a>(
    source: &'a dyn ReadAt,
    start: u64,
    folder: &Folder,
    index: usize,
    limits: &Limits,
    depth: usize,
) -> Result<Box<dyn Read + 'a>, Stop> {
    let coder = folder.coders.get(index).ok_or(Stop::damaged("a folder of 7z"))?;
    if depth > folder.coders.len() {
        return Err(Stop::damaged("a circle of coders in 7z"));
    }
    let mut inputs = Vec::new();
    for input in coder.inputs.clone() {
        let bound = folder.binds.iter().find(|(bound, _)| *bound == input).map(|(_, output)| *output);
        let reader: Box<dyn Read + 'a> = match bound {
            Some(output) => chain(source, start, folder, output, limits, depth + 1)?,
            None => {
                let at = folder.packed.iter().position(|packed| *packed == input);
                let (at, bytes) = at
                    .and_then(|at| folder.ranges.get(at))
                    .copied()
                    .ok_or(Stop::damaged("a folder of 7z"))?;
                let at = (start + START).checked_add(at).ok_or(Stop::damaged("an offset in 7z"))?;
                Box::new(Range::new(source, at, bytes))
            }
        };
        inputs.push(reader);
    }
    decoder(coder, inputs, limits)
}

fn decoder<'a>(
    coder: &Coder,
    mut inputs: Vec<Box<dyn Read + 'a>>,
    limits: &Limits,
) -> Result<Box<dyn Read + 'a>, Stop> {
    use lzma_rust2::filter::{bcj::BcjReader, bcj2::Bcj2Reader, delta::DeltaReader};
    const BCJ2: &[u8] = &[3, 3, 1, 0x1b];
    if coder.id == BCJ2 && inputs.len() == 4 {
        return Ok(Box::new(Bcj2Reader::new(inputs, coder.bytes)));
    }
    let (Some(input), true) = (inputs.pop(), inputs.is_empty()) else {
        return Err(Stop::unsupported("a coder of several streams in 7z"));
    };
    let property = |at: usize| coder.properties.get(at).copied().ok_or(Stop::damaged("a coder of 7z"));
    Ok(match coder.id.as_slice() {
        [0] => input,
        [3, 1, 1] => {
            let dictionary = le32(&coder.properties, 1)?;
            if u64::from(dictionary) > limits.part_bytes {
                return Err(Stop::Skip(Skip::TooLarge));
            }
            let reader =
                lzma_rust2::LzmaReader::new_with_props(input, coder.bytes, property(0)?, dictionary, None);
            Box::new(reader?)
        }
        [0x21] => {
            let bits = u32::from(property(0)?);
            if bits > 40 {
                return Err(Stop::damaged("a coder of 7z"));
            }
            let dictionary =
                (2 | (bits & 1)).checked_shl(bits / 2 + 11).filter(|_| bits < 40).unwrap_or(u32::MAX);
            if u64::from(dictionary) > limits.part_bytes {
                return Err(Stop::Skip(Skip::TooLarge));
            }
            Box::new(lzma_rust2::Lzma2Reader::new_mem_limit(input, dictionary, 2 * window_kib(limits), None)?)
        }
        [3] => Box::new(DeltaReader::new(input, usize::from(property(0)?) + 1)),
        [3, 3, 1, 3] | [4] => Box::new(BcjReader::new_x86(input, 0)),
        [3, 3, 2, 5] | [5] => Box::new(BcjReader::new_ppc(input, 0)),
        [3, 3, 4, 1] | [6] => Box::new(BcjReader::new_ia64(input, 0)),
        [3, 3, 5, 1] | [7] => Box::new(BcjReader::new_arm(input, 0)),
        [3, 3, 7, 1] | [8] => Box::new(BcjReader::new_arm_thumb(input, 0)),
        [3, 3, 8, 5] | [9] => Box::new(BcjReader::new_sparc(input, 0)),
        [0xa] => Box::new(BcjReader::new_arm64(input, 0)),
        [4, 1, 8] => Box::new(flate2::bufread::DeflateDecoder::new(io::BufReader::new(input))),
        [4, 2, 2] => Box::new(bzip2::bufread::BzDecoder::new(io::BufReader::new(input))),
        [4, 0xf7, 0x11, 1] => Box::new(zstd(input, limits.part_bytes)?),
        [6, 0xf1, 7, 1] => return Err(Stop::Skip(Skip::Encrypted)),
        [3, 4, 1] => return Err(Stop::unsupported("PPMd in 7z")),
        _ => return Err(Stop::unsupported("a coder of 7z")),
    })
}

/// A reader that ends for good with its first error.
enum Fused<R> {
    Whole(R),
    Broken,
}

impl<R: Read> Read for Fused<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Self::Whole(reader) = self else { return Err(io::ErrorKind::InvalidData.into()) };
        let result = reader.read(buffer);
        if result.as_ref().is_err_and(|err| err.kind() != io::ErrorKind::Interrupted) {
            *self = Self::Broken;
        }
        result
    }
}
