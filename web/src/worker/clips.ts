// Opened chunks as films: one file, or several where the camera's parameters changed. As the command line does it (crates/cli/src/mp4.rs).

import { codecOf } from '../lib/media/boxes';
import { Film, frameTicks } from '../lib/media/film';
import { cameraSignatures } from '../lib/media/signing';
import { type Bytes, refuse } from '../lib/seal/bytes';
import { type Chunk, readAccessUnit, readAudioFrames } from '../lib/seal/chunk';
import type { Header, Track } from '../lib/seal/header';
import type { Sink, Written } from './sink';

/** Of which recording chunks are, with the tracks that are wanted of it. */
export class Origin {
  readonly tracks: readonly Track[];
  readonly startedAt: number;

  constructor({ tracks, started_at }: Header, sound: boolean) {
    this.tracks = tracks.filter(({ kind }) => kind === 'video' || (kind === 'audio' && sound));
    this.startedAt = started_at;
  }

  track(id: number): Track | undefined {
    return this.tracks.find((track) => track.id === id);
  }

  /** The time of day of a chunk. */
  at({ track, time }: Pick<Chunk, 'track' | 'time'>): number {
    return this.startedAt + Math.floor((time * 1000) / (this.track(track) ?? refuse(`no track ${track} is wanted`)).timescale);
  }
}

interface OpenFilm {
  film: Film;
  sink: Sink;
  tracks: string;
  /** Wall time of tick 0. */
  startsAt: number;
  /** By track: the last tick that was written. */
  last: Map<number, number>;
  hasKeyFrame: boolean;
}

export class Clips {
  private open: OpenFilm | null = null;
  private readonly done: { sink: Sink; written: Written }[] = [];
  private length = 0;
  /** Wall times of the first and last picture. */
  from: number | null = null;
  to: number | null = null;

  /** Kinds of signatures that the camera itself put into its pictures. */
  readonly signatures = new Set<string>();

  constructor(private readonly make: (number: number) => Promise<Sink>) {}

  async add(origin: Origin, chunk: Chunk, plain: Bytes): Promise<void> {
    const track = origin.track(chunk.track) ?? refuse(`a chunk of the track ${chunk.track}, which is not wanted`);
    const at = origin.at(chunk);
    const file = await this.fileFor(origin, at);
    // Pictures that build on one before the film would show as debris.
    if (track.kind === 'video' && !file.hasKeyFrame && !chunk.keyFrame) return;
    let time = tick(file, origin, track, chunk.time);
    if (track.kind === 'video') {
      const { presentationDelta, nalUnits } = readAccessUnit(plain);
      for (const kind of cameraSignatures(codecOf(track), nalUnits)) this.signatures.add(kind);
      file.hasKeyFrame = true;
      this.from ??= at;
      this.to = at;
      file.last.set(track.id, time);
      return file.film.add({ track: track.id, time, presentationDelta, keyFrame: chunk.keyFrame, data: nalUnits });
    }
    for (const data of readAudioFrames(plain)) {
      file.last.set(track.id, time);
      await file.film.add({ track: track.id, time, presentationDelta: 0, keyFrame: true, data });
      time += frameTicks(track, data.length);
    }
  }

  /** The files, and how long their films are together. */
  async finish(): Promise<{ files: Written[]; length: number }> {
    await this.close();
    return { files: this.done.map(({ written }) => written), length: this.length };
  }

  /** Takes back every file. */
  async abort(): Promise<void> {
    const { open } = this;
    this.open = null;
    await open?.sink.abort();
    for (const { sink } of this.done.splice(0)) await sink.abort();
  }

  private async fileFor({ tracks }: Origin, at: number): Promise<OpenFilm> {
    const described = JSON.stringify(tracks);
    if (this.open && this.open.tracks !== described) await this.close();
    if (this.open) return this.open;
    const sink = await this.make(this.done.length + 1);
    try {
      const film = await Film.begin(sink, tracks, at);
      return (this.open = { film, sink, tracks: described, startsAt: at, last: new Map(), hasKeyFrame: false });
    } catch (error) {
      await sink.abort();
      throw error;
    }
  }

  private async close(): Promise<void> {
    const { open } = this;
    if (!open) return;
    this.length += await open.film.finish();
    // Until it is closed, it can be taken back.
    this.done.push({ sink: open.sink, written: await open.sink.close() });
    this.open = null;
  }
}

/** Recordings are placed by the wall clock, chunks within them by their own. Two recordings may overlap by a little; a track does not run back. */
function tick(file: OpenFilm, origin: Origin, track: Track, time: number): number {
  const offset = Math.trunc(((origin.startedAt - file.startsAt) * track.timescale) / 1000);
  return Math.max(0, offset + time, file.last.get(track.id) ?? 0);
}
