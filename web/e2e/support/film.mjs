// A moving picture as H.264 access units: what a camera would send. Made by ffmpeg, 10 pictures a second, a key frame each second.

import { execFileSync } from 'node:child_process';

export const FPS = 10;
export const SECONDS = 20;

export function film(width, height) {
  const source = `testsrc2=size=${width}x${height}:rate=${FPS}:duration=${SECONDS}`;
  const encoder = ['-c:v', 'libx264', '-preset', 'ultrafast', '-tune', 'zerolatency', '-profile:v', 'baseline', '-g', String(FPS), '-x264-params', 'scenecut=0:repeat-headers=1:slices=1:aud=1'];
  const stream = execFileSync('ffmpeg', ['-v', 'error', '-f', 'lavfi', '-i', source, '-pix_fmt', 'yuv420p', ...encoder, '-f', 'h264', '-'], { maxBuffer: 256 * 1024 * 1024 });
  let sps, pps;
  const units = [];
  for (const nal of nalUnits(stream)) {
    const type = nal[0] & 31;
    if (type === 9) units.push({ nals: [], key: false });
    else if (type === 7) sps = nal;
    else if (type === 8) pps = nal;
    else if (type === 1 || type === 5) units.at(-1).nals.push(nal), (units.at(-1).key ||= type === 5);
  }
  const lengthPrefixed = (nal) => Buffer.concat([u32(nal.length), nal]);
  const u16 = (value) => Buffer.from([value >> 8, value & 255]);
  // ISO/IEC 14496-15, 5.3.3.1: AVCDecoderConfigurationRecord.
  const avcC = Buffer.concat([Buffer.from([1, sps[1], sps[2], sps[3], 0xff, 0xe1]), u16(sps.length), sps, Buffer.from([1]), u16(pps.length), pps]);
  return { codec: `avc1.${sps.subarray(1, 4).toString('hex')}`, avcC, width, height, units: units.map(({ nals, key }) => ({ key, bytes: Buffer.concat(nals.map(lengthPrefixed)) })) };
}

/** Annex B of H.264: start codes of three or four bytes. */
function* nalUnits(stream) {
  const starts = [];
  for (let at = stream.indexOf('\0\0\x01', 0, 'latin1'); at >= 0; at = stream.indexOf('\0\0\x01', at + 3, 'latin1')) starts.push(at);
  for (const [i, at] of starts.entries()) {
    let end = starts[i + 1] ?? stream.length;
    while (end > at + 3 && stream[end - 1] === 0) end -= 1;
    yield stream.subarray(at + 3, end);
  }
}

function u32(value) {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
