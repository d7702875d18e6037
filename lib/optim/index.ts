export { type AdamOptions, adam, adamw } from './adam.ts';
export { type AverageOptions, averagePrefix, averageWeights } from './ema.ts';
export { type LarsOptions, lars } from './lars.ts';
export { type DecayRule, noBiasNoNorm, type Optimizer, type OptimizerOptions } from './optimizer.ts';
export type {
  CosineOptions,
  ExponentialOptions,
  OneCycleOptions,
  PolynomialOptions,
  Schedule,
  StepOptions,
  WarmupOptions,
} from './schedules.ts';
export * as schedules from './schedules.ts';
export { type SgdOptions, sgd } from './sgd.ts';
