export { type DecayRule, noBiasNoNorm, type Optimizer } from './optimizer.ts';
export type { CosineOptions, OneCycleOptions, Schedule, StepOptions, WarmupOptions } from './schedules.ts';
export * as schedules from './schedules.ts';
export { type SgdOptions, sgd } from './sgd.ts';
