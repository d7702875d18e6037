import type { Value } from '../graph/index.ts';
import { Check } from './check.ts';
import { checkCounter, checkEach } from './update.ts';

export interface EmaUpdateOptions {
  /** int32 [1]: how many updates went before. The first one copies the values. */
  readonly step: Value;
  readonly decay: number;
}

/** average += (1 − decay) · (value − average), for all `averages` (variables) in one node; a copy where step is 0. */
export function emaUpdate(averages: readonly Value[], values: readonly Value[], options: EmaUpdateOptions): void {
  const { step, decay } = options;
  const check = new Check(step.graph, 'ema_update');
  check.options(options, 'step', 'decay');
  checkCounter(check, step);
  check.number('decay', decay, 'from 0 to 1', (value) => value >= 0 && value <= 1);
  checkEach(check, 'value', averages, values);
  step.graph.emit('ema_update', [step, ...values], averages, { decay });
}
