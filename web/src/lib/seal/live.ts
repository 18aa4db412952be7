// Framing of live chunks from the cloud to a viewer (docs/protocol.md section 3). The relay may drop whole GOPs,
// never alter, reorder or repeat: numbers must rise within a recording.

import { type Bytes, refuse, view } from './bytes';
import { type Chunk, readChunk } from './chunk';
import { type ReadHeader, readHeader } from './header';
import { int, loose, tagged, text } from './shape';

const FRAME_HEADER = 1;
const FRAME_CHUNK = 2;

export type LiveFrame = { kind: 'header'; read: ReadHeader } | { kind: 'chunk'; chunk: Chunk };

export async function readLiveFrame(bytes: Bytes): Promise<LiveFrame> {
  if (bytes.length < 5) return refuse('an empty live frame');
  if (bytes[0] === FRAME_HEADER) {
    const read = await readHeader(bytes.subarray(1));
    if (read.length !== bytes.length - 1) refuse('a live header with something behind it');
    return { kind: 'header', read };
  }
  if (bytes[0] === FRAME_CHUNK) return { kind: 'chunk', chunk: readChunk(view(bytes).getUint32(1), bytes.slice(5)) };
  return refuse(`a live frame of unknown kind ${bytes[0]}`);
}

const noticeShape = tagged('type', { waiting: {}, ended: { reason: text(200) }, skipped: { chunks: int } });
const anyNotice = loose({ type: text(64) });
export type Notice = ReturnType<typeof noticeShape> | null;

/** Text frames; a kind that we do not know is not an error, as it changes nothing that is shown. */
export function readNotice(json: string): Notice {
  let value: unknown;
  try {
    value = JSON.parse(json.slice(0, 4096));
  } catch {
    return refuse('a live notice that is not JSON');
  }
  const { type } = anyNotice(value, 'notice');
  return type === 'waiting' || type === 'ended' || type === 'skipped' ? noticeShape(value, 'notice') : null;
}
