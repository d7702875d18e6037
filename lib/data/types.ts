/** Labelled pictures that a network sees in one size; labels are class indices. */
export interface PictureSet {
  readonly name: string;
  readonly labels: Int32Array;
  readonly count: number;
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  readonly classes: readonly string[];
  /** Where each picture came from, relative to the set. */
  readonly files?: readonly string[];
}

/** Pictures in memory, decoded: pixels as uint8 [count, height, width, channels]. */
export interface ImageSet extends PictureSet {
  readonly images: Uint8Array;
}

/** Pictures and labels of one step: uint8 [n, height, width, channels] and n class indices. */
export interface Batch {
  readonly images: Uint8Array;
  readonly labels: Int32Array;
}

/** Which batches of a streamed set. */
export interface BatchOrder {
  readonly batchSize: number;
  /** Which pictures, in which order; see Sampler.order. Default: all, in their own order. */
  readonly order?: Int32Array;
  /** Decides the random cuts, with the seed of the set and the picture's index. Default 0. */
  readonly epoch?: number;
  /** How many batches are left out at the beginning. Default 0. */
  readonly from?: number;
}

/** Pictures that are read when they are needed; more of them than memory holds. */
export interface StreamedSet extends PictureSet {
  /** Batches in order, several being read ahead; the last one is filled up with black pictures of label -1. */
  batches(order: BatchOrder): AsyncGenerator<Batch, void, void>;
  /** Files that could not be read so far and were left out, with the reason. */
  readonly damaged: ReadonlyMap<string, string>;
}

export interface StreamedDataSet {
  readonly name: string;
  readonly train: StreamedSet;
  readonly test: StreamedSet;
  readonly classes: readonly string[];
}

export function isStreamed(set: PictureSet): set is StreamedSet {
  return 'batches' in set;
}

/** A training and a test set with the same classes and picture size. */
export interface DataSet {
  readonly name: string;
  readonly train: ImageSet;
  readonly test: ImageSet;
  readonly classes: readonly string[];
}

export interface DataProgress {
  readonly phase: 'download' | 'unpack' | 'decode';
  readonly done: number;
  /** Unknown for some downloads and archives. */
  readonly total?: number;
}

export type OnProgress = (progress: DataProgress) => void;
