/** Pictures of one size, decoded: pixels as uint8 [count, height, width, channels], labels as class indices. */
export interface ImageSet {
  readonly name: string;
  readonly images: Uint8Array;
  readonly labels: Int32Array;
  readonly count: number;
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  readonly classes: readonly string[];
  /** Where each picture came from, relative to the set, in the order of `images`. */
  readonly files?: readonly string[];
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
