import type { ImageSet } from './types.ts';

export interface ChannelStatistics {
  readonly mean: number[];
  readonly std: number[];
}

/** Mean and population standard deviation of pixel / 255 per channel, from an exact histogram of all pictures. */
export function channelStatistics(set: Pick<ImageSet, 'images' | 'channels'>): ChannelStatistics {
  const pixels = set.images.length / set.channels;
  const mean: number[] = [];
  const std: number[] = [];
  for (let c = 0; c < set.channels; c++) {
    const histogram = channelHistogram(set.images, set.channels, c);
    const average = histogram.reduce((sum, n, value) => sum + n * value, 0) / pixels;
    const variance = histogram.reduce((sum, n, value) => sum + n * (value - average) ** 2, 0) / pixels;
    mean.push(average / 255);
    std.push(Math.sqrt(variance) / 255);
  }
  return { mean, std };
}

function channelHistogram(images: Uint8Array, channels: number, channel: number): Float64Array {
  const histogram = new Float64Array(256);
  for (let i = channel; i < images.length; i += channels) {
    const value = images[i] as number;
    histogram[value] = (histogram[value] as number) + 1;
  }
  return histogram;
}
