export { DataError } from './errors.ts';
export { type Batch, type BatchOptions, batchStream, loadBatches, type Sample, type Samples } from './loader.ts';
export { dataSetNames, type OpenDataSetOptions, openDataSet } from './open.ts';
export { readImages } from './read-images.ts';
export { Sampler, type SamplerOptions } from './sampler.ts';
export { type ChannelStatistics, channelStatistics } from './statistics.ts';
export { type SyntheticOptions, syntheticDataSet } from './synthetic.ts';
export type { DataProgress, DataSet, ImageSet, OnProgress } from './types.ts';
