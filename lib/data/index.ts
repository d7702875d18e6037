export { DataError } from './errors.ts';
export { type BatchOptions, batchStream, loadBatches, type Sample, type Samples } from './loader.ts';
export { dataSetNames, type OpenDataSetOptions, openDataSet } from './open.ts';
export { type OpenStreamOptions, openStream } from './open-stream.ts';
export { type EvaluationOptions, readForEvaluation, readImages } from './read-images.ts';
export { Sampler, type SamplerOptions } from './sampler.ts';
export { type ChannelStatistics, channelStatistics } from './statistics.ts';
export { type SyntheticOptions, syntheticDataSet } from './synthetic.ts';
export {
  type EvaluationTransform,
  type Interpolation,
  interpolations,
  type TrainingTransform,
} from './transforms.ts';
export type {
  Batch,
  BatchOrder,
  DataProgress,
  DataSet,
  ImageSet,
  OnProgress,
  PictureSet,
  StreamedDataSet,
  StreamedSet,
} from './types.ts';
export { isStreamed } from './types.ts';
