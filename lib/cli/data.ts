// The data of a run: in memory where it is small, else streamed.
import {
  type DataProgress,
  type DataSet,
  dataSetNames,
  isStreamed,
  openDataSet,
  openStream,
  type StreamedDataSet,
} from '../data/index.ts';
import { modelDefaults, modelNames } from '../models/index.ts';
import type { PictureChoice, Recipe } from '../train/index.ts';
import { UsageError } from './args.ts';
import type { Output } from './command.ts';

/** Training pictures that take more bytes than this, decoded, are not held. */
const residentBytes = 2 ** 30;
const cropPct = 0.875;

export interface DataChoice extends PictureChoice {
  readonly data: string;
  /** Decides the size of pictures in shards where none is asked for. */
  readonly model?: string;
  readonly seed?: number;
  readonly recipe?: Pick<Recipe, 'padding' | 'flip'>;
  /** What recipe and weights want where no flag says otherwise; sets in memory are taken as they are. */
  readonly wanted?: PictureChoice;
  readonly skipDamaged?: boolean | undefined;
  readonly workers?: number | undefined;
}

export async function loadData(choice: DataChoice, output: Output): Promise<DataSet | StreamedDataSet> {
  const { data, imgSize, skipDamaged } = choice;
  const streamed = await loadStream(choice);
  if (streamed !== undefined) return streamed;
  const [flag] = streamFlags(choice);
  if (flag !== undefined)
    throw new UsageError(
      `${flag}: ${data} is held in memory as it is; only folders and shards of pictures are cut anew`,
    );
  const show = dataProgress(output);
  const set = await openDataSet(data, {
    ...(imgSize !== undefined && { size: [imgSize, imgSize] as const }),
    ...(skipDamaged && { skipDamaged }),
    onProgress: show.update,
  });
  show.end();
  return set;
}

/** Shards always stream; a folder does where it is large, or where what is asked for needs the whole pictures. */
async function loadStream(choice: DataChoice): Promise<StreamedDataSet | undefined> {
  const { data, seed, recipe, workers, skipDamaged } = choice;
  if ((dataSetNames as readonly string[]).includes(data)) return undefined;
  const pictures: PictureChoice = { ...choice.wanted, ...choice };
  const { imgSize, scale, ratio, colorJitter, interpolation } = pictures;
  const training = {
    ...(scale && { scale }),
    ...(ratio && { ratio }),
    ...(colorJitter !== undefined && { colorJitter }),
    flip: recipe?.flip ?? true,
  };
  const plain = recipe?.padding === 0 && !recipe.flip; // --no-aug
  return openStream(data, {
    size: imgSize ?? sizeFor(choice.model),
    above: streamFlags(pictures).length > 0 ? 0 : imgSize === undefined ? Number.POSITIVE_INFINITY : residentBytes,
    training: plain ? false : training,
    evaluation: { cropPct: pictures.cropPct ?? cropPct },
    ...(interpolation && { interpolation }),
    ...(seed !== undefined && { seed }),
    ...(workers !== undefined && { workers }),
    ...(skipDamaged && { skipDamaged }),
  });
}

function sizeFor(model: string | undefined): number {
  return model !== undefined && modelNames().includes(model) ? modelDefaults(model).imageSize : 224;
}

/** What a set in memory cannot be asked for. */
function streamFlags({ scale, ratio, colorJitter, cropPct, interpolation }: PictureChoice): string[] {
  const given = { '--scale': scale, '--ratio': ratio, '--color-jitter': colorJitter, '--crop-pct': cropPct };
  return Object.entries({ ...given, '--interpolation': interpolation }).flatMap(([flag, value]) =>
    value === undefined ? [] : [flag],
  );
}

/** With what was decided by default, so that the same data streams again when it is evaluated or resumed. */
export function asLoaded<T extends PictureChoice>(
  configuration: T,
  { train }: DataSet | StreamedDataSet,
  wanted: PictureChoice,
): T {
  return isStreamed(train) ? { cropPct, ...wanted, ...configuration, imgSize: train.width } : configuration;
}

/** One line in place on a terminal; elsewhere one line per phase. */
function dataProgress({ log }: Output): { update(progress: DataProgress): void; end(): void } {
  let phase = '';
  let shown = 0;
  return {
    update({ phase: now, done, total }) {
      if (!log.isTTY) {
        if (now !== phase) log.write(`data: ${now}\n`);
        phase = now;
      } else if (performance.now() - shown > 100) {
        shown = performance.now();
        phase = now;
        log.write(`\r\x1b[Kdata: ${now} ${done}${total === undefined ? '' : ` of ${total}`}`);
      }
    },
    end() {
      if (log.isTTY && phase !== '') log.write('\r\x1b[K');
    },
  };
}

export function describeSet({ name, train, test, classes }: DataSet | StreamedDataSet): string {
  const size = `${train.width}x${train.height}x${train.channels}`;
  const place = isStreamed(train) ? 'streamed' : 'in memory';
  return `${name}: ${train.count} training and ${test.count} test pictures of ${size}, ${classes.length} classes, ${place}`;
}

/** A line for every part of the set that lacks pictures. */
export function leftOut({ train, test }: DataSet | StreamedDataSet): string[] {
  return [train, test].flatMap((set) =>
    isStreamed(set) && set.damaged.size > 0
      ? [`${set.damaged.size} damaged pictures of ${set.name} were left out`]
      : [],
  );
}
