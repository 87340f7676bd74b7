/** Messages of the wire contract and of `/studio/…` as the page sees them; what is at its default may be missing. */

export type Modality = 'MODALITY_TEXT' | 'MODALITY_IMAGE' | 'MODALITY_AUDIO';
export type Kind = 'text' | 'image' | 'audio';

export interface About {
  version: string;
  items: number;
  space: string;
  fingerprint: string;
  modalities: Kind[];
  media: boolean;
  max_bytes: number;
  address: string;
}

export interface Facet {
  field: string;
  kind: 'keyword' | 'integer' | 'float' | 'bool' | 'datetime' | 'geo';
  items: number;
  distinct: number;
  values: { value: string | boolean; count: number }[];
  least: number | null;
  most: number | null;
}

export interface Reason {
  kind?: string;
  index?: number;
  modality?: Modality;
  share?: number;
  event_id?: string;
  modality_shares?: number[];
}

export interface Result {
  item_id: string;
  score?: number;
  rank?: number;
  payload?: Record<string, unknown>;
  reasons?: Reason[];
  image_path?: string;
  audio_path?: string;
  text?: string;
  propensity?: number;
}

export interface Item {
  id: string;
  modalities?: Modality[];
  payload?: Record<string, unknown>;
  text?: string;
  image_path?: string;
  audio_path?: string;
  digest?: string;
  index_time?: string;
}

export interface Stage {
  name: string;
  count?: number;
  duration?: string;
}

export interface Answer {
  results?: Result[];
  request_id?: string;
  fingerprint?: string;
  model?: string;
  tier?: string;
  skipped?: { index?: number; reason?: string; event_id?: string }[];
  compared_model?: string;
  stages?: Stage[];
}

export interface Event {
  kind: string;
  /** Of a kind that the deployment declares. */
  kind_name?: string;
  item_id?: string;
  content?: { text?: string; image?: string; audio?: string };
  time?: string;
  value?: number;
  id?: string;
}

export interface Model {
  version: string;
  serving?: boolean;
  create_time?: string;
  metrics?: Record<string, number>;
}
