import { ArgumentError, checkOptions, type Graph, type Value } from '../graph/index.ts';
import { emaUpdate } from '../ops/index.ts';

export interface AverageOptions {
  /** Share of the old average that stays at each step, from 0 to below 1: 0.999 remembers about 1,000 steps. */
  readonly decay: number;
  /** int32 [1]: how many updates went before. */
  readonly step: Value;
}

/** Under which a model's averages stand: `ema.conv1.weight`. */
export const averagePrefix = 'ema';

/**
 * Emits the node that keeps an exponential moving average `ema.<name>` of each of `values` (parameters and buffers), as
 * torch.optim.swa_utils.AveragedModel with get_ema_multi_avg_fn(decay) and use_buffers. The first update copies.
 */
export function averageWeights(graph: Graph, values: readonly Value[], options: AverageOptions): void {
  checkOptions('averageWeights', options, ['decay', 'step']);
  const { decay, step } = options;
  checkDecay(decay);
  const averages = values.map(({ name, shape, dtype, format, initial }) =>
    graph.variable(`${averagePrefix}.${name}`, { shape, dtype, format, ...(initial && { initial }) }),
  );
  emaUpdate(averages, values, { step, decay });
}

function checkDecay(decay: number): void {
  if (typeof decay === 'number' && decay >= 0 && decay < 1) return;
  throw new ArgumentError(`averageWeights: decay must be from 0 to below 1, got ${String(decay)}`);
}
