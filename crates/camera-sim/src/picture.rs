//! What the simulated camera sees: a still scene with something moving through
//! it, the camera's name, and burned into every picture the clock and the
//! picture's number. Drawn in planar YUV 4:2:0, as encoders take it, and only
//! where the last picture differs: most of the work is left to the encoder.

use std::time::{Duration, SystemTime};

use crate::Shape;
use crate::font;
use crate::head::Position;

/// Luma and both chromas, BT.601.
type Colour = [u8; 3];
const SKY: Colour = [170, 150, 110];
const GRASS: Colour = [110, 110, 112];
const WALL: Colour = [150, 118, 140];
const WINDOW: Colour = [60, 140, 120];
const CAR: Colour = [90, 100, 200];
const BLACK: Colour = [16, 128, 128];
const WHITE: Colour = [235, 128, 128];

#[derive(Clone, Copy, Debug)]
struct Rect {
    x: usize,
    y: usize,
    width: usize,
    height: usize,
}

#[derive(Debug)]
pub(crate) struct Picture {
    shape: Shape,
    name: String,
    /// All that there is to see, as it is seen straight ahead.
    world: Vec<u8>,
    at: Position,
    /// What is seen of it, with the name.
    scene: Vec<u8>,
    planes: Vec<u8>,
    changed: Vec<Rect>,
}

impl Picture {
    pub(crate) fn new(shape: Shape, name: &str) -> Self {
        let (width, height) = (shape.width, shape.height);
        let mut picture = Picture {
            shape,
            name: name.to_owned(),
            world: Vec::new(),
            at: Position::default(),
            scene: Vec::new(),
            planes: vec![128; width * height * 3 / 2],
            changed: Vec::new(),
        };
        let horizon = height * 5 / 8;
        picture.fill(Rect { x: 0, y: 0, width, height: horizon }, SKY);
        picture.fill(Rect { x: 0, y: horizon, width, height: height - horizon }, GRASS);
        let house = Rect { x: width / 8, y: height / 4, width: width / 3, height: horizon - height / 4 };
        picture.fill(house, WALL);
        for (column, row) in [(0, 0), (1, 0), (2, 0), (0, 1), (1, 1), (2, 1)] {
            picture.fill(
                Rect {
                    x: house.x + house.width / 12 + column * house.width / 3,
                    y: house.y + house.height / 8 + row * house.height / 2,
                    width: house.width / 6,
                    height: house.height / 4,
                },
                WINDOW,
            );
        }
        picture.world.clone_from(&picture.planes);
        picture.name_it();
        picture
    }

    fn name_it(&mut self) {
        let scale = self.scale();
        let name = std::mem::take(&mut self.name);
        self.text(&name, scale * 4, scale * 4);
        self.name = name;
        self.scene.clone_from(&self.planes);
        self.changed.clear();
    }

    /// From the next picture on. The world goes round, and ends above and below.
    pub(crate) fn look(&mut self, at: Position) {
        if at == self.at {
            return;
        }
        self.at = at;
        let Shape { width, height, .. } = self.shape;
        let luma = width * height;
        for (start, width, height) in
            [(0, width, height), (luma, width / 2, height / 2), (luma * 5 / 4, width / 2, height / 2)]
        {
            let columns = axis(width, at.zoom, at.pan / 2.0);
            let rows = axis(height, at.zoom, -at.tilt / 2.0);
            for y in 0..height {
                let from = rows(y).clamp(0, height as isize - 1) as usize * width + start;
                for x in 0..width {
                    let column = columns(x).rem_euclid(width as isize) as usize;
                    self.planes[start + y * width + x] = self.world[from + column];
                }
            }
        }
        self.name_it();
    }

    pub(crate) fn planes(&self) -> &[u8] {
        &self.planes
    }

    /// Picture number `number`, seen at `now`.
    pub(crate) fn draw(&mut self, number: u64, now: SystemTime) {
        for rect in std::mem::take(&mut self.changed) {
            self.restore(rect);
        }
        let Shape { width, height, frames_per_second } = self.shape;
        // Crosses the picture in eight seconds.
        let way = 8 * u64::from(frames_per_second);
        let car = Rect {
            x: usize::try_from(number % way * (width as u64 * 7 / 8) / way).unwrap_or(0),
            y: height * 11 / 16,
            width: width / 8,
            height: height / 10,
        };
        self.fill(car, CAR);
        let scale = self.scale();
        let text = format!("{} #{number:07}", clock(now));
        self.text(&text, scale * 4, height - scale * (font::HEIGHT + 6));
    }

    /// Size of a font's dot: 40 characters fit the width.
    fn scale(&self) -> usize {
        (self.shape.width / (40 * font::WIDTH)).max(1)
    }

