export {
  type Callback,
  EarlyStopping,
  ModelCheckpoint,
  type Monitor,
  type Progress,
  type TrainingControl,
} from './callbacks.ts';
export {
  type Checkpoint,
  type CheckpointInfo,
  type ModelInfo,
  readCheckpoint,
  readCheckpointInfo,
} from './checkpoint.ts';
export { type Ensemble, ensemble, type Member } from './ensemble.ts';
export { TrainingError, type TrainingErrorCode } from './errors.ts';
export {
  type EndPointValue,
  type Evaluation,
  evaluateCheckpoint,
  type Prediction,
  type PredictOptions,
  predictCheckpoint,
} from './inference.ts';
export type { LossScaleMetrics, LossScaling } from './loss-scale.ts';
export type { EpochMetrics } from './metrics.ts';
export type { TrainerOptions } from './options.ts';
export { type PercentilePoint, percentiles, UnitPercentiles, type UnitPercentilesOptions } from './percentiles.ts';
export { type PercentilePanel, percentilesFigure } from './percentiles-figure.ts';
export { ProgressLine, type ProgressStream } from './progress.ts';
export {
  completed,
  type OptimizerName,
  optimizerNames,
  optimizerOf,
  type PictureChoice,
  type Recipe,
  type RecipeName,
  recipeSources,
  recipes,
  type ScheduleName,
  scheduleNames,
  scheduleOf,
} from './recipes.ts';
export { type AmpDtype, type TrainingStepOptions, trainingGraph } from './step.ts';
export { type FitResult, Trainer } from './trainer.ts';
export {
  type LoadedWeights,
  type LoadWeightsOptions,
  loadWeights,
  readWeightsInfo,
  saveWeights,
  type WeightsInfo,
} from './weights.ts';
