export interface Spread {
  readonly median: number;
  readonly p10: number;
  readonly p90: number;
  readonly mean: number;
  /** Standard deviation of the sample; 0 for a single value. */
  readonly deviation: number;
  readonly n: number;
}

/** Quantiles between neighbours are interpolated, as numpy does by default. */
export function spread(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  const n = sorted.length;
  const mean = sorted.reduce((sum, value) => sum + value, 0) / n;
  const squares = sorted.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  const [median, p10, p90] = [0.5, 0.1, 0.9].map((share) => quantile(sorted, share)) as [number, number, number];
  return { median, p10, p90, mean, deviation: Math.sqrt(squares / Math.max(n - 1, 1)), n };
}

function quantile(sorted: readonly number[], share: number): number {
  const place = share * (sorted.length - 1);
  const [below, above] = [sorted[Math.floor(place)], sorted[Math.ceil(place)]] as [number, number];
  return below + (above - below) * (place - Math.floor(place));
}
