// What a chunk of an event track holds (docs/format.md section 5.5): what a camera said that it saw. A camera chose the words, so they are
// text of a stranger wherever they are shown.

import { utf8, refuse } from './bytes';
import { id, int, list, literal, nullable, object, type Of, readCanonical, text } from './shape';

export const EVENT_KINDS = ['motion', 'person', 'vehicle', 'animal', 'package', 'face', 'line', 'zone', 'tampering', 'sound', 'input', 'doorbell', 'other', 'camera_down', 'not_recorded', 'frozen', 'disk', 'clock'] as const;
export type EventKind = (typeof EVENT_KINDS)[number];

/** Something does not work, and a gateway says so. */
export const TROUBLE_KINDS = ['camera_down', 'not_recorded', 'frozen', 'disk', 'clock'] as const satisfies readonly EventKind[];
export const isTrouble = (kind: EventKind): boolean => (TROUBLE_KINDS as readonly EventKind[]).includes(kind);
/** It is the gateway's, and stands in the tracks of all its cameras. */
export const isOfGateway = (kind: EventKind): boolean => kind === 'disk' || kind === 'clock';

const EVENTS_MAX = 64;
const RULE_BYTES_MAX = 64;
const TOPIC_BYTES_MAX = 128;
/** Above it no batch gets, with every text as long as it may be. */
const BATCH_BYTES_MAX = 65_536;
/** Of a date in JavaScript. */
const TIME_MAX = 8_640_000_000_000_000;

const batchShape = object({
  events: list(
    object({
      id: id('ev_'),
      at: int,
      phase: literal('began', 'ended', 'happened'),
      kind: literal(...EVENT_KINDS),
      rule: nullable(text(RULE_BYTES_MAX)),
      source: literal('onvif', 'vapix', 'frigate', 'gateway'),
      topic: text(TOPIC_BYTES_MAX),
    }),
    EVENTS_MAX,
  ),
  left_out: int,
});

export type EventBatch = Of<typeof batchShape>;
export type CameraEvent = EventBatch['events'][number];

export function readEventBatch(plain: Uint8Array): EventBatch {
  const batch = readCanonical(batchShape, plain, 'a batch of events', BATCH_BYTES_MAX);
  for (const { at, rule, topic } of batch.events) {
    if (at > TIME_MAX) refuse('an event of no time');
    if (utf8(rule ?? '').length > RULE_BYTES_MAX || utf8(topic).length > TOPIC_BYTES_MAX) refuse('an event with too long a text');
  }
  return batch;
}
