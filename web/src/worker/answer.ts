// A gateway's answer about a camera, and its picture: one key frame, as the camera sent it.

import type { Answer, Picture } from '../lib/seal/cameraAnswer';
import type { SealedAnswer } from '../lib/seal/commands';
import { fromBase64 } from '../lib/seal/bytes';
import type { Keyring } from './keyring';

export async function openAndShow({ answer, ...to }: { org: string; gateway: string; nonce: string; answer: SealedAnswer }, keyring: Keyring): Promise<{ answer: Answer; bitmap: ImageBitmap | null }> {
  const opened = await keyring.openAnswer(answer, to);
  if (opened.type !== 'look' || opened.picture === null) return { answer: opened, bitmap: null };
  // A camera may send what no decoder takes; the rest of the answer is as good without.
  const bitmap = await show(opened.picture).catch(() => null);
  return { answer: { ...opened, picture: null }, bitmap };
}

async function show({ codec, description, width, height, data }: Picture): Promise<ImageBitmap | null> {
  if (typeof VideoDecoder === 'undefined') return null;
  const config: VideoDecoderConfig = { codec, codedWidth: width, codedHeight: height, optimizeForLatency: true };
  if (description !== null) config.description = fromBase64(description);
  const { supported } = await VideoDecoder.isConfigSupported(config);
  if (!supported) return null;
  let shown: VideoFrame | null = null;
  const decoder = new VideoDecoder({
    output: (frame) => {
      shown?.close();
      shown = frame;
    },
    error: () => undefined,
  });
  decoder.configure(config);
  decoder.decode(new EncodedVideoChunk({ type: 'key', timestamp: 0, data: fromBase64(data) }));
  await decoder.flush();
  decoder.close();
  const frame = shown as VideoFrame | null;
  if (!frame) return null;
  const bitmap = await createImageBitmap(frame);
  frame.close();
  return bitmap;
}
