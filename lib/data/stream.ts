// Sets that are read while they are used: only an index is held, and a few batches.
import { basename, join } from 'node:path';
import { DataError } from './errors.ts';
import { imageFolderLayout } from './image-folder.ts';
import { readAhead } from './loader.ts';
import { type PictureOptions, readEncoded } from './picture-reader.ts';
import { checkSeed, RandomStream, STREAM } from './random.ts';
import { listFolder, readWhole } from './source.ts';
import {
  type Cut,
  type EvaluationTransform,
  evaluationCut,
  type PictureSize,
  type TrainingTransform,
  trainingCut,
} from './transforms.ts';
import type { Batch, BatchOrder, StreamedDataSet, StreamedSet } from './types.ts';

/** Encoded pictures by index. */
export interface PictureSource {
  readonly labels: Int32Array;
  /** For messages. */
  locate(index: number): string;
  read(index: number): Promise<Uint8Array>;
}

export interface SourceSet {
  readonly name: string;
  readonly classes: readonly string[];
  readonly train: PictureSource;
  readonly test: PictureSource;
}

export interface StreamOptions extends Pick<PictureOptions, 'interpolation' | 'workers'> {
  /** Of the pictures: size x size. */
  readonly size: number;
  /** False: as for evaluation. */
  readonly training: TrainingTransform | false;
  readonly evaluation: EvaluationTransform;
  /** Of the cuts. */
  readonly seed: number;
  /** Leaves damaged pictures out instead of throwing. */
  readonly skipDamaged?: boolean;
  /** Batches under way beside the one in use. */
  readonly prefetch?: number;
}

/** train/<class>/ and test/<class>/ (or val/) of a folder, of which paths alone are held; undefined without train/. */
export async function folderSources(path: string): Promise<SourceSet | undefined> {
  const { names, folders } = await listFolder(path);
  if (!folders.some((folder) => basename(folder) === 'train')) return undefined;
  const locate = (name: string) => join(path, name);
  const layout = imageFolderLayout({ path, folders, locate, files: names.map((name) => ({ name })) });
  const source = ({ files, labels }: (typeof layout)['train']): PictureSource => {
    const file = (i: number) => locate(files[i]?.name ?? '');
    return { labels, locate: file, read: (i) => readWhole(file(i)) };
  };
  return { name: path, classes: layout.classes, train: source(layout.train), test: source(layout.test) };
}

export function streamedDataSet({ name, classes, train, test }: SourceSet, options: StreamOptions): StreamedDataSet {
  const { size, training, evaluation, seed } = options;
  checkSeed(seed);
  const central = (picture: PictureSize) => evaluationCut(picture, size, evaluation);
  const random = (picture: PictureSize, index: number, epoch: number) =>
    training
      ? trainingCut(picture, size, training, new RandomStream(seed, STREAM.crop, index, epoch))
      : central(picture);
  return {
    name,
    classes,
    train: new PictureStream('train', train, classes, random, options),
    test: new PictureStream('test', test, classes, central, options),
  };
}

type CutOf = (picture: PictureSize, index: number, epoch: number) => Cut;

const PREFETCH = 2;

class PictureStream implements StreamedSet {
  readonly name: string;
  readonly labels: Int32Array;
  readonly count: number;
  readonly height: number;
  readonly width: number;
  readonly channels = 3;
  readonly classes: readonly string[];
  readonly damaged = new Map<string, string>();
  readonly #source: PictureSource;
  readonly #cut: CutOf;
  readonly #options: StreamOptions;

  constructor(name: string, source: PictureSource, classes: readonly string[], cut: CutOf, options: StreamOptions) {
    this.name = name;
    this.labels = source.labels;
    this.count = source.labels.length;
    this.height = options.size;
    this.width = options.size;
    this.classes = classes;
    this.#source = source;
    this.#cut = cut;
    this.#options = options;
  }

  batches({ batchSize, order, epoch = 0, from = 0 }: BatchOrder): AsyncGenerator<Batch, void, void> {
    const all = order ?? Int32Array.from({ length: this.count }, (_, i) => i);
    const read = (i: number) => this.#batch(all.subarray(i * batchSize, (i + 1) * batchSize), batchSize, epoch);
    return readAhead(from, Math.ceil(all.length / batchSize), this.#options.prefetch ?? PREFETCH, read);
  }

  async #batch(indices: Int32Array, batchSize: number, epoch: number): Promise<Batch> {
    const pictures = await Promise.all(
      Array.from(indices, async (index) => ({
        bytes: await this.#source.read(index),
        cut: (picture: PictureSize) => this.#cut(picture, index, epoch),
      })),
    );
    const { pixels, damaged } = await readEncoded(pictures, {
      ...this.#options,
      height: this.height,
      width: this.width,
    });
    const labels = new Int32Array(batchSize).fill(-1);
    for (const [row, index] of indices.entries()) labels[row] = this.labels[index] as number;
    if (damaged.size > 0) this.#leaveOut(damaged, indices, pixels, labels);
    if (indices.length === batchSize) return { images: pixels, labels };
    const images = new Uint8Array(batchSize * this.height * this.width * 3);
    images.set(pixels);
    return { images, labels };
  }

  /** A damaged picture's row shows another one of the batch, so that normalisation sees pictures, and counts nowhere. */
  #leaveOut(damaged: ReadonlyMap<number, string>, indices: Int32Array, pixels: Uint8Array, labels: Int32Array): void {
    const files = [...damaged].map(([row, problem]) => [this.#source.locate(indices[row] as number), problem] as const);
    const whole = indices.findIndex((_, row) => !damaged.has(row));
    if (!this.#options.skipDamaged || whole < 0) throw undecodable(files, indices.length);
    for (const [file, problem] of files) {
      if (!this.damaged.has(file)) process.emitWarning(`${file}: ${problem}; left out`, 'DamagedPicture');
      this.damaged.set(file, problem);
    }
    const bytes = this.height * this.width * 3;
    for (const row of damaged.keys()) {
      pixels.copyWithin(row * bytes, whole * bytes, (whole + 1) * bytes);
      labels[row] = -1;
    }
  }
}

function undecodable(files: readonly (readonly [file: string, problem: string])[], count: number): DataError {
  const [[file, problem]] = files as [readonly [string, string]];
  const details = files.slice(1, 10).map(([other, reason]) => `${other}: ${reason}`);
  const cure = 'Mend or remove it, or ask to skip damaged files (--skip-damaged)';
  return new DataError(file, `cannot be decoded (${files.length} of a batch of ${count}): ${problem}`, cure, {
    details,
  });
}
