// Loss scaling: gradients of float16 layers are kept from vanishing by a factor on the loss, which is taken off again
// before they are used (Micikevicius et al. 2018, section 3.2).
import { typeOf, type Value } from '../graph/index.ts';
import { Check } from './check.ts';

export interface Unscaled {
  readonly gradients: Value[];
  /** int32 [1]: 1 where every number of every gradient is finite, else 0. */
  readonly finite: Value;
}

/** Every gradient divided by `lossScale` [1], in one node. */
export function unscale(gradients: readonly Value[], lossScale: Value): Unscaled {
  const { graph } = lossScale;
  const check = new Check(graph, 'unscale');
  checkScale(check, lossScale);
  if (gradients.length === 0) throw check.argument('gradients must not be empty');
  for (const gradient of gradients) check.full('gradient', gradient);
  const outputs = graph.emit('unscale', [lossScale, ...gradients], [...gradients.map(typeOf), flag]);
  return { gradients: outputs.slice(0, -1), finite: outputs.at(-1) as Value };
}

const flag = { shape: [1], dtype: 'int32', format: 'plain' } as const;

export interface LossScaleUpdateOptions {
  /** int32 [1], a variable: steps since the scale last changed. */
  readonly goodSteps: Value;
  /** The scale is multiplied by `growth` after `interval` good steps in a row, and by `backoff` after a bad one. */
  readonly growth: number;
  readonly backoff: number;
  readonly interval: number;
}

/** What torch.amp.GradScaler.update() does to its scale, a variable [1]. A scale that would overflow does not grow. */
export function updateLossScale(lossScale: Value, finite: Value, options: LossScaleUpdateOptions): void {
  const { goodSteps, growth, backoff, interval } = options;
  const { graph } = lossScale;
  const check = new Check(graph, 'update_loss_scale');
  check.options(options, 'goodSteps', 'growth', 'backoff', 'interval');
  check.variable('lossScale', lossScale);
  checkScale(check, lossScale);
  check.variable('goodSteps', goodSteps);
  checkFlag(check, 'goodSteps', goodSteps, 'a counter');
  checkFlag(check, 'finite', finite, 'a flag');
  check.number('growth', growth, 'a number of at least 1', (value) => value >= 1);
  check.number('backoff', backoff, 'above 0 and at most 1', (value) => value > 0 && value <= 1);
  check.integer('interval', interval, 1);
  graph.emit('update_loss_scale', [finite], [lossScale, goodSteps], { growth, backoff, interval });
}

function checkScale(check: Check, lossScale: Value): void {
  check.full('lossScale', lossScale);
  check.hasShape('lossScale', lossScale, [1], 'one number');
}

function checkFlag(check: Check, name: string, value: Value, what: string): void {
  check.dtype(name, value, 'int32');
  check.hasShape(name, value, [1], what);
}