    fn text(&mut self, text: &str, x: usize, y: usize) {
        let scale = self.scale();
        let letters = text.chars().count().min((self.shape.width - x) / (font::WIDTH * scale));
        let width = letters * font::WIDTH * scale;
        self.fill(Rect { x, y, width, height: (font::HEIGHT + 2) * scale }, BLACK);
        for (place, letter) in text.chars().take(letters).enumerate() {
            let left = x + place * font::WIDTH * scale;
            for (row, dots) in font::rows(letter).iter().enumerate() {
                for column in (0..5).filter(|column| dots >> (4 - column) & 1 == 1) {
                    let rect = Rect {
                        x: left + column * scale,
                        y: y + (row + 1) * scale,
                        width: scale,
                        height: scale,
                    };
                    self.fill_luma(rect, WHITE[0]);
                }
            }
        }
    }

    fn fill(&mut self, rect: Rect, [luma, blue, red]: Colour) {
        self.changed.push(rect);
        self.fill_luma(rect, luma);
        let chroma = self.shape.width * self.shape.height;
        for (start, value) in [(chroma, blue), (chroma * 5 / 4, red)] {
            for row in self.chroma_rows(rect) {
                self.planes[start + row.start..start + row.end].fill(value);
            }
        }
    }

    fn fill_luma(&mut self, rect: Rect, luma: u8) {
        for row in self.luma_rows(rect) {
            self.planes[row].fill(luma);
        }
    }

    fn restore(&mut self, rect: Rect) {
        for row in self.luma_rows(rect) {
            self.planes[row.clone()].copy_from_slice(&self.scene[row]);
        }
        let chroma = self.shape.width * self.shape.height;
        for start in [chroma, chroma * 5 / 4] {
            for row in self.chroma_rows(rect) {
                let row = start + row.start..start + row.end;
                self.planes[row.clone()].copy_from_slice(&self.scene[row]);
            }
        }
    }

    fn luma_rows(&self, rect: Rect) -> impl Iterator<Item = std::ops::Range<usize>> + use<> {
        rows(rect, self.shape.width, self.shape.height)
    }

    fn chroma_rows(&self, rect: Rect) -> impl Iterator<Item = std::ops::Range<usize>> + use<> {
        let half = Rect {
            x: rect.x / 2,
            y: rect.y / 2,
            width: rect.width.div_ceil(2),
            height: rect.height.div_ceil(2),
        };
        rows(half, self.shape.width / 2, self.shape.height / 2)
    }
}

/// Which place of the world is seen where: nearer by up to four times, and moved
/// by as much as the length where the shift is 1.
fn axis(length: usize, zoom: f64, shift: f64) -> impl Fn(usize) -> isize {
    let (near, length) = (1.0 + zoom * 3.0, length as f64);
    let middle = length / 2.0 + shift * length;
    move |place| ((place as f64 + 0.5 - length / 2.0) / near + middle).floor() as isize
}

/// Where the rows of the part inside the plane lie.
fn rows(rect: Rect, width: usize, height: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    let (left, right) = (rect.x.min(width), (rect.x + rect.width).min(width));
    (rect.y.min(height)..(rect.y + rect.height).min(height)).map(move |y| y * width + left..y * width + right)
}

/// `2026-11-23 14:05:09.120`, UTC.
fn clock(now: SystemTime) -> String {
    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let at = time::OffsetDateTime::UNIX_EPOCH + since;
    let (date, time) = (at.date(), at.time());
    format!(
        "{}-{:02}-{:02} {:02}:{:02}:{:02}.{:03}",
        date.year(),
        u8::from(date.month()),
        date.day(),
        time.hour(),
        time.minute(),
        time.second(),
        time.millisecond()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_is_burned_in_and_leaves_no_trace_behind() {
        let shape = Shape { width: 640, height: 360, frames_per_second: 10 };
        let mut picture = Picture::new(shape, "DOOR 1");
        let scene = picture.planes().to_vec();
        let at = SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_442_709_120);
        assert_eq!(clock(at), "2026-11-23 14:05:09.120");
        picture.draw(7, at);
        let first = picture.planes().to_vec();
        assert_ne!(first, scene);
        picture.draw(8, at);
        assert_ne!(picture.planes(), first);
        picture.draw(7, at);
        assert_eq!(picture.planes(), first);
    }

    #[test]
    fn who_looks_elsewhere_sees_something_else_and_the_same_when_back() {
        let shape = Shape { width: 640, height: 360, frames_per_second: 10 };
        let mut picture = Picture::new(shape, "DOOR 1");
        let ahead = picture.planes().to_vec();
        for at in [
            Position { pan: 0.3, ..Position::default() },
            Position { tilt: 0.3, ..Position::default() },
            Position { zoom: 1.0, ..Position::default() },
        ] {
            picture.look(at);
            assert_ne!(picture.planes(), ahead, "{at:?}");
        }
        picture.look(Position { pan: -1.0, tilt: -1.0, zoom: 0.5 });
        picture.look(Position::default());
        assert_eq!(picture.planes(), ahead);
    }

    #[test]
    fn any_size_holds_the_picture() {
        for (width, height) in [(16, 16), (64, 48), (1_920, 1_080)] {
            let mut picture = Picture::new(Shape { width, height, frames_per_second: 1 }, "X");
            picture.draw(u64::MAX, SystemTime::UNIX_EPOCH);
        }
    }
}
