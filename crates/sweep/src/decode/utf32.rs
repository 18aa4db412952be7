//! UTF-32, which hardly anybody writes: letters of Latin alone.

use std::ops::Range;

use super::marks::{Marks, WIDE};
use super::{Decoded, STEP, Step};

const UNIT: usize = 4;
/// Of a text, in letters.
const LETTERS_MIN: usize = 8;

/// Text in UTF-32 of either order that begins in what is marked.
pub(crate) fn utf32(bytes: &[u8], marks: &Marks, mut decoded: impl FnMut(Decoded)) {
    let own = &marks.own;
    let mut at = own.start;
    while let Some(next) = marks.next(WIDE, at) {
        at = own.start + (next - own.start).next_multiple_of(STEP);
        let is_text = |at: &usize| (0..3).all(|unit| letter(bytes, at + unit * UNIT, false).is_some());
        let Some(first) = (at..at + UNIT).find(is_text) else {
            at += STEP;
            continue;
        };
        // In the other order, three zeros before it are the letter's. The right order has a
        // letter more.
        let little = run(bytes, own.start, first, false);
        let big = first.checked_sub(UNIT - 1).map_or(0..0, |first| run(bytes, own.start, first, true));
        let is_big = big.len() > little.len();
        let place = if is_big { big } else { little };
        at = place.end.max(at + STEP);
        if place.len() >= UNIT * LETTERS_MIN {
            let (mut text, mut steps) = (String::new(), Vec::new());
            let letters = place.clone().step_by(UNIT).filter_map(|at| letter(bytes, at, is_big));
            for (number, letter) in letters.enumerate() {
                text.push(letter);
                if letter == '\n' {
                    steps.push(Step(text.len(), UNIT * (number + 1)));
                }
            }
            decoded(Decoded { encoding: "utf-32", place, bytes: text.into_bytes(), steps });
        }
    }
}

/// Letters around `at`, from `first` on.
fn run(bytes: &[u8], first: usize, at: usize, is_big: bool) -> Range<usize> {
    let is_letter = |at: usize| letter(bytes, at, is_big).is_some();
    let before = (1..).take_while(|count| at >= first + count * UNIT && is_letter(at - count * UNIT));
    let behind = (0..).take_while(|count| is_letter(at + count * UNIT));
    at - before.count() * UNIT..at + behind.count() * UNIT
}

fn letter(bytes: &[u8], at: usize, is_big: bool) -> Option<char> {
    let unit: [u8; UNIT] = *bytes.get(at..)?.first_chunk()?;
    let number = if is_big { u32::from_be_bytes(unit) } else { u32::from_le_bytes(unit) };
    let is_letter = matches!(number, 0x09 | 0x0a | 0x0d | 0x20..0x7f | 0xa0..0x100);
    char::from_u32(number).filter(|_| is_letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_either_order_is_read_wherever_it_begins() {
        let text = "user=ädmin\npassword=Quarz!Feld71\n";
        for before in [0, 1, 2, 3, 16, 61, 64, 130] {
            for is_big in [false, true] {
                let unit = |letter: char| match is_big {
                    true => u32::from(letter).to_be_bytes(),
                    false => u32::from(letter).to_le_bytes(),
                };
                let bytes =
                    [vec![0x80; before], text.chars().flat_map(unit).collect(), vec![0x80; 9]].concat();
                let mut told = Vec::new();
                utf32(&bytes, &Marks::new(&bytes, 0..bytes.len()), |decoded| told.push(decoded));
                let [told] = &told[..] else { panic!("{before}, {is_big}: {told:?}") };
                assert_eq!(String::from_utf8_lossy(&told.bytes), text, "{before}, {is_big}");
                assert_eq!(told.place, before..before + 4 * text.chars().count());
                assert_eq!(told.steps, [Step(12, 44), Step(34, 132)]);
            }
        }
        // Numbers of four bytes are no text.
        let bytes: Vec<u8> = (0..900_u32).flat_map(|number| (number * 90).to_le_bytes()).collect();
        utf32(&bytes, &Marks::new(&bytes, 0..bytes.len()), |decoded| panic!("{decoded:?}"));
    }
}
