// A camera's streams with pictures, and the one of events, which has none.

import type { CameraListing, EventsStatus, StreamStatus } from '../api/types';

type Streams = CameraListing['streams'];

export const picturesOf = (streams: Streams): StreamStatus[] => streams.filter((stream) => stream.rendition !== 'events');
export const eventsOf = (streams: Streams): EventsStatus | undefined => streams.find((stream) => stream.rendition === 'events');
