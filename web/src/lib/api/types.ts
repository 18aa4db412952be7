// What the server says, in the words of docs/protocol.md section 3. None of it is proof: pictures, gateways and people are believed
// by signatures alone (src/lib/seal). Envelopes stay `unknown` here until seal reads them.

export type Rendition = 'main' | 'sub';
export type GapReason = 'camera_unreachable' | 'camera_refused' | 'stalled' | 'restarted' | 'disk_full' | 'disabled' | 'bad_stream';

export interface DemoCamera {
  url: string;
  sub_url: string | null;
  username: string | null;
  password: string | null;
}

export interface Status {
  set_up: boolean;
  version: string;
  rp_id: string;
  gateway_port: number;
  ca_sha256: string;
  demo_camera?: DemoCamera | null;
}

export interface Me {
  org: string;
  org_name: string;
  person: string;
  person_name: string;
  devices: string[];
  administrator: boolean;
}

export interface Ceremony {
  ceremony: string;
  options: unknown;
}

export interface StreamStatus {
  camera: string;
  rendition: Rendition;
  state: 'connecting' | 'recording' | 'failed';
  since: number;
  reason: string | null;
  bits_per_second: number;
  codec: string | null;
  width: number;
  height: number;
  has_audio: boolean;
}

export interface CameraListing {
  id: string;
  name: string;
  gateway: string;
  streams: StreamStatus[];
}

export interface GatewayListing {
  id: string;
  name: string;
  connected: boolean;
  state: string | null;
  version: string | null;
  certificate_expires_at: number | null;
}

export interface RecordingListing {
  name: string;
  id: string;
  camera: string;
  rendition: Rendition;
  epoch: string;
  started_at: number;
  duration_ms: number;
  bytes: number;
  sha256: string;
  key_frames: number;
  root: string;
  previous_root: string | null;
  has_audio: boolean;
  codec: string;
  available: boolean;
}

export interface Gap {
  camera: string;
  rendition: Rendition;
  from: number;
  to: number;
  reason: GapReason;
}

export interface RecordingPage {
  recordings: RecordingListing[];
  gaps: Gap[];
  more_from: number | null;
}

export interface HistoryEntry {
  seq: number;
  at: number;
  actor: string;
  action: string;
  resource: string;
  hash: string;
}

export interface DeviceRequest {
  device: unknown;
  created_at: number;
}

export interface ErrorBody {
  error: { code: string; message: string; remedy: string };
}
