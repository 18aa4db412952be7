// Plays samples that the Worker decoded. Owns the only AudioContext; begins on a person's click, as browsers demand.

const LEAD_S = 0.12;
const DRIFT_S_MAX = 0.6;

export class Speaker {
  private context: AudioContext | null = null;
  private next = 0;

  async start(): Promise<void> {
    this.context ??= new AudioContext({ latencyHint: 'interactive' });
    await this.context.resume();
  }

  /** `due`: wall time for the first sample, milliseconds since 1970. Pieces play back to back unless they drift from that. */
  play(sampleRate: number, channels: Float32Array<ArrayBuffer>[], due: number): void {
    const { context } = this;
    const length = channels[0]?.length ?? 0;
    if (!context || context.state !== 'running' || length === 0) return;
    const wanted = context.currentTime + Math.max(0, (due - performance.timeOrigin - performance.now()) / 1000) + LEAD_S;
    if (Math.abs(this.next - wanted) > DRIFT_S_MAX) this.next = wanted;
    const buffer = context.createBuffer(channels.length, length, sampleRate);
    channels.forEach((samples, channel) => buffer.copyToChannel(samples, channel));
    const source = context.createBufferSource();
    source.buffer = buffer;
    source.connect(context.destination);
    source.start(Math.max(this.next, context.currentTime));
    this.next = Math.max(this.next, context.currentTime) + buffer.duration;
  }

  stop(): void {
    void this.context?.close();
    this.context = null;
    this.next = 0;
  }
}
